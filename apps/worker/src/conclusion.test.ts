import { rewriteSender } from "@postern/message";
import { describe, expect, test } from "vitest";
import { conclude } from "./conclusion.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";
import type { SessionPlace } from "./next-hop-session.ts";
import { Transport } from "./transport.ts";
import type { Attempt, Verdict } from "./verdict.ts";

const later = { status: "later", reply: "450 4.2.1 Busy" } as const;
const never = { status: "never", reply: "550 5.1.1 No such user" } as const;
const relay = relayOf({ kind: "mx", retry: { delays: [600], lifetime: 86_400 } });

/** Concludes an attempt `after` so many seconds, and reads the report. */
async function concluded(
  recipients: Parameters<typeof deliveryOf>[0],
  verdicts: readonly Omit<Verdict, "ordinal">[],
  { after = 0, configuration = {}, delivery = {}, by = relay, hasSession = true }: {
    readonly after?: number;
    readonly configuration?: Parameters<typeof testDelivering>[0];
    readonly delivery?: Parameters<typeof deliveryOf>[1];
    readonly by?: typeof relay;
    readonly hasSession?: boolean;
  } = {},
) {
  const delivering = testDelivering(configuration);
  delivering.time += after * 1000;
  const place = { host: "mx.test" } as SessionPlace;
  const outcome = await conclude(
    deliveryOf(recipients, delivery),
    by,
    {
      verdicts: verdicts.map((verdict, ordinal) => ({
        ordinal,
        ...(hasSession ? { place } : {}),
        ...verdict,
      })),
      facts: { relay: "relay", seconds: 1, ...(hasSession ? place : {}) },
    },
    delivering,
  );
  const text = outcome.report && new TextDecoder().decode(outcome.report.content);
  const actions = [...(text ?? "").matchAll(/^Final-Recipient: rfc822; ?(.*)\r\nAction: (.*)\r$/gm)]
    .map(([, path, action]) => `${path} ${action}`);
  return {
    outcome,
    text,
    actions,
    states: outcome.recipients.map(({ state }) => state),
    to: outcome.report?.message.recipients.map(({ forwardPath }) => forwardPath),
  };
}

const asking = (...notify: string[]) => ({
  forwardPath: "a@x.test",
  parameters: { notify: notify[0] === "NEVER" ? "NEVER" : notify },
});

describe("states", () => {
  test("each recipient by its verdict; those deferred have a time", async () => {
    const { outcome, states } = await concluded(["a@x.test", "b@x.test", "c@x.test"], [
      { status: "delivered", reply: "250 2.0.0 Ok" },
      later,
      never,
    ]);
    expect(states).toEqual(["delivered", "deferred", "bounced"]);
    expect(outcome.dueAt).toEqual(new Date("2026-01-01T00:10:00Z"));
  });

  test("what is not delivered at the end of its lifetime bounces", async () => {
    const before = await concluded(["a@x.test"], [later], { after: 86_000 });
    expect(before.outcome.dueAt).toEqual(new Date("2026-01-02T00:00:00Z"));
    const { outcome, states } = await concluded(["a@x.test"], [later], { after: 86_400 });
    expect(states).toEqual(["bounced"]);
    expect(outcome.recipients[0]!.reply)
      .toBe("554 5.4.7 Given up after retries; last: 450 4.2.1 Busy");
    expect(outcome.dueAt).toBeUndefined();
  });
});

test("the event says when the next attempt is, which report went out, and where else it was", async () => {
  const elsewhere = { host: "mx2.test", address: "192.0.2.2", port: 25 };
  const { outcome } = await concluded(["a@x.test", "b@x.test", "c@x.test"], [
    later,
    { ...never, place: elsewhere },
    never,
  ]);
  expect(outcome.attempt).toMatchObject({
    host: "mx.test",
    nextAttemptAt: "2026-01-01T00:10:00.000Z",
    report: outcome.report!.message.id,
  });
  expect(outcome.recipients.map(({ session }) => session)).toEqual([
    undefined,
    elsewhere,
    undefined,
  ]);
});

