/** Explanations and real decisions agree, whatever the rules and the mail. */
import {
  type Condition,
  conditionSchema,
  type Configuration,
  domainSchema,
  relaySchema,
  type Rule,
  ruleSchema,
  userSchema,
} from "@postern/config";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide } from "./decide.ts";
import type { ContentFacts, RecipientFacts } from "./facts.ts";
import { explain, replay } from "./explain.ts";
import { compile } from "./snapshot.ts";

const addresses = ["a@one.test", "B@one.test", "a+x@two.test", "c@sub.two.test", "d@three.test"];
const senders = ["", "a@one.test", "s@out.test", "S@OUT.test", "t@sub.out.test"];
const domains = ["one.test", "two.test", "sub.two.test", "three.test", "out.test"];

const pattern = (literals: readonly string[]) => {
  const one = fc.oneof(
    fc.constantFrom(...literals.filter((literal) => literal !== "")),
    fc.constantFrom("*@one.test", "*@*.test", "a*", "?@one.test", "*two*", "*@out.test", "*")
      .map((wildcard) => ({ wildcard })),
    fc.constantFrom("^a", "one", "[bc]@", "x$", "\\.test$").map((regex) => ({ regex })),
  );
  return fc.oneof(one, fc.array(one, { minLength: 1, maxLength: 3 }));
};

const condition = fc.letrec<{ tree: unknown }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.oneof(
      fc.record({ forwardPath: pattern(addresses) }),
      fc.record({ reversePath: pattern(senders) }),
      fc.record({ domain: pattern(domains) }),
      fc.record({ user: pattern(["u1", "u2"]) }),
      fc.record({ client: fc.constantFrom(["lan"], ["other"], ["lan", "other"]) }),
      fc.record({ tls: fc.boolean() }),
      fc.constantFrom({ size: { over: 100 } }, { size: { under: 50 } }),
      fc.constantFrom(
        { header: { name: "Subject" } },
        { header: { name: "subject", value: { wildcard: "*spam*" } } },
        { authentication: { spf: ["pass"] } },
      ),
    ),
    fc.record({ all: fc.array(tie("tree"), { maxLength: 3 }) }),
    fc.record({ any: fc.array(tie("tree"), { maxLength: 3 }) }),
    fc.record({ not: tie("tree") }),
  ),
})).tree.map((tree): Condition => conditionSchema.parse(tree));

const action = fc.constantFrom<object>(
  { do: "accept" },
  { do: "stop" },
  { do: "reject" },
  { do: "defer" },
  { do: "relay", relay: "other" },
  { do: "relay", relay: "closed" },
  { do: "rewriteSender", replacement: "r@one.test" },
  { do: "rewriteRecipient", pattern: { regex: "^a" }, replacement: "z" },
  { do: "addHeader", name: "X-A", value: "1" },
  { do: "addRecipient", address: "j@one.test" },
  { do: "redirect", address: "r@three.test" },
  { do: "hold" },
  { do: "tag", tag: "t" },
);

const rules = fc.array(
  fc.record({
    order: fc.nat(5),
    match: condition,
    actions: fc.array(action, { minLength: 1, maxLength: 3 }),
  }).map((rule): Rule => ruleSchema.parse(rule)),
  { maxLength: 8 },
).map((list) => new Map(list.map((rule, at) => [`r${at}`, rule])));

const configuration = rules.map((some): Configuration => ({
  version: 3,
  relays: new Map([
    ["in", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })],
    ["other", relaySchema.parse({ kind: "mx" })],
    ["closed", relaySchema.parse({ kind: "reject" })],
  ]),
  domains: new Map([
    ["one.test", domainSchema.parse({ relay: "in", aliases: { a: ["b@one.test", "x@two.test"] } })],
    [
      "two.test",
      domainSchema.parse({ relay: "in", subAddressing: { separator: "+", strip: true } }),
    ],
    ["*.two.test", domainSchema.parse({ relay: "other", recipients: { verify: "list" } })],
  ]),
  clients: new Map(),
  users: new Map([["u1", userSchema.parse({})]]),
  rules: some,
  settings: new Map(),
}));

const content = fc.record({
  size: fc.constantFrom(10, 75, 200),
  header: fc.constantFrom([], [{ name: "Subject", value: "Spam!" }], [{ name: "To", value: "x" }]),
}) as fc.Arbitrary<ContentFacts>;

