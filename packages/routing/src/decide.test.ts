import {
  clientSchema,
  type Configuration,
  type Domain,
  domainSchema,
  relaySchema,
  type Rule,
  ruleSchema,
  settingsSchema,
  userSchema,
} from "@postern/config";
import { describe, expect, test } from "vitest";
import { decide } from "./decide.ts";
import type { Decision } from "./decision.ts";
import type { RecipientFacts } from "./facts.ts";
import { compile, identifyClient } from "./snapshot.ts";

type Input<T extends { _zod: { input: unknown } }> = T["_zod"]["input"];

const relays = new Map([
  ["default", relaySchema.parse({ kind: "mx" })],
  ["internal", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })],
  ["archive", relaySchema.parse({ kind: "lmtp", hosts: [{ host: "10.0.0.6" }] })],
  ["partner-mx", relaySchema.parse({ kind: "mx" })],
  [
    "closed",
    relaySchema.parse({ kind: "reject", code: 554, enhanced: "5.7.27", text: "Moved away" }),
  ],
  [
    "both",
    relaySchema.parse({
      kind: "split",
      relays: [{ relay: "internal", percent: 30 }, { relay: "archive", percent: 70 }],
    }),
  ],
  ["srs", relaySchema.parse({ kind: "mx", senderRewriting: { domain: "srs.example.com" } })],
]);

interface Setup {
  readonly domains?: Record<string, Input<typeof domainSchema>>;
  readonly rules?: Record<string, Input<typeof ruleSchema>>;
  readonly settings?: Input<typeof settingsSchema>;
}

function configurationOf({ domains = {}, rules = {}, settings }: Setup = {}): Configuration {
  const all: [string, Domain][] = Object.entries({
    "example.com": { relay: "internal" },
    "xn--bcher-kva.example": { relay: "internal" },
    "partner.test": { relay: "partner-mx" },
    ...domains,
  }).map(([name, domain]) => [name, domainSchema.parse(domain)]);
  return {
    version: 7,
    relays,
    domains: new Map(all),
    rules: new Map(
      Object.entries(rules).map(([name, rule]): [string, Rule] => [name, ruleSchema.parse(rule)]),
    ),
    settings: settings === undefined
      ? new Map()
      : new Map([["gateway", settingsSchema.parse(settings)]]),
    clients: new Map([
      ["lan", clientSchema.parse({ networks: ["10.0.0.0/8"], sourceRoutes: "honour" })],
      ["inbound", clientSchema.parse({ networks: ["192.0.2.0/24"], mayRelay: false })],
      [
        "tenant",
        clientSchema.parse({
          networks: ["198.51.100.7"],
          certificates: ["ab".repeat(32)],
          senderDomains: ["tenant.test", "*.tenant.test"],
          limits: { messageSize: 1000, recipients: 2 },
        }),
      ],
    ]),
    users: new Map([
      ["alice@example.com", userSchema.parse({ senders: [{ wildcard: "*@example.com" }] })],
      ["kiosk", userSchema.parse({ mayRelay: false })],
      ["gone", userSchema.parse({ disabled: true })],
    ]),
  };
}

const stranger = { address: "203.0.113.9", tls: false, helo: "out.test" };
const lan = { ...stranger, address: "10.1.2.3", client: "lan" };

function facts(forwardPath: string, more: Partial<RecipientFacts> = {}): RecipientFacts {
  return {
    session: stranger,
    reversePath: "a@out.test",
    forwardPath,
    time: new Date("2026-11-24T12:00:00Z"),
    hostname: "mx.example.net",
    ...more,
  };
}

function run(setup: Setup, forwardPath: string, more: Partial<RecipientFacts> = {}): Decision {
  return decide(compile(configurationOf(setup)), facts(forwardPath, more));
}