describe("the report says", () => {
  const accepted = { status: "delivered", reply: "250 2.0.0 Ok" } as const;

  test.each([
    ["a failure by default", "a@x.test", never, ["a@x.test failed"]],
    ["a failure where asked", asking("FAILURE"), never, ["a@x.test failed"]],
    ["no failure where others are asked for", asking("SUCCESS", "DELAY"), never, []],
    ["no failure where never", asking("NEVER"), never, []],
    ["no success by default", "a@x.test", { ...accepted, owed: "delivered" }, []],
    ["delivered", asking("SUCCESS"), { ...accepted, owed: "delivered" }, ["a@x.test delivered"]],
    ["relayed", asking("SUCCESS"), { ...accepted, owed: "relayed" }, ["a@x.test relayed"]],
    ["nothing where the next hop will", asking("SUCCESS"), accepted, []],
    ["no delay yet", asking("DELAY"), later, []],
  ] as [string, string | ReturnType<typeof asking>, Omit<Verdict, "ordinal">, string[]][])(
    "%s",
    async (_, recipient, verdict, expected) => {
      expect((await concluded([recipient], [verdict])).actions).toEqual(expected);
    },
  );

  test("all of an attempt at once, each with its code and the words of the next hop", async () => {
    const { actions, text, to } = await concluded(
      ["a@x.test", "b@x.test", asking("SUCCESS")],
      [never, { status: "never", reply: "552 5.2.2 Full" }, { ...accepted, owed: "relayed" }],
    );
    expect(actions).toEqual(["a@x.test failed", "b@x.test failed", "a@x.test relayed"]);
    expect(to).toEqual(["sender@example.org"]);
    for (const status of ["5.1.1", "5.2.2", "2.0.0"]) expect(text).toContain(`Status: ${status}\r`);
    expect(text).toContain("Diagnostic-Code: smtp; 552 5.2.2 Full\r");
    expect(text).toContain("Remote-MTA: dns; mx.test\r");
    expect(text).toContain("message/rfc822");
  });

  test("when it was tried, if it was", async () => {
    const refusing = relayOf({ kind: "reject" });
    const delivering = testDelivering();
    const delivery = deliveryOf(["a@x.test"]);
    const said = async (attempt: Attempt) => {
      const { report } = await conclude(delivery, refusing, attempt, delivering);
      return /^Last-Attempt-Date: (.*)\r$/m.exec(new TextDecoder().decode(report!.content))?.[1];
    };
    const tried = { verdicts: [{ ordinal: 0, ...never }], facts: { relay: "relay", seconds: 1 } };
    expect(await said(tried)).toBe("Thu, 1 Jan 2026 00:00:00 +0000");
    const held = () => true;
    const rejected = await new Transport(delivering).deliver(delivery, refusing, held);
    expect(await said(rejected)).toBeUndefined();
  });

  test("only what the next hop said as its words", async () => {
    const words = async (
      verdict: Omit<Verdict, "ordinal">,
      more?: Parameters<typeof concluded>[2],
    ) =>
      (await concluded(["a@x.test"], [verdict], more)).text!
        .match(/^(Status|Remote-MTA|Diagnostic-Code| +In detail| +mx\S+ said).*(?=\r$)/gm);
    const reply = "550 5.6.7 The next hop does not offer SMTPUTF8";
    expect(await words({ status: "never", reply, isOurs: true })).toEqual([
      "    In detail: The next hop does not offer SMTPUTF8",
      "Status: 5.6.7",
    ]);
    expect(
      await words({ ...later, reply: "451 4.4.1 No answer" }, { after: 86_400, hasSession: false }),
    )
      .toEqual([
        "    In detail: Given up after retries; last: 451 4.4.1 No answer",
        "Status: 5.4.7",
      ]);
    expect(await words(later, { after: 86_400 })).toEqual([
      "    mx.test said:",
      "Status: 5.4.7",
      "Remote-MTA: dns; mx.test",
      "Diagnostic-Code: smtp; 450 4.2.1 Busy",
    ]);
    const elsewhere = { host: "mx2.test" } as SessionPlace;
    expect(await words({ ...never, place: elsewhere })).toContain("Remote-MTA: dns; mx2.test");
  });

  test.each([
    ["552 5.2.2 Full", "5.2.2"],
    ["550 5.7.1", "5.7.1"],
    ["550 Relaying denied for 10.5.1.1", "5.0.0"],
    ["550 No such user, see 5.1.1 there", "5.0.0"],
    ["550 5.1.1.9 is a host", "5.0.0"],
    ["550 4.2.1 Busy for good", "5.0.0"],
  ])("of %s the status %s", async (reply, status) => {
    const { text } = await concluded(["a@x.test"], [{ status: "never", reply }]);
    expect(text).toContain(`Status: ${status}\r`);
  });

  test("nothing of what requires TLS but which message it was, and needs no REQUIRETLS", async () => {
    const { text, outcome, actions } = await concluded(["a@x.test"], [never], {
      delivery: {
        parameters: { requireTls: true, ret: "FULL" },
        text:
          "Subject: Merger\r\nFrom: Ann <ann@example.org>\r\nMessage-ID: <1@example.org>\r\n\r\nHello\r\n",
      },
    });
    expect(actions).toEqual(["a@x.test failed"]);
    expect(text).toContain("In-Reply-To: <1@example.org>\r\n");
    expect(text).not.toMatch(/Merger|Ann|Hello|rfc822-headers|message\/rfc822/);
    expect(text).toMatch(/must\s+not\s+travel\s+without\s+TLS/);
    expect(outcome.report!.message.parameters).toEqual({ body: "7BIT" });
  });

  test("the header only where that is asked for, or when nothing failed", async () => {
    const returned = async (parameters: object, verdict: Omit<Verdict, "ordinal">) => {
      const { text } = await concluded([asking("SUCCESS", "FAILURE")], [verdict], {
        delivery: { parameters },
      });
      return text!.includes("Hello");
    };
    expect(await returned({}, never)).toBe(true);
    expect(await returned({ ret: "FULL" }, never)).toBe(true);
    expect(await returned({ ret: "HDRS" }, never)).toBe(false);
    expect(await returned({}, { ...accepted, owed: "delivered" })).toBe(false);
  });
});