const facts = fc.record({
  forwardPath: fc.constantFrom(...addresses),
  reversePath: fc.constantFrom(...senders),
  session: fc.record({
    address: fc.constant("203.0.113.9"),
    tls: fc.boolean(),
    helo: fc.constant("h"),
    client: fc.constantFrom("lan", undefined),
    user: fc.constantFrom("u1", undefined),
  }),
  content: fc.option(content, { nil: undefined }),
}).map((some): RecipientFacts => ({
  ...some,
  time: new Date("2026-11-24T12:00:00Z"),
  hostname: "mx.test",
}));

const withoutReasons = (decision: object) => ({ ...decision, reasons: undefined });

describe("properties", () => {
  test("an explanation and the decision of real mail agree", () => {
    fc.assert(
      fc.property(configuration, facts, (some, of) => {
        const snapshot = compile(some);
        const real = decide(snapshot, of);
        const explained = decide(snapshot, of, { explain: true });
        expect(withoutReasons(explained)).toEqual(withoutReasons(real));
        const rulesOf = ({ reasons }: typeof real) =>
          reasons.flatMap((reason) =>
            reason.kind === "rule" && reason.matched !== false ? [reason.name] : []
          );
        expect(rulesOf(explained)).toEqual(rulesOf(real));
      }),
      { numRuns: 3000, seed: 4 },
    );
  });

  test("what is refused at RCPT is refused after any content, but for what content rules say", () => {
    fc.assert(
      fc.property(configuration, facts, content, (some, of, later) => {
        const snapshot = compile(some);
        const atRcpt = decide(snapshot, { ...of, content: undefined });
        const after = decide(snapshot, { ...of, content: later });
        const undecided = atRcpt.reasons.some((reason) =>
          reason.kind === "rule" && reason.matched === null
        );
        if (!undecided && !(atRcpt.action === "deliver" && atRcpt.provisional)) {
          const strip = (decision: object) => ({ ...decision, provisional: undefined });
          expect(strip(after)).toEqual(strip(atRcpt));
        }
      }),
      { numRuns: 3000, seed: 5 },
    );
  });
});

describe("explain and replay", () => {
  const base: Configuration = {
    version: 1,
    relays: new Map([["in", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })]]),
    domains: new Map([["one.test", domainSchema.parse({ relay: "in" })]]),
    clients: new Map(),
    users: new Map(),
    rules: new Map(),
    settings: new Map(),
  };
  const spam = ruleSchema.parse({
    match: { header: { name: "Subject", value: { wildcard: "*lottery*" } } },
    actions: [{ do: "hold" }],
  });
  const request = {
    client: { address: "203.0.113.9" },
    reversePath: "a@b.test",
    recipients: ["u@one.test", "@far.test:v@one.test", "u@elsewhere.test"],
    header: [{ name: "Subject", value: "The lottery" }],
  };
  const surroundings = { time: new Date("2026-11-24T12:00:00Z"), hostname: "mx.test" };

  test("one decision for each recipient, as JSON", () => {
    const explained = explain(compile(base), request, surroundings);
    expect(explained).toMatchObject([
      { recipient: "u@one.test", action: "deliver", copies: [{ relay: "in" }], version: 1 },
      { recipient: "@far.test:v@one.test", copies: [{ forwardPath: "v@one.test" }] },
      { recipient: "u@elsewhere.test", action: "reject", code: 550, enhanced: "5.7.1" },
    ]);
    expect(JSON.parse(JSON.stringify(explained))).toEqual(explained);
  });

  test("who is refused at RCPT is, whatever the content would have led to", () => {
    const list = domainSchema.parse({ relay: "in", recipients: { verify: "list" } });
    const redirect = ruleSchema.parse({
      match: { header: { name: "Subject" } },
      actions: [{ do: "redirect", address: "known@one.test" }],
    });
    const known = new Map([["u@one.test", false]]);
    const some = { ...base, domains: new Map([["one.test", list]]) };
    const [explained] = explain(
      compile({ ...some, rules: new Map([["away", redirect]]) }),
      { ...request, recipients: ["u@one.test"] },
      { ...surroundings, known },
    );
    expect(explained).toMatchObject({ action: "reject", enhanced: "5.1.1" });
  });

  test("replay tells which recipients fare differently, and how", () => {
    const candidate = compile({ ...base, version: 2, rules: new Map([["spam", spam]]) });
    expect(replay(compile(base), candidate, request, surroundings)).toMatchObject([
      { recipient: "u@one.test", after: { rule: "spam", copies: [{ hold: "Held by a rule" }] } },
      { recipient: "@far.test:v@one.test", after: { rule: "spam" } },
    ]);
    expect(replay(compile(base), compile({ ...base, version: 2 }), request, surroundings))
      .toEqual([]);
  });
});
