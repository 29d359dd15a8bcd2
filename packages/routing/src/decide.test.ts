import { clientSchema, type Configuration, domainSchema, relaySchema } from "@postern/config";
import { describe, expect, test } from "vitest";
import { clientAt, decide } from "./decide.ts";
import { compile } from "./snapshot.ts";

const configuration: Configuration = {
  version: 7,
  relays: new Map([
    ["default", relaySchema.parse({ kind: "mx" })],
    ["internal", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })],
    ["partner-mx", relaySchema.parse({ kind: "mx" })],
  ]),
  domains: new Map([
    ["example.com", domainSchema.parse({ relay: "internal" })],
    ["xn--bcher-kva.example", domainSchema.parse({ relay: "internal" })],
    ["partner.test", domainSchema.parse({ relay: "partner-mx" })],
  ]),
  users: new Map(),
  rules: new Map(),
  settings: new Map(),
  clients: new Map([
    ["lan", clientSchema.parse({ networks: ["10.0.0.0/8", "2001:db8::/33"] })],
    ["printer", clientSchema.parse({ networks: ["10.1.2.3"] })],
  ]),
};
const snapshot = compile(configuration);

describe("the client an address belongs to", () => {
  test.each([
    ["10.255.255.255", "lan"],
    ["11.0.0.0", undefined],
    ["10.1.2.3", "printer"],
    ["::ffff:10.1.2.3", "printer"],
    ["2001:db8:7fff::1", "lan"],
    ["2001:db8:8000::1", undefined],
    ["fe80::1%eth0", undefined],
    ["not an address", undefined],
  ])("%s → %s", (address, client) => {
    expect(clientAt(snapshot, address)).toBe(client);
  });

  test("0.0.0.0/0 is everybody of IPv4 and nobody of IPv6", () => {
    const all = compile({
      ...configuration,
      clients: new Map([["all", clientSchema.parse({ networks: ["0.0.0.0/0"] })]]),
    });
    expect(clientAt(all, "203.0.113.9")).toBe("all");
    expect(clientAt(all, "2001:db8::1")).toBeUndefined();
  });
});

describe("the decision", () => {
  const stranger = { client: undefined };
  const lan = { client: "lan" };
  test.each([
    [stranger, "u@example.com", "internal", ""],
    [stranger, "u@EXAMPLE.com", "internal", ""],
    [stranger, '"a@b"@example.com', "internal", ""],
    [stranger, "u@bücher.example", "internal", ""],
    [stranger, "u@partner.test", "partner-mx", "partner.test"],
    [lan, "u@example.com", "internal", ""],
    [lan, "u@elsewhere.test", "default", "elsewhere.test"],
    [lan, "u@[192.0.2.1]", "default", "[192.0.2.1]"],
    ["gateway" as const, "u@elsewhere.test", "default", "elsewhere.test"],
  ])("%j sends to %s: relay %s", (from, forwardPath, relay, nextHop) => {
    expect(decide(snapshot, from, forwardPath)).toMatchObject({ action: "relay", relay, nextHop });
  });

  test.each(["u@elsewhere.test", "u@sub.example.com", "u@[10.0.0.5]"])(
    "a stranger gets nothing through to %s",
    (forwardPath) => {
      expect(decide(snapshot, stranger, forwardPath)).toMatchObject({
        action: "reject",
        code: 550,
        enhanced: "5.7.1",
      });
    },
  );

  test("it tells why", () => {
    expect(decide(snapshot, lan, "u@elsewhere.test").reasons).toEqual([
      { kind: "domain", name: "elsewhere.test", matched: false },
      { kind: "client", name: "lan", matched: true },
    ]);
  });

  test("without a relay named default, what is not ours goes by MX lookup", () => {
    const bare = compile({ ...configuration, relays: new Map() });
    expect(decide(bare, lan, "u@elsewhere.test")).toMatchObject({
      relay: "default",
      nextHop: "elsewhere.test",
    });
  });
});
