import { describe, expect, test } from "vitest";
import { findHost, findMailHosts } from "./mail-hosts.ts";
import type { QueryResult, RecordData, RecordType, Resolver } from "./records.ts";

type Zone = Readonly<Record<string, readonly unknown[] | "noData" | "failure">>;

/** A resolver over a table of `TYPE name`; what is not in it does not exist. */
function zone(
  records: Zone,
  authenticated: readonly string[] = [],
): Resolver & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    query<T extends RecordType>(name: string, type: T): Promise<QueryResult<T>> {
      const key = `${type} ${name.toLowerCase()}`;
      asked.push(key);
      const found = records[key];
      const proven = { ttl: 60, authenticated: authenticated.includes(key) };
      if (found === "failure") {
        return Promise.resolve({ status: "failure", reason: "timeout", detail: "no answer" });
      }
      if (found !== undefined && found !== "noData") {
        const data = found as RecordData[T][];
        return Promise.resolve({ status: "answer", records: data, canonicalName: name, ...proven });
      }
      const exists = Object.keys(records).some((other) => other.endsWith(` ${name}`));
      return Promise.resolve({ status: exists ? "noData" : "noName", ...proven });
    },
  };
}

const mx = (preference: number, exchange: string) => ({ preference, exchange });
const SOURCES = { ownNames: ["mx.gateway.test"], random: () => 0 };

const THREE: Zone = {
  "MX example.test": [mx(20, "c.test"), mx(10, "A.test"), mx(10, "b.test")],
  "A a.test": ["192.0.2.1"],
  "A b.test": ["192.0.2.2"],
  "A c.test": ["192.0.2.3"],
};

async function names(records: Zone, domain = "example.test", random = () => 0): Promise<unknown> {
  const found = await findMailHosts(domain, { ...SOURCES, resolver: zone(records), random });
  return found.status === "hosts" ? found.hosts.map((host) => host.name) : found.status;
}