/** A decision in one line, as the tables below have it. */
function line(decision: Decision): string {
  if (decision.action === "ask") {
    const { kind, domain, address, relay } = decision.question;
    return `ask ${kind} ${domain} ${address} ${relay}`;
  }
  if (decision.action !== "deliver") return `${decision.code} ${decision.enhanced}`;
  const copies = decision.copies.map(({ forwardPath, relay, nextHop, hold }) =>
    `${forwardPath} ${relay}${nextHop && `(${nextHop})`}${hold === undefined ? "" : " held"}`
  );
  return `${decision.provisional ? "provisional: " : ""}${copies.join(", ")}`;
}

const content = (fields: Record<string, string> = {}, size = 500): RecipientFacts["content"] => ({
  size,
  header: Object.entries(fields).map(([name, value]) => ({ name, value })),
});

describe("the client that a session is", () => {
  const snapshot = compile(configurationOf());
  test.each([
    [{ address: "10.255.255.255" }, "lan"],
    [{ address: "11.0.0.0" }, undefined],
    [{ address: "::ffff:10.1.2.3" }, "lan"],
    [{ address: "10.1.2.3", certificate: "AB:".repeat(31) + "AB" }, "tenant"],
    [{ address: "10.1.2.3", certificate: "cd".repeat(32) }, "lan"],
    [{ address: "fe80::1%eth0" }, undefined],
    [{ address: "not an address" }, undefined],
  ])("%j → %s", (session, client) => expect(identifyClient(snapshot, session)).toBe(client));
});

describe("who may send where", () => {
  test.each<[string, RecipientFacts["session"], string]>([
    ["u@example.com", stranger, "u@example.com internal"],
    ["u@EXAMPLE.com", stranger, "u@example.com internal"],
    ['"a@b"@example.com', stranger, '"a@b"@example.com internal'],
    ["u@bücher.example", stranger, "u@xn--bcher-kva.example internal"],
    ["u@partner.test", stranger, "u@partner.test partner-mx(partner.test)"],
    ["u@elsewhere.test", stranger, "550 5.7.1"],
    ["u@sub.example.com", stranger, "550 5.7.1"],
    ["u@[10.0.0.5]", stranger, "550 5.7.1"],
    ["u@-.test", stranger, "550 5.1.2"],
    ["u@elsewhere.test", lan, "u@elsewhere.test default(elsewhere.test)"],
    ["u@[192.0.2.1]", lan, "u@[192.0.2.1] default([192.0.2.1])"],
    ["u@elsewhere.test", { ...stranger, client: "inbound" }, "550 5.7.1"],
    ["u@elsewhere.test", { ...stranger, user: "kiosk" }, "550 5.7.1"],
    ["u@elsewhere.test", { ...stranger, user: "gone" }, "530 5.7.0"],
    ["u@example.com", { ...stranger, user: "gone" }, "530 5.7.0"],
    ["u@elsewhere.test", { ...lan, user: "kiosk" }, "u@elsewhere.test default(elsewhere.test)"],
  ])("to %s from %j: %s", (forwardPath, session, expected) => {
    expect(line(run({}, forwardPath, { session }))).toBe(expected);
  });

  test("no rule lets a stranger relay", () => {
    const rules: Setup["rules"] = {
      all: { actions: [{ do: "relay", relay: "internal" }, { do: "accept" }] },
    };
    expect(line(run({ rules }, "u@elsewhere.test"))).toBe("550 5.7.1");
  });

  test.each<[string, RecipientFacts["session"], string]>([
    [
      "alice@example.com",
      { ...stranger, user: "alice@example.com" },
      "x@elsewhere.test default(elsewhere.test)",
    ],
    ["bob@other.test", { ...stranger, user: "alice@example.com" }, "553 5.7.1"],
    ["", { ...stranger, user: "alice@example.com" }, "x@elsewhere.test default(elsewhere.test)"],
    [
      "a@tenant.test",
      { ...stranger, client: "tenant" },
      "provisional: x@elsewhere.test default(elsewhere.test)",
    ],
    [
      "a@deep.sub.tenant.test",
      { ...stranger, client: "tenant" },
      "provisional: x@elsewhere.test default(elsewhere.test)",
    ],
    ["a@nottenant.test", { ...stranger, client: "tenant" }, "553 5.7.1"],
  ])("sender <%s> of %j: %s", (reversePath, session, expected) => {
    expect(line(run({}, "x@elsewhere.test", { session, reversePath }))).toBe(expected);
  });

  test("limits of the client hold: declared size, size, recipients", () => {
    const session = { ...stranger, client: "tenant" };
    const from = { session, reversePath: "a@tenant.test" };
    expect(line(run({}, "u@example.com", { ...from, declaredSize: 1001 }))).toBe("552 5.3.4");
    expect(line(run({}, "u@example.com", { ...from, content: content({}, 1001) }))).toBe(
      "552 5.3.4",
    );
    const accepted = { total: 2, ofDomain: 0 };
    expect(line(run({}, "u@example.com", { ...from, accepted }))).toBe("452 4.5.3");
  });
});