describe("the report goes", () => {
  const srs = relayOf({ kind: "mx", senderRewriting: { domain: "srs.test" } });
  const aliases = { sales: ["ann@ours.test", "bob@ours.test"] };
  const configuration = { relays: { srs }, domains: [["ours.test", { aliases }] as const] };

  test("to each mailbox of an alias that sent", async () => {
    const { to, outcome } = await concluded(["a@x.test"], [never], {
      delivery: { reversePath: "sales@ours.test" },
      configuration,
    });
    expect(to).toEqual(aliases.sales);
    expect(outcome.report!.message.recipients[0]).toMatchObject({
      destination: { relay: "default", nextHop: "ours.test" },
      decision: { recipient: "sales@ours.test" },
    });
  });

  test("about the address that the sender wrote to", async () => {
    const subject = async (acceptedAs: string) => {
      const { text } = await concluded([{ forwardPath: "a@x.test", acceptedAs }], [never]);
      return /^Subject: (.*)\r$/m.exec(text!)![1];
    };
    expect(await subject("sales@alias.test")).toBe("Undelivered mail: sales@alias.test");
    expect(await subject("A@X.test")).toBe("Undelivered mail: a@x.test");
  });

  test("to who is behind a rewritten sender, while that is good", async () => {
    const sign = testDelivering().signSender!;
    const rewritten = (day: string) =>
      rewriteSender("ann@out.test", {
        domain: "srs.test",
        sign,
        day: Date.parse(day) / 86_400_000,
      });
    const to = async (reversePath: string) =>
      (await concluded(["a@x.test"], [never], { delivery: { reversePath }, configuration })).to;
    expect(await to(rewritten("2025-12-31"))).toEqual(["ann@out.test"]);
    expect(await to(rewritten("2025-12-01"))).toBeUndefined();
  });
});

