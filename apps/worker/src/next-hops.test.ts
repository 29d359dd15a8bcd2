import type { QueryResult, RecordData, RecordType, Resolver } from "@postern/dns";
import { expect, test } from "vitest";
import { findNextHops, type HostRelay } from "./next-hops.ts";
import { relayOf } from "./testing/delivering.ts";

type Zone = Readonly<Record<string, readonly unknown[] | "failure">>;

/** A resolver over a table of `TYPE name`; what is not in it does not exist. */
const zone = (records: Zone): Resolver => ({
  query<T extends RecordType>(name: string, type: T): Promise<QueryResult<T>> {
    const found = records[`${type} ${name}`];
    const proven = { ttl: 60, authenticated: false };
    if (found === undefined) return Promise.resolve({ status: "noName", ...proven });
    if (found === "failure") {
      return Promise.resolve({ status: "failure", reason: "serverFailure", detail: "SERVFAIL" });
    }
    const data = found as RecordData[T][];
    return Promise.resolve({ status: "answer", records: data, canonicalName: name, ...proven });
  },
});

const mx = relayOf({ kind: "mx" });
const hosts = relayOf({ kind: "smtp", hosts: [{ host: "a.test" }, { host: "b.test" }] });
const exchanges: Zone = {
  "MX x.test": [{ preference: 10, exchange: "a.test" }, { preference: 20, exchange: "b.test" }],
};
const both: Zone = { "A a.test": ["192.0.2.1"], "A b.test": ["192.0.2.2"] };
const one: Zone = { "A a.test": ["192.0.2.1"], "A b.test": "failure" };
const none: Zone = { "A a.test": "failure", "A b.test": "failure" };
const notLookedUp = (host: string) =>
  `451 4.4.3 Mail hosts of x.test could not be looked up: A of ${host}: serverFailure (SERVFAIL)`;

test.each<[string, HostRelay, Zone, readonly string[], string | undefined]>([
  ["all mail hosts", mx, { ...exchanges, ...both }, ["a.test", "b.test"], undefined],
  ["one of two mail hosts", mx, { ...exchanges, ...one }, ["a.test"], notLookedUp("b.test")],
  ["no mail host", mx, { ...exchanges, ...none }, [], notLookedUp("a.test")],
  ["all configured hosts", hosts, both, ["a.test", "b.test"], undefined],
  [
    "one of two configured hosts",
    hosts,
    one,
    ["a.test"],
    "451 4.4.4 No address found for b.test",
  ],
  ["no configured host", hosts, none, [], "451 4.4.4 No address found for a.test, b.test"],
])("where %s can be looked up", async (_, relay, records, found, reply) => {
  const lookUp = { resolver: zone(records), hosts: new Map(), ownNames: [], random: () => 0 };
  const hops = await findNextHops(relay, { relay: "relay", nextHop: "x.test" }, lookUp);
  if (hops.status === "found") {
    expect([hops.hops.map(({ host }) => host), hops.unresolved]).toEqual([found, reply]);
  } else expect(hops).toEqual({ status: "transient", reply });
});