describe("domains", () => {
  test.each([
    ["u@sub.example.com", "u@sub.example.com archive"],
    ["u@a.b.sub.example.com", "u@a.b.sub.example.com partner-mx(a.b.sub.example.com)"],
    ["u@sub.sub.example.com", "u@sub.sub.example.com partner-mx(sub.sub.example.com)"],
    ["u@own.sub.example.com", "u@own.sub.example.com internal"],
    ["u@example.com", "u@example.com internal"],
    ["u@notexample.com", "550 5.7.1"],
  ])("the longest wildcard, and exact before it: %s", (forwardPath, expected) => {
    const domains = {
      "*.example.com": { relay: "archive" },
      "*.sub.example.com": { relay: "partner-mx" },
      "own.sub.example.com": { relay: "internal" },
    };
    expect(line(run({ domains }, forwardPath))).toBe(expected);
  });

  test.each<[Input<typeof domainSchema>, Partial<RecipientFacts>, string]>([
    [{ relay: "internal", tls: "required" }, {}, "550 5.7.10"],
    [
      { relay: "internal", tls: "required" },
      { session: { ...stranger, tls: true } },
      "u@d.test internal",
    ],
    [{ relay: "internal", maximumSize: 2000 }, { declaredSize: 2001 }, "552 5.3.4"],
    [{ relay: "internal", maximumSize: 2000 }, {}, "provisional: u@d.test internal"],
    [{ relay: "internal", maximumSize: 2000 }, { content: content({}, 2001) }, "552 5.3.4"],
    [{ relay: "internal", policy: { clients: ["lan"] } }, {}, "550 5.7.1"],
    [{ relay: "internal", policy: { clients: ["lan"] } }, { session: lan }, "u@d.test internal"],
    [
      { relay: "internal", policy: { clients: [] } },
      { session: { ...stranger, user: "kiosk" } },
      "u@d.test internal",
    ],
    [
      { relay: "internal", policy: { nullReversePath: "refuse" } },
      { reversePath: "" },
      "550 5.7.1",
    ],
    [{ relay: "internal", policy: { recipientsPerMessage: 2 } }, {
      accepted: { total: 2, ofDomain: 2 },
    }, "452 4.5.3"],
    [{ relay: "closed" }, {}, "554 5.7.27"],
  ])("%j with %j: %s", (domain, more, expected) => {
    expect(line(run({ domains: { "d.test": domain } }, "u@d.test", more))).toBe(expected);
  });

  test("a split sends each address to the same relay, in about the given shares", () => {
    const snapshot = compile(configurationOf({ domains: { "d.test": { relay: "both" } } }));
    const relayOf = (forwardPath: string) => {
      const decision = decide(snapshot, facts(forwardPath));
      return decision.action === "deliver" ? decision.copies[0]!.relay : "";
    };
    const chosen = Array.from({ length: 4000 }, (_, at) => relayOf(`user${at}@d.test`));
    const share = chosen.filter((relay) => relay === "internal").length / chosen.length;
    expect(share).toBeGreaterThan(0.27);
    expect(share).toBeLessThan(0.33);
    expect(relayOf("User17@d.test")).toBe(relayOf("uSER17@d.test"));
  });
});

