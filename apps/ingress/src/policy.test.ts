import { domainSchema, relaySchema, ruleSchema } from "@postern/config";
import { compile } from "@postern/routing";
import { type MailParameters, parseForwardPath, type RcptParameters } from "@postern/smtp";
import { describe, expect, test } from "vitest";
import type { Ingress } from "./gateway-state.ts";
import { MailTransaction } from "./policy.ts";
import type { SessionFacts } from "./session-facts.ts";

const snapshot = compile({
  version: 1,
  relays: new Map([["hop", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })]]),
  domains: new Map([[
    "here.test",
    domainSchema.parse({ relay: "hop", aliases: { sales: ["bob@here.test"] } }),
  ]]),
  clients: new Map(),
  users: new Map(),
  rules: new Map([[
    "archive",
    ruleSchema.parse({
      match: { forwardPath: "anna@here.test" },
      actions: [{ do: "addRecipient", address: "archive@here.test" }],
    }),
  ]]),
  settings: new Map(),
});
const ingress = { snapshot, hostname: "mx.here.test", now: () => new Date(0) } as Ingress;
const facts: SessionFacts = {
  address: "192.0.2.1",
  port: 4321,
  listener: "smtp://0.0.0.0:25",
  verb: "EHLO",
  helo: "client.test",
};

const nullPath = { kind: "null", address: "", sourceRoute: [] } as const;

/** What is stored for the recipients of one transaction. */
async function stored(recipients: readonly (readonly [string, RcptParameters])[]) {
  const transaction = new MailTransaction(ingress, facts, nullPath, {});
  for (const [address, parameters] of recipients) {
    const parsed = parseForwardPath(`<${address}>`);
    if ("fault" in parsed) throw new Error(parsed.fault);
    expect(await transaction.rcpt(parsed.path, parameters)).toBeUndefined();
  }
  const settlement = await transaction.settle(undefined);
  if (settlement.status === "refused") throw new Error(settlement.reply.lines.join());
  return settlement.recipients.map(({ forwardPath, parameters, decision }) => ({
    forwardPath,
    parameters,
    given: (decision as { recipient: string }).recipient,
  }));
}

describe("a recipient of the sender's that a rule adds, too", () => {
  const anna = ["anna@here.test", {}] as const;
  const archive = ["archive@here.test", { notify: ["FAILURE"] }] as const;
  const annas = { forwardPath: "anna@here.test", parameters: {}, given: "anna@here.test" };
  const own = {
    forwardPath: "archive@here.test",
    parameters: { notify: ["FAILURE"] },
    given: "archive@here.test",
  };

  test("is the sender's when it comes after", async () => {
    expect(await stored([anna, archive])).toEqual([annas, own]);
  });

  test("is the sender's when it comes before", async () => {
    expect(await stored([archive, anna])).toEqual([own, annas]);
  });

  test("is nobody's when the sender did not name it", async () => {
    expect(await stored([anna])).toEqual([
      annas,
      { ...own, parameters: { notify: "NEVER" }, given: "anna@here.test" },
    ]);
  });
});

describe("a recipient that is given twice has what was asked with either", () => {
  const originalRecipient = { type: "rfc822", address: "b@x.test" };
  const success: RcptParameters = { notify: ["SUCCESS"] };
  const never: RcptParameters = { notify: "NEVER" };

  test.each<[RcptParameters, RcptParameters, RcptParameters]>([
    [{}, {}, {}],
    [never, {}, {}],
    [{}, never, {}],
    [never, never, never],
    [never, success, success],
    [success, never, success],
    [success, { notify: ["FAILURE", "SUCCESS"] }, { notify: ["SUCCESS", "FAILURE"] }],
    [{}, success, { notify: ["FAILURE", "DELAY", "SUCCESS"] }],
    [success, {}, { notify: ["SUCCESS", "FAILURE", "DELAY"] }],
    [never, { originalRecipient }, { originalRecipient }],
    [{ originalRecipient }, { originalRecipient: { type: "rfc822", address: "c@x.test" } }, {
      originalRecipient,
    }],
  ])("%j and %j", async (first, second, parameters) => {
    const once = { forwardPath: "bob@here.test", parameters };
    expect(await stored([["bob@here.test", first], ["bob@here.test", second]]))
      .toEqual([{ ...once, given: "bob@here.test" }]);
    expect(await stored([["sales@here.test", first], ["bob@here.test", second]]))
      .toEqual([{ ...once, given: "sales@here.test" }]);
  });
});

describe("mail that is held", () => {
  const by = (seconds: number, mode: "return" | "notify") => ({ seconds, mode, trace: false });

  test.each<[MailParameters, boolean]>([
    [{ holdFor: 5 }, true],
    [{ holdFor: 5, deliverBy: by(6, "return") }, true],
    [{ holdFor: 5, deliverBy: by(5, "return") }, false],
    [{ holdUntil: "1970-01-01T00:00:05Z", deliverBy: by(2, "return") }, false],
    [{ holdFor: 5, deliverBy: by(2, "notify") }, true],
  ])("%j is accepted: %s", (parameters, accepted) => {
    const answer = new MailTransaction(ingress, facts, nullPath, parameters).mail();
    const refusal = {
      code: 501,
      enhanced: "5.5.4",
      lines: ["Held until after the time to deliver by"],
    };
    expect(answer).toEqual(accepted ? undefined : refusal);
  });
});

test("a login that XCLIENT tells and nobody here knows is a stranger's; one of ours that is gone is refused", async () => {
  const mail = async (more: Partial<SessionFacts>) =>
    (await new MailTransaction(
      ingress,
      { ...facts, user: "ldap@there.test", ...more },
      nullPath,
      {},
    )
      .mail())?.lines;
  expect(await mail({ speaker: "10.0.0.9" })).toBeUndefined();
  expect(await mail({})).toEqual([expect.stringContaining("gone or disabled")]);
});
