import { expect, test } from "vitest";
import { asClient, proxied } from "./forwarded-identity.ts";
import type { SessionFacts } from "./session-facts.ts";

const facts: SessionFacts = {
  address: "10.0.0.1",
  port: 4321,
  listener: "smtp://0.0.0.0:25",
  verb: "EHLO",
  helo: "proxy.test",
  tls: { protocol: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256", peerFingerprint: "ab".repeat(32) },
  user: "proxy",
};
const value = (text: string) => ({ value: text });

test("the PROXY protocol names the client; without one the proxy speaks for itself", () => {
  const source = { address: "::ffff:192.0.2.7", port: 25_000 };
  expect(proxied(facts, { type: "proxied", source })).toMatchObject({
    address: "192.0.2.7",
    port: 25_000,
    via: "10.0.0.1",
  });
  expect(proxied(facts, { type: "proxied" })).toBe(facts);
});

test("who speaks by XCLIENT is the host behind the proxy, not the proxy", () => {
  const behind = proxied(facts, {
    type: "proxied",
    source: { address: "192.0.2.7", port: 25_000 },
  });
  expect(behind.speaker).toBeUndefined();
  const next = asClient(behind, { ADDR: value("203.0.113.1") })!;
  expect(next).toMatchObject({ address: "203.0.113.1", via: "10.0.0.1", speaker: "192.0.2.7" });
  expect(asClient(next, { ADDR: value("203.0.113.2") })).toMatchObject({ speaker: "192.0.2.7" });
});

test("XCLIENT names the client, who has neither the proxy's user nor its certificate", () => {
  const next = asClient(facts, {
    ADDR: value("2001:db8::7"),
    PORT: value("25000"),
    HELO: value("client.test"),
    PROTO: value("SMTP"),
  })!;
  expect(next).toMatchObject({
    address: "2001:db8::7",
    port: 25_000,
    helo: "client.test",
    verb: "HELO",
    via: "10.0.0.1",
  });
  expect(next.user).toBeUndefined();
  expect(next.tls).toEqual({ protocol: "TLSv1.3", cipher: "TLS_AES_128_GCM_SHA256" });
  expect(asClient(next, { LOGIN: value("Anna") })).toMatchObject({
    address: "2001:db8::7",
    user: "anna",
    via: "10.0.0.1",
  });
});

test("XCLIENT: what is not known stays, save the user; an address must be one", () => {
  const next = asClient(facts, {
    ADDR: { missing: "for good" },
    HELO: { missing: "for now" },
    LOGIN: { missing: "for good" },
  })!;
  expect(next).toMatchObject({ address: "10.0.0.1", helo: "proxy.test" });
  expect(next.user).toBeUndefined();
  expect(asClient(facts, { ADDR: value("client.test") })).toBeUndefined();
});