describe("a delay", () => {
  const hours = 3600;

  test("is told after four hours, once", async () => {
    expect((await concluded(["a@x.test"], [later], { after: 4 * hours - 1 })).text).toBeUndefined();
    const { outcome, actions, states, text } = await concluded(["a@x.test"], [later], {
      after: 4 * hours,
    });
    expect([actions, states]).toEqual([["a@x.test delayed"], ["deferred"]]);
    expect(outcome.recipients[0]).toMatchObject({ delayReported: true });
    expect(text).toContain("Status: 4.2.1\r");
    expect(text).toContain("Will-Retry-Until: Fri, 2 Jan 2026 00:00:00 +0000");
    const told = { forwardPath: "a@x.test", delayReported: true };
    expect((await concluded([told], [later], { after: 5 * hours })).text).toBeUndefined();
  });

  test.each([
    ["a@x.test", {}, true],
    [asking("DELAY"), {}, true],
    [asking("FAILURE"), {}, false],
    [asking("NEVER"), {}, false],
    ["a@x.test", { delayNotice: false }, false],
    ["a@x.test", { delayNotice: 6 * hours }, false],
  ])("of %j with %j is told: %s", async (recipient, more, told) => {
    const by = relayOf({ kind: "mx", retry: { delays: [600], lifetime: 86_400, ...more } });
    const { text } = await concluded([recipient as string], [later], { after: 5 * hours, by });
    expect(text !== undefined).toBe(told);
  });

  test("past the time to deliver by is told at once in mode N, and delivery goes on", async () => {
    const parameters = { deliverBy: { seconds: 300, mode: "notify", trace: false } };
    const before = await concluded(["a@x.test"], [later], { after: 10, delivery: { parameters } });
    expect(before.text).toBeUndefined();
    expect(before.outcome.dueAt).toEqual(new Date("2026-01-01T00:05:00Z"));
    const after = await concluded(["a@x.test"], [later], { after: 300, delivery: { parameters } });
    expect([after.actions, after.states]).toEqual([["a@x.test delayed"], ["deferred"]]);
  });
});

describe("a report about a report", () => {
  const delivery = { reversePath: "" };

  test("goes to the postmaster", async () => {
    const { actions, states, to, text } = await concluded([asking("NEVER")], [never], {
      delivery,
      configuration: { postmaster: "postmaster@ours.test" },
    });
    expect([actions, states, to]).toEqual([
      ["a@x.test failed"],
      ["bounced"],
      ["postmaster@ours.test"],
    ]);
    expect(text).toContain("Subject: Undelivered and not returned: a@x.test\r\n");
    expect(text).toContain("A message without a return address");
    expect(text).not.toMatch(/\bYour\b/i);
  });

  test("is not made where there is no postmaster: what failed is held", async () => {
    const { outcome, states } = await concluded(["a@x.test"], [never], { delivery });
    expect([states, outcome.report, outcome.dueAt]).toEqual([["held"], undefined, undefined]);
  });

  test("is not made about the postmaster", async () => {
    const postmaster = "postmaster@ours.test";
    const { states, to } = await concluded(["Postmaster@OURS.test"], [never], {
      delivery,
      configuration: { postmaster },
    });
    expect([states, to]).toEqual([["held"], undefined]);
  });

  test("is not made about a mailbox of the postmaster's", async () => {
    const postmaster = "postmaster@ours.test";
    const aliases = { postmaster: ["ann@ours.test", "bob@ours.test"] };
    const configuration = { postmaster, domains: [["ours.test", { aliases }] as const] };
    const about = (path: string) => concluded([path], [never], { delivery, configuration });
    expect((await about("a@x.test")).to).toEqual(aliases.postmaster);
    expect((await about("Bob@ours.test")).states).toEqual(["held"]);
  });

  test("is made neither of a delay nor of a success", async () => {
    const delayed = await concluded(["a@x.test"], [later], { delivery, after: 20_000 });
    expect([delayed.states, delayed.outcome.report]).toEqual([["deferred"], undefined]);
    const accepted = { status: "delivered", reply: "250 Ok", owed: "delivered" } as const;
    expect((await concluded([asking("SUCCESS")], [accepted], { delivery })).text).toBeUndefined();
  });

  test("is made for a sender whose address is none", async () => {
    const { states, to, text } = await concluded(["a@x.test"], [never], {
      delivery: { reversePath: "x@not a domain" },
      configuration: { postmaster: "postmaster@ours.test" },
    });
    expect(text).toContain("A message from <x@not a domain> could NOT be delivered");
    expect([states, to]).toEqual([["bounced"], ["postmaster@ours.test"]]);
  });
});
