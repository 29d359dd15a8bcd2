import { describe, expect, test } from "vitest";
import { concludeOverdue } from "./overdue.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";

const relay = relayOf({ kind: "mx", retry: { delays: [600], lifetime: 86_400 } });
const asking = (...notify: string[]) => ({
  forwardPath: "a@x.test",
  parameters: { notify: notify[0] === "NEVER" ? "NEVER" : notify },
});
const by = (mode: "notify" | "return") => ({
  parameters: { deliverBy: { seconds: 600, mode, trace: false } },
});

/** Concludes what is overdue in this way, and reads the report. */
async function concluded(
  overdue: Parameters<typeof concludeOverdue>[1],
  recipients: Parameters<typeof deliveryOf>[0],
  delivery: Parameters<typeof deliveryOf>[1] = {},
) {
  const delivering = testDelivering();
  const outcome = await concludeOverdue(
    deliveryOf(recipients, delivery),
    overdue,
    relay,
    delivering,
  );
  const text = outcome.report && new TextDecoder().decode(outcome.report.content);
  const actions = [...(text ?? "").matchAll(/^Final-Recipient: rfc822; ?(.*)\r\nAction: (.*)\r$/gm)]
    .map(([, path, action]) => `${path} ${action}`);
  return { outcome, text, actions, states: outcome.recipients.map(({ state }) => state) };
}

describe("a delay notice", () => {
  test.each([
    ["by default", "a@x.test", ["a@x.test delayed"]],
    ["where it was asked for", asking("DELAY"), ["a@x.test delayed"]],
    ["not where others were asked for", asking("FAILURE"), []],
    ["not where none was", asking("NEVER"), []],
    ["not twice", { forwardPath: "a@x.test", delayReported: true }, []],
  ])("%s", async (_, recipient, expected) => {
    const { actions, outcome } = await concluded("notice", [recipient as string]);
    expect(actions).toEqual(expected);
    expect(outcome.recipients.length).toBe(expected.length);
    expect(outcome).toMatchObject({ waitsOn: "notice", dueAt: undefined });
  });

  test("bears the last reply, or that there was none, and how long is left", async () => {
    const replied = { forwardPath: "b@x.test", lastReply: "421 4.3.2 Closing" };
    const { text, outcome } = await concluded("notice", ["a@x.test", replied]);
    expect(text).toContain("In detail: It waits for its destination; it was not tried yet\r");
    expect(text).toContain("In detail: Closing\r");
    // The books do not tell who said it.
    expect(text).not.toContain("Diagnostic-Code");
    expect(text).toContain("Will-Retry-Until: Fri, 2 Jan 2026 00:00:00 +0000");
    expect(outcome.recipients.map(({ delayReported }) => delayReported)).toEqual([true, true]);
  });

  test("is not made about a report", async () => {
    const { outcome } = await concluded("notice", ["a@x.test"], { reversePath: "" });
    expect([outcome.recipients, outcome.report]).toEqual([[], undefined]);
  });
});

describe("when the time to deliver by has passed", () => {
  test("mode R returns the message", async () => {
    const { actions, states, outcome } = await concluded("deliverBy", ["a@x.test"], by("return"));
    expect([actions, states, outcome.waitsOn]).toEqual([
      ["a@x.test failed"],
      ["bounced"],
      undefined,
    ]);
    expect(outcome.recipients[0]?.reply).toMatch(/^554 5\.4\.7 The time that the sender set/);
  });

  test("mode N tells the sender, and it waits on", async () => {
    const { actions, states, outcome } = await concluded("deliverBy", ["a@x.test"], by("notify"));
    expect([actions, states, outcome.waitsOn]).toEqual([
      ["a@x.test delayed"],
      ["deferred"],
      "deliverBy",
    ]);
  });
});

test.each(["notice", "lifetime", "deliverBy"] as const)(
  "what is said of it (%s) has no time of an attempt, as there was none",
  async (overdue) => {
    for (const delivery of [by("return"), by("notify")]) {
      const { text } = await concluded(overdue, ["a@x.test"], delivery);
      expect(text).toContain("Arrival-Date:");
      expect(text).not.toContain("Last-Attempt-Date");
    }
  },
);

test("at the end of its lifetime it is given up", async () => {
  const { outcome, actions } = await concluded("lifetime", [
    { forwardPath: "a@x.test", lastReply: "451 4.4.1 Refused" },
  ]);
  expect(actions).toEqual(["a@x.test failed"]);
  expect(outcome.recipients[0]?.reply)
    .toBe(
      "554 5.4.7 Given up: it could not be delivered in time; last: 451 4.4.1 Refused",
    );
});