describe("findMailHosts", () => {
  test("orders by preference, and equals at random", async () => {
    expect(await names(THREE, "example.test", () => 0.4)).toEqual(["b.test", "a.test", "c.test"]);
    expect(await names(THREE, "example.test", () => 0.99)).toEqual(["a.test", "b.test", "c.test"]);
    const first = new Map<unknown, number>();
    let seed = 1;
    const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
    for (let i = 0; i < 400; i++) {
      const [name] = await names(THREE, "example.test", random) as string[];
      first.set(name, (first.get(name) ?? 0) + 1);
    }
    expect(first.get("a.test")).toBeGreaterThan(150);
    expect(first.get("b.test")).toBeGreaterThan(150);
    expect(first.get("c.test")).toBeUndefined();
  });

  test("gives addresses of both families in turn", async () => {
    const found = await findMailHosts("example.test", {
      ...SOURCES,
      random: () => 0.99,
      resolver: zone({
        "MX example.test": [mx(10, "a.test")],
        "A a.test": ["192.0.2.1", "192.0.2.2", "192.0.2.3"],
        "AAAA a.test": ["2001:db8::1"],
      }),
    });
    expect(found).toEqual({
      status: "hosts",
      hosts: [{
        name: "a.test",
        preference: 10,
        addresses: ["2001:db8::1", "192.0.2.1", "192.0.2.2", "192.0.2.3"],
        authenticated: false,
        canonicalName: "a.test",
      }],
    });
  });

  test("gives ten addresses of a host at most, of both families", async () => {
    const v4 = Array.from({ length: 200 }, (_, i) => `192.0.2.${i}`);
    const find = async (v6: string[]) => {
      const resolver = zone({
        "MX example.test": [mx(10, "a.test")],
        "A a.test": v4,
        "AAAA a.test": v6,
      });
      const found = await findMailHosts("example.test", {
        ...SOURCES,
        random: () => 0.999,
        resolver,
      });
      return found.status === "hosts" ? found.hosts[0]!.addresses : found.status;
    };
    expect(await find(["2001:db8::1", "2001:db8::2"])).toEqual(
      ["2001:db8::1", v4[0], "2001:db8::2", ...v4.slice(1, 8)],
    );
    expect(await find(Array.from({ length: 9 }, (_, i) => `2001:db8::${i}`))).toEqual(
      [0, 1, 2, 3, 4].flatMap((i) => [`2001:db8::${i}`, v4[i]]),
    );
  });

  test("takes the domain's own address only where it has no MX record for sure", async () => {
    const address: Zone = { "A example.test": ["192.0.2.9"] };
    expect(await names(address)).toEqual(["example.test"]);
    expect(await names({ ...address, "MX example.test": "failure" })).toBe("temporaryFailure");
    expect(await names({ "MX example.test": [mx(10, "gone.test")], ...address })).toBe("noHosts");
  });

  test.each<[string, Zone, unknown]>([
    ["a null MX", { "MX example.test": [mx(0, ".")] }, "nullMx"],
    ["a null MX beside others, which does not count", {
      "MX example.test": [mx(0, "."), mx(10, "a.test")],
      "A a.test": ["192.0.2.1"],
    }, ["a.test"]],
    ["no such domain", {}, "noName"],
    ["a domain without mail hosts", { "TXT example.test": [] }, "noHosts"],
    ["a domain without MX whose address nobody can say", {
      "MX example.test": "noData",
      "A example.test": "failure",
    }, "temporaryFailure"],
    ["one host gone, one there", {
      "MX example.test": [mx(10, "gone.test"), mx(20, "b.test")],
      "A b.test": ["192.0.2.2"],
    }, ["b.test"]],
    ["one host unknown, one there", {
      "MX example.test": [mx(10, "a.test"), mx(20, "b.test")],
      "A a.test": "failure",
      "A b.test": ["192.0.2.2"],
    }, ["b.test"]],
    ["one host unknown, one gone", {
      "MX example.test": [mx(10, "a.test"), mx(20, "gone.test")],
      "A a.test": "failure",
    }, "temporaryFailure"],
    ["one family unknown, one there", {
      "MX example.test": [mx(10, "a.test")],
      "AAAA a.test": "failure",
      "A a.test": ["192.0.2.1"],
    }, ["a.test"]],
    ["the same host twice", {
      "MX example.test": [mx(20, "a.test"), mx(10, "A.test."), mx(15, "b.test")],
      "A a.test": ["192.0.2.1"],
      "A b.test": ["192.0.2.2"],
    }, ["a.test", "b.test"]],
    ["a host whose addresses mean this very machine", {
      "MX example.test": [mx(10, "a.test"), mx(20, "b.test")],
      "A a.test": ["0.0.0.0", "0.1.2.3"],
      "AAAA a.test": ["::", "::ffff:0.0.0.0"],
      "A b.test": ["127.0.0.1"],
    }, ["b.test"]],
    ["a host that is no name", { "MX example.test": [mx(10, "a..test")] }, "noHosts"],
  ])("with %s", async (_, records, expected) => {
    expect(await names(records)).toEqual(expected);
  });

  test("says which host could not be looked up beside those that were found", async () => {
    const unresolved = async (second: Zone) => {
      const resolver = zone({
        "MX example.test": [mx(10, "a.test"), mx(20, "b.test")],
        "A a.test": ["192.0.2.1"],
        ...second,
      });
      const found = await findMailHosts("example.test", { ...SOURCES, resolver });
      return found.status === "hosts" ? found.unresolved : found.status;
    };
    expect(await unresolved({ "A b.test": "failure" })).toBe("A of b.test: timeout (no answer)");
    expect(await unresolved({ "A b.test": ["192.0.2.2"], "AAAA b.test": "failure" }))
      .toBeUndefined();
    expect(await unresolved({})).toBeUndefined();
  });

  test("cuts the list at our own name, with its equals", async () => {
    const withUs = (preference: number): Zone => ({
      ...THREE,
      "MX example.test": [...THREE["MX example.test"] as [], mx(preference, "MX.gateway.test")],
    });
    expect(await names(withUs(30))).toEqual(["a.test", "b.test", "c.test"]);
    expect(await names(withUs(20))).toEqual(["a.test", "b.test"]);
    expect(await names(withUs(10))).toBe("loop");
    expect(await names({ "A mx.gateway.test": ["192.0.2.1"] }, "mx.gateway.test")).toBe("loop");
  });

  test("looks up no more than 20 hosts", async () => {
    const all = Array.from({ length: 60 }, (_, i) => mx(i, `h${i}.test`));
    const resolver = zone({ "MX example.test": all, "A h0.test": ["192.0.2.1"] });
    await findMailHosts("example.test", { ...SOURCES, resolver });
    expect(resolver.asked.length).toBe(41);
  });

  test("says whether DNSSEC proves the name of the host, whatever its addresses", async () => {
    const records: Zone = { "MX example.test": [mx(10, "a.test")], "A a.test": ["192.0.2.1"] };
    const proven = async (...keys: string[]) => {
      const found = await findMailHosts("example.test", {
        ...SOURCES,
        resolver: zone(records, keys),
      });
      return found.status === "hosts" && found.hosts[0]!.authenticated;
    };
    expect(await proven("MX example.test", "A a.test")).toBe(true);
    expect(await proven("MX example.test")).toBe(true);
    expect(await proven("A a.test")).toBe(false);
  });

  test.each<[string, unknown]>([
    ["[192.0.2.1]", ["192.0.2.1"]],
    ["[IPv6:2001:db8::1]", ["2001:db8::1"]],
    ["[ipv6:::1]", ["::1"]],
    ["[0.0.0.0]", "noHosts"],
    ["[IPv6:0:0::0:0]", "noHosts"],
    ["[2001:db8::1]", "noName"],
    ["[IPv6:192.0.2.1]", "noName"],
    ["[192.0.2.256]", "noName"],
    ["[192.0.2.1", "noName"],
  ])("reads the address literal %s", async (domain, expected) => {
    expect(await names({}, domain)).toEqual(expected);
  });
});