describe("recipients", () => {
  const domains: NonNullable<Setup["domains"]> = {
    "list.test": {
      relay: "internal",
      recipients: { verify: "list" },
      subAddressing: { separator: "+" },
      aliases: {
        team: ["a@list.test", "b@list.test", "x@elsewhere.test"],
        me: ["me@list.test", "b@list.test"],
      },
    },
    "list-strip.test": {
      relay: "internal",
      recipients: { verify: "list" },
      subAddressing: { separator: "-", strip: true },
    },
    "strip.test": { relay: "internal", subAddressing: { separator: "-", strip: true } },
    "catch.test": {
      relay: "internal",
      recipients: { verify: "pattern", pattern: [{ regex: "^[a-c]@" }, "sales@catch.test"] },
      catchAll: "team@list.test",
    },
    "call.test": { relay: "partner-mx", recipients: { verify: "callout" } },
    "loop.test": {
      relay: "internal",
      aliases: {
        a: ["b@loop.test"],
        b: ["c@loop.test", "d@loop.test"],
        c: ["a@loop.test"],
        d: ["b@loop.test", "e@loop.test"],
      },
    },
  };
  const known = new Map([
    ["a@list.test", true],
    ["a+news@list.test", false],
    ["b+c@list.test", true],
    ["no@list.test", false],
    ["new+x@list.test", false],
    ["jean-paul@list-strip.test", true],
    ["jean-x@list-strip.test", false],
    ["jean@list-strip.test", true],
    ["no-x@list-strip.test", false],
    ["no@list-strip.test", false],
  ]);
  test.each([
    ["A@list.test", "A@list.test internal"],
    ["a+news@list.test", "a+news@list.test internal"],
    ["no@list.test", "550 5.1.1"],
    ["b+c@list.test", "b+c@list.test internal"],
    ["newer+x@list.test", "ask list list.test newer+x@list.test internal"],
    ["new+x@list.test", "ask list list.test new@list.test internal"],
    ["jean-paul@list-strip.test", "jean-paul@list-strip.test internal"],
    ["jean-x@list-strip.test", "jean@list-strip.test internal"],
    ["no-x@list-strip.test", "550 5.1.1"],
    ["postmaster@list.test", "postmaster@list.test internal"],
    [
      "Team+x@list.test",
      "a@list.test internal, b@list.test internal, x@elsewhere.test default(elsewhere.test)",
    ],
    ["me@list.test", "me@list.test internal, b@list.test internal"],
    ["u-x-y@strip.test", "u@strip.test internal"],
    ['"u-x"@strip.test', '"u-x"@strip.test internal'],
    ["-x@strip.test", "-x@strip.test internal"],
    ["b@catch.test", "b@catch.test internal"],
    ["SALES@catch.test", "SALES@catch.test internal"],
    [
      "zoe@catch.test",
      "a@list.test internal, b@list.test internal, x@elsewhere.test default(elsewhere.test)",
    ],
    ["u@call.test", "ask callout call.test u@call.test partner-mx"],
    ["a@loop.test", "a@loop.test internal, b@loop.test internal, e@loop.test internal"],
  ])("%s: %s", (forwardPath, expected) => {
    expect(line(run({ domains }, forwardPath, { known }))).toBe(expected);
  });

  test("aliases that come to more than a thousand mailboxes are not followed", () => {
    const many = (at: number) => Array.from({ length: 40 }, (_, i) => `u${at}x${i}@many.test`);
    const aliases = Object.fromEntries([
      ["all", many(0)],
      ...Array.from({ length: 40 }, (_, i) => [`u0x${i}`, many(i + 1)]),
    ]);
    expect(line(run({ domains: { "many.test": { relay: "internal", aliases } } }, "all@many.test")))
      .toBe("451 4.3.5");
  });
});

