import { type Configuration, domainSchema, relaySchema, settingsSchema } from "@postern/config";
import { describe, expect, test } from "vitest";
import { routeMailbox, routeOwn } from "./own-mail.ts";
import { compile } from "./snapshot.ts";

const snapshot = compile({
  version: 7,
  relays: new Map([
    ["internal", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })],
    ["closed", relaySchema.parse({ kind: "reject" })],
    ["srs", relaySchema.parse({ kind: "mx", senderRewriting: { domain: "srs.test" } })],
  ]),
  domains: new Map(
    Object.entries({
      "ours.test": {
        relay: "internal",
        aliases: {
          sales: ["bob@ours.test", "eve@out.test"],
          here: ["there@ours.test"],
          there: ["here@ours.test"],
          all: ["sales@ours.test", ...Array.from({ length: 999 }, (_, one) => `${one}@out.test`)],
          partly: ["a@closed.test", "bob@ours.test"],
        },
        subAddressing: { separator: "+", strip: true },
      },
      "caught.test": {
        relay: "internal",
        recipients: { verify: "pattern", pattern: { wildcard: "known@*" } },
        catchAll: "sales@ours.test",
      },
      "closed.test": { relay: "closed" },
    }).map(([name, domain]) => [name, domainSchema.parse(domain)]),
  ),
  clients: new Map(),
  users: new Map(),
  rules: new Map(),
  settings: new Map([["gateway", settingsSchema.parse({})]]),
} as unknown as Configuration);

const reverseOf = (address: string) =>
  address.startsWith("SRS0")
    ? { status: "reversed" as const, address: "sales@ours.test" }
    : { status: address.startsWith("SRS1") ? "forged" as const : "notRewritten" as const };

const copies = (to: string) =>
  routeOwn(snapshot, to, reverseOf)?.copies.map(({ forwardPath, relay, nextHop }) =>
    `${forwardPath} ${relay}(${nextHop})`
  );

describe("a report goes where mail from outside would", () => {
  const bob = "bob@ours.test internal()";
  const eve = "eve@out.test default(out.test)";

  test.each([
    ["out of our domains", "a@out.test", ["a@out.test default(out.test)"]],
    ["into them", "bob@ours.test", [bob]],
    ["to each mailbox of an alias", "Sales@ours.test", [bob, eve]],
    ["without its detail", "bob+list@ours.test", [bob]],
    ["to the alias without its detail", "sales+list@ours.test", [bob, eve]],
    ["round an alias that leads in circles", "here@ours.test", ["here@ours.test internal()"]],
    ["by the relay, where an alias is too many", "all@ours.test", ["all@ours.test internal()"]],
    ["past what takes no mail", "partly@ours.test", [bob]],
    ["to the catch-all", "stranger@caught.test", [bob, eve]],
    ["not to the catch-all, who is known", "known@caught.test", ["known@caught.test internal()"]],
    ["back to a rewritten sender", "SRS0=x@srs.test", [bob, eve]],
    ["nowhere, by a way back that is not ours", "SRS1=x@srs.test", undefined],
    ["nowhere without a domain", "nobody", undefined],
    ["nowhere, to what takes no mail", "a@closed.test", undefined],
  ])("%s", (_, to, expected) => expect(copies(to)).toEqual(expected));

  test("and says why", () => {
    expect(routeOwn(snapshot, "SRS0=x@srs.test", reverseOf)!.reasons).toEqual([
      { kind: "domain", name: "srs.test", matched: false },
      { kind: "gateway", matched: true },
      { kind: "senderRewriting", to: "sales@ours.test" },
      { kind: "alias", address: "sales@ours.test", to: ["bob@ours.test", "eve@out.test"] },
    ]);
  });
});

test("the way to a mailbox asks for no alias", () => {
  expect(routeMailbox(snapshot, "sales@ours.test")).toEqual({ relay: "internal", nextHop: "" });
  expect(routeMailbox(snapshot, "a@out.test")).toEqual({ relay: "default", nextHop: "out.test" });
  expect(routeMailbox(snapshot, "nobody")).toBeUndefined();
});