test("findHost takes names and addresses and asks for no MX", async () => {
  const resolver = zone({ "A relay.test": ["192.0.2.1"], "A slow.test": "failure" });
  const find = async (host: string) => {
    const found = await findHost(host, { resolver });
    return found.status === "host" ? found.host.addresses : found.status;
  };
  expect(await find("Relay.test")).toEqual(["192.0.2.1"]);
  expect(await find("10.0.0.5")).toEqual(["10.0.0.5"]);
  expect(await find("2001:db8::5")).toEqual(["2001:db8::5"]);
  expect(await find("[IPv6:2001:db8::5]")).toEqual(["2001:db8::5"]);
  expect(await find("0.0.0.0")).toBe("noHosts");
  expect(await find("gone.test")).toBe("noHosts");
  expect(await find("slow.test")).toBe("temporaryFailure");
  expect(resolver.asked.some((key) => key.startsWith("MX"))).toBe(false);
});

test("findHost takes what the hosts file says first, in the same order as answers of DNS", async () => {
  const resolver = zone({ "A relay.test": ["192.0.2.1"], "A other.test": ["192.0.2.2"] });
  const v4 = Array.from({ length: 20 }, (_, i) => `198.51.100.${i}`);
  const hosts = new Map([["relay.test", [...v4, "2001:db8::1"]], ["other.test", ["0.0.0.0"]]]);
  const find = async (host: string, random: () => number) => {
    const found = await findHost(host, { resolver, hosts, random });
    return found.status === "host" ? found.host.addresses : found.status;
  };
  expect(await find("Relay.test", () => 0.999)).toEqual(["2001:db8::1", ...v4.slice(0, 9)]);
  expect(await find("relay.test", () => 0)).toEqual(["2001:db8::1", ...v4.slice(1, 10)]);
  expect(await find("other.test", () => 0)).toEqual(["192.0.2.2"]);
});