describe("paths", () => {
  test.each<[Setup, string]>([
    [{}, "postmaster@mx.example.net default(mx.example.net) held"],
    [{ domains: { "example.net": { relay: "internal" } } }, "postmaster@example.net internal"],
    [
      { settings: { postmaster: "ops@elsewhere.test" } },
      "ops@elsewhere.test default(elsewhere.test)",
    ],
  ])("<postmaster> is always taken: %j", (setup, expected) => {
    expect(line(run(setup, "postmaster"))).toBe(expected);
  });

  const domains = {
    "honour.test": { relay: "internal", sourceRoutes: "honour" },
    "refuse.test": { relay: "internal", sourceRoutes: "refuse" },
  } as const;
  test.each<[string, string[], RecipientFacts["session"], string]>([
    ["u@example.com", ["far.test"], stranger, "u@example.com internal"],
    ["u@refuse.test", ["mx.example.net"], stranger, "553 5.1.3"],
    ["u@honour.test", ["MX.example.net"], stranger, "u@honour.test internal"],
    ["u@honour.test", ["mx.example.net", "far.test"], stranger, "550 5.7.1"],
    [
      "u@honour.test",
      ["mx.example.net", "partner.test"],
      stranger,
      "u@honour.test partner-mx(partner.test)",
    ],
    ["u@elsewhere.test", ["mx.example.net", "far.test"], lan, "u@elsewhere.test default(far.test)"],
    ["u@elsewhere.test", ["far.test"], { ...stranger, user: "alice@example.com" }, "553 5.7.1"],
  ])("to %s by %j from %j: %s", (forwardPath, sourceRoute, session, expected) => {
    expect(line(run({ domains }, forwardPath, { session, sourceRoute }))).toBe(expected);
  });

  test("an honoured route goes on in the treatment, and so does the way back", () => {
    const sourceRoute = ["mx.example.net", "far.test", "farther.test"];
    expect(run({}, "u@elsewhere.test", { session: lan, sourceRoute })).toMatchObject({
      copies: [{
        treatment: {
          sourceRoute: ["far.test", "farther.test"],
          reversePath: "@mx.example.net:a@out.test",
        },
      }],
    });
  });

  test("the way back is kept at the end of the route, too, but for reports", () => {
    const session = lan;
    const sourceRoute = ["mx.example.net"];
    expect(run({}, "u@elsewhere.test", { session, sourceRoute })).toMatchObject({
      copies: [{ treatment: { reversePath: "@mx.example.net:a@out.test" } }],
    });
    expect(run({}, "u@elsewhere.test", { session, sourceRoute, reversePath: "" }))
      .toHaveProperty("copies.0.treatment", {});
  });

  test("a rewritten sender's address leads back, for strangers too", () => {
    const reverseOf: RecipientFacts["reverseOf"] = (address) =>
      address.startsWith("SRS0")
        ? { status: "reversed", address: "a@out.test" }
        : { status: address.startsWith("SRS1") ? "forged" : "notRewritten" };
    const back = (forwardPath: string) => line(run({}, forwardPath, { reverseOf }));
    expect(back("SRS0=x@srs.example.com")).toBe("a@out.test default(out.test)");
    expect(back("SRS1=x@srs.example.com")).toBe("550 5.1.1");
    expect(back("u@srs.example.com")).toBe("550 5.7.1");
    expect(back("SRS0=x@elsewhere.test")).toBe("550 5.7.1");
  });
});

