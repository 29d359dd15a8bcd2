import {
  type Configuration,
  domainSchema,
  relaySchema,
  ruleSchema,
  userSchema,
} from "@postern/config";
import { expect, test } from "vitest";
import { checkRule, problemsOf } from "./problems.ts";

const empty: Configuration = {
  version: 1,
  relays: new Map(),
  domains: new Map(),
  clients: new Map(),
  users: new Map(),
  rules: new Map(),
  settings: new Map(),
};

test("expressions that do not compile are named with their place", () => {
  const rule = ruleSchema.parse({
    match: { all: [{ helo: "x" }, { not: { reversePath: ["a@b.test", { regex: "(" }] } }] },
    actions: [{ do: "rewriteSender", pattern: { regex: "a(?=b)" }, replacement: "x@y.test" }],
  });
  expect(checkRule("r", rule)).toMatchObject([
    { kind: "rules", name: "r", pointer: "/match/all/1/not/reversePath/1/regex" },
    { kind: "rules", name: "r", pointer: "/actions/0/pattern/regex" },
  ]);
  const recipients = { verify: "pattern", pattern: { regex: "[" } } as const;
  const domains = new Map([["d.test", domainSchema.parse({ relay: "r", recipients })]]);
  const users = new Map([["u", userSchema.parse({ senders: [{ regex: "*" }] })]]);
  expect(problemsOf({ ...empty, domains, users })).toMatchObject([
    { kind: "users", name: "u", pointer: "/senders/0/regex" },
    { kind: "domains", name: "d.test", pointer: "/recipients/pattern/regex" },
  ]);
});

test.each(["(a{1000}){1000}", "((a{100}){100}){100}", "(?:x{0,1000}){900}"])(
  "an expression that would take memory without end is refused: %s",
  (regex) => {
    const rule = ruleSchema.parse({ match: { helo: { regex } }, actions: [{ do: "reject" }] });
    expect(checkRule("r", rule)).toMatchObject([{ pointer: "/match/helo/regex" }]);
  },
);

test("a split points at no split", () => {
  const half = (one: string, other: string) =>
    relaySchema.parse({
      kind: "split",
      relays: [{ relay: one, percent: 50 }, { relay: other, percent: 50 }],
    });
  const relays = new Map([
    ["a", half("b", "mx")],
    ["b", half("mx", "mx")],
    ["mx", relaySchema.parse({ kind: "mx" })],
  ]);
  expect(problemsOf({ ...empty, relays })).toMatchObject([
    { kind: "relays", name: "a", pointer: "/relays/0/relay" },
  ]);
});

test("aliases that go round are named; an alias that keeps a copy is none", () => {
  const domains = new Map([
    [
      "d.test",
      domainSchema.parse({
        relay: "r",
        aliases: {
          me: ["me@d.test", "other@d.test"],
          a: ["b@e.test"],
          x: ["y@d.test"],
          y: ["z@d.test"],
        },
      }),
    ],
    ["e.test", domainSchema.parse({ relay: "r", aliases: { b: ["c@e.test"], c: ["A@d.test"] } })],
  ]);
  expect(problemsOf({ ...empty, domains })).toMatchObject([
    { kind: "domains", name: "d.test", pointer: "/aliases/a" },
  ]);
});
