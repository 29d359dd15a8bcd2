import { Header } from "@postern/message";
import { expect, test } from "vitest";
import { withoutOurResults } from "./our-results.ts";

function without(field: string, hostname = "mx.relay.test"): string | undefined {
  const header = new Header(
    new TextEncoder().encode(`From: a@b.test\r\n${field}\r\nSubject: x\r\n\r\nbody\r\n`),
  );
  const octets = withoutOurResults(header, hostname);
  return octets && new TextDecoder().decode(octets);
}

test.each([
  "Authentication-Results: mx.relay.test; spf=pass",
  "authentication-results: MX.Relay.Test 1; spf=pass",
  'Authentication-Results: "mx.relay.test"; spf=pass',
  "Authentication-Results: (a (b) c)\r\n mx.relay.test;\r\n spf=pass",
  "Authentication-Results : mx.relay.test; spf=pass",
  "Authentication-Results\r\n : mx.relay.test; spf=pass",
  "Authentication-Results: MX.relay.test. ; spf=pass",
  "Authentication-Results: mx.relay.test/1; spf=pass",
  "Authentication-Results: mx.relay.test",
])("a field in our name is taken out: %j", (field) => {
  expect(without(field)).toBe("From: a@b.test\r\nSubject: x\r\n");
});

test("names are compared in A-labels", () => {
  expect(without("Authentication-Results: mx.B\u00fccher.test; spf=pass", "mx.xn--bcher-kva.test"))
    .toBe("From: a@b.test\r\nSubject: x\r\n");
});

test.each([
  "Authentication-Results: mx.other.test; spf=pass",
  "Authentication-Results: mx.relay.test.example; spf=pass",
  "X-Authentication-Results: mx.relay.test; spf=pass",
  "X: y",
])("what is not in our name stays: %j", (field) => {
  expect(without(field)).toBeUndefined();
});