describe("rules", () => {
  test("each goes on until one ends them, in order, then by name", () => {
    const rules: Setup["rules"] = {
      c: { order: 1, actions: [{ do: "tag", tag: "first" }] },
      b: {
        order: 2,
        actions: [{ do: "tag", tag: "third" }, { do: "stop" }, { do: "tag", tag: "no" }],
      },
      a: { order: 2, actions: [{ do: "tag", tag: "second" }] },
      d: { order: 0, enabled: false, actions: [{ do: "reject" }] },
      e: { order: 3, actions: [{ do: "reject" }] },
    };
    expect(run({ rules }, "u@example.com")).toMatchObject({
      copies: [{ tags: ["first", "second", "third"] }],
    });
  });

  test.each<[Input<typeof ruleSchema>["actions"], Partial<RecipientFacts>, object]>([
    [[{ do: "reject", code: 554, enhanced: "5.7.0", text: "No" }], {}, {
      action: "reject",
      code: 554,
      text: "No",
    }],
    [[{ do: "defer", text: "Later" }], {}, {
      action: "defer",
      code: 451,
      enhanced: "4.7.1",
      text: "Later",
    }],
    [[{ do: "relay", relay: "archive" }], {}, { copies: [{ relay: "archive", nextHop: "" }] }],
    [[{ do: "relay", relay: "closed" }], {}, { action: "reject", code: 554 }],
    [[{ do: "rewriteSender", replacement: "b@example.com" }], {}, {
      copies: [{ treatment: { reversePath: "b@example.com" } }],
    }],
    [[{ do: "rewriteSender", replacement: "b@example.com" }], { reversePath: "" }, {
      copies: [{ treatment: {} }],
    }],
    [
      [{
        do: "rewriteRecipient",
        pattern: { regex: "^(.+)@example\\.com$" },
        replacement: "$1@partner.test",
      }],
      {},
      { copies: [{ forwardPath: "u@partner.test", relay: "partner-mx", nextHop: "partner.test" }] },
    ],
    [[{ do: "rewriteRecipient", pattern: "v@example.com", replacement: "w@example.com" }], {}, {
      copies: [{ forwardPath: "u@example.com" }],
    }],
    [[{ do: "rewriteRecipient", replacement: "two words" }], {}, {
      action: "defer",
      code: 451,
      enhanced: "4.3.5",
    }],
    [
      [{ do: "addHeader", name: "X-A", value: "1" }, { do: "removeHeader", name: "X-B" }],
      {},
      { copies: [{ treatment: { edits: [{ add: "X-A", value: "1" }, { remove: "X-B" }] } }] },
    ],
    [
      [{ do: "hold", reason: "Look" }, { do: "addRecipient", address: "j@partner.test" }],
      {},
      {
        copies: [
          { forwardPath: "u@example.com", hold: "Look" },
          { forwardPath: "j@partner.test", relay: "partner-mx", treatment: {} },
        ],
      },
    ],
    [[{ do: "redirect", address: "r@elsewhere.test" }], {}, {
      copies: [{ forwardPath: "r@elsewhere.test", relay: "default", nextHop: "elsewhere.test" }],
    }],
  ])("%j with %j", (actions, more, expected) => {
    const decision = run({ rules: { one: { actions } } }, "u@example.com", more);
    expect(decision).toMatchObject(expected);
    expect(JSON.parse(JSON.stringify(decision))).toEqual(decision);
  });

  const spam = { match: { header: { name: "Subject", value: { wildcard: "*lottery*" } } } };
  const reject = (match: Input<typeof ruleSchema>["match"]) => ({
    match,
    actions: [{ do: "reject" as const }],
  });
  test.each<[Input<typeof ruleSchema>["match"], Partial<RecipientFacts>, string]>([
    [{ client: ["lan"] }, { session: lan }, "550"],
    [{ client: ["lan"] }, {}, "-"],
    [{ network: ["203.0.113.0/24"] }, {}, "550"],
    [{ network: ["2001:db8::/32"] }, {}, "-"],
    [{ user: { wildcard: "alice@*" } }, {
      session: { ...stranger, user: "alice@example.com" },
      reversePath: "",
    }, "550"],
    [{ user: { wildcard: "*" } }, {}, "-"],
    [{ tls: false }, {}, "550"],
    [{ helo: "OUT.test" }, {}, "550"],
    [{ reversePath: "A@out.test" }, {}, "550"],
    [{ reversePath: { regex: "^$" } }, { reversePath: "" }, "550"],
    [{ forwardPath: ["x@example.com", { wildcard: "?@example.com" }] }, {}, "550"],
    [{ forwardPath: { wildcard: "*@Example.com" } }, {}, "550"],
    [{ domain: "EXAMPLE.com" }, {}, "550"],
    [{ domain: { wildcard: "*.com" } }, {}, "550"],
    [{ size: { over: 499 } }, {}, "?"],
    [{ size: { over: 499 } }, { content: content() }, "550"],
    [{ size: { over: 500 } }, { content: content() }, "-"],
    [spam.match, {}, "?"],
    [spam.match, { content: content({ SUBJECT: "Win the LOTTERY now" }) }, "550"],
    [spam.match, { content: content({ "X-Subject": "lottery" }) }, "-"],
    [{ header: { name: "List-Id" } }, { content: content({ "list-id": "x" }) }, "550"],
    [{ not: { header: { name: "List-Id" } } }, { content: content() }, "550"],
    [{ authentication: { dmarc: ["fail"] } }, {}, "?"],
    [{ authentication: { dmarc: ["fail"], spf: ["none"] } }, {
      content: { ...content()!, authentication: { dmarc: "fail" } },
    }, "550"],
    [{ authentication: { dmarc: ["fail"] } }, { content: content() }, "-"],
    [{ hour: { from: 22, to: 6 } }, { time: new Date("2026-11-24T23:10:00Z") }, "550"],
    [{ hour: { from: 22, to: 6 } }, { time: new Date("2026-11-24T06:00:00Z") }, "-"],
    [{ hour: { from: 13, to: 14, zone: "Europe/Berlin" } }, {}, "550"],
    [{ all: [] }, {}, "550"],
    [{ any: [] }, {}, "-"],
    [{ not: { all: [] } }, {}, "-"],
    // Three values: what is known decides where it can.
    [{ all: [spam.match, { domain: "other.test" }] }, {}, "-"],
    [{ all: [spam.match, { domain: "example.com" }] }, {}, "?"],
    [{ any: [spam.match, { domain: "example.com" }] }, {}, "550"],
    [{ any: [spam.match, { domain: "other.test" }] }, {}, "?"],
    [{ not: { any: [spam.match, { domain: "example.com" }] } }, {}, "-"],
  ])("condition %j with %j: %s", (match, more, expected) => {
    const decision = run({ rules: { one: reject(match) } }, "u@example.com", more);
    const found = decision.action === "reject"
      ? "550"
      : decision.action !== "deliver"
      ? decision.action
      : decision.provisional
      ? "?"
      : "-";
    expect(found).toBe(expected);
  });

  test("behind an undecided rule no rule is tried before the content is there", () => {
    const rules = {
      a: { order: 1, ...spam, actions: [{ do: "accept" as const }] },
      b: { order: 2, ...reject({ domain: "example.com" }) },
    };
    expect(line(run({ rules }, "u@example.com"))).toBe("provisional: u@example.com internal");
    expect(line(run({ rules }, "u@example.com", { content: content() }))).toBe("550 5.7.1");
    expect(line(run({ rules }, "u@example.com", { content: content({ Subject: "lottery" }) })))
      .toBe("u@example.com internal");
  });

  test("whom a rule behind an undecided one sends elsewhere is not refused before the content", () => {
    const domains = {
      "list.test": { relay: "internal", recipients: { verify: "list" } },
      "shut.test": { relay: "closed" },
    } as const;
    const known = new Map([["old@list.test", false], ["x@list.test", true]]);
    const tag = { order: 1, ...spam, actions: [{ do: "tag" as const, tag: "spam" }] };
    const later = (to: string, action: Input<typeof ruleSchema>["actions"][number]) =>
      line(run(
        {
          domains,
          rules: { tag, later: { order: 2, match: { forwardPath: to }, actions: [action] } },
        },
        to,
        { known },
      ));
    const taken = "provisional: ";
    const refused = "550 5.1.1";
    expect(later("old@list.test", { do: "redirect", address: "x@list.test" })).toBe(taken);
    expect(later("old@list.test", { do: "rewriteRecipient", replacement: "x@list.test" }))
      .toBe(taken);
    const other = { do: "rewriteRecipient", pattern: { regex: "^new" }, replacement: "x" } as const;
    expect(later("old@list.test", other)).toBe(refused);
    expect(later("old@list.test", { do: "relay", relay: "archive" })).toBe(refused);
    expect(later("old@list.test", { do: "tag", tag: "more" })).toBe(refused);
    expect(later("u@shut.test", { do: "relay", relay: "archive" })).toBe(taken);
    expect(later("u@shut.test", { do: "tag", tag: "more" })).toBe("554 5.7.27");
  });

  test("a rule's new recipient is checked, one it names is not", () => {
    const domains = { "list.test": { relay: "internal", recipients: { verify: "list" } } } as const;
    const rewriteRecipient = { do: "rewriteRecipient", replacement: "x@list.test" } as const;
    const redirect = { do: "redirect", address: "x@list.test" } as const;
    expect(line(run({ domains, rules: { a: { actions: [rewriteRecipient] } } }, "old@list.test")))
      .toBe("ask list list.test x@list.test internal");
    expect(line(run({ domains, rules: { a: { actions: [redirect] } } }, "old@list.test")))
      .toBe("x@list.test internal");
  });
});

describe("reasons", () => {
  const rules: Setup["rules"] = {
    first: { order: 1, match: { domain: "other.test" }, actions: [{ do: "reject" }] },
    second: {
      order: 2,
      match: { all: [{ domain: "example.com" }, { header: { name: "Subject", value: "hi" } }] },
      actions: [{ do: "relay", relay: "archive" }],
    },
  };

  test("an explanation tells every step", () => {
    const snapshot = compile(configurationOf({ rules }));
    const more = { content: content({ Subject: "Hi" }) };
    expect(decide(snapshot, facts("u@example.com", more), { explain: true })).toEqual({
      action: "deliver",
      provisional: false,
      copies: [{
        forwardPath: "u@example.com",
        relay: "archive",
        nextHop: "",
        treatment: {},
        tags: [],
      }],
      rule: "second",
      version: 7,
      reasons: [
        { kind: "check", name: "sender", passed: true },
        { kind: "limits", messageSize: 52428800, recipients: 1000 },
        { kind: "domain", name: "example.com", matched: true },
        { kind: "check", name: "messageSize", passed: true },
        { kind: "check", name: "recipients", passed: true },
        {
          kind: "rule",
          name: "first",
          matched: false,
          conditions: [{ path: "/domain", matched: false, seen: "example.com" }],
        },
        {
          kind: "rule",
          name: "second",
          matched: true,
          actions: ["relay archive"],
          conditions: [
            { path: "/all/0/domain", matched: true, seen: "example.com" },
            { path: "/all/1/header", matched: true, seen: "Hi" },
          ],
        },
        { kind: "recipient", address: "u@example.com", known: true },
        { kind: "relay", address: "u@example.com", relay: "archive", hosts: ["10.0.0.6:25"] },
      ],
    });
  });

  test("real mail keeps the short way", () => {
    const decision = run({ rules }, "u@example.com", { content: content({ Subject: "hi" }) });
    expect(decision.reasons).toEqual([
      { kind: "domain", name: "example.com", matched: true },
      { kind: "rule", name: "second", matched: true, actions: ["relay archive"] },
    ]);
  });
});
