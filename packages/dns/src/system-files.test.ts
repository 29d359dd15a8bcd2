/** What the system's files say, and node:dns's shapes. */
import { describe, expect, test } from "vitest";
import { localAddresses, parseHosts } from "./hosts-file.ts";
import { asNodeResolver } from "./node-resolver.ts";
import type { QueryResult, RecordType, Resolver } from "./records.ts";
import { parseResolvConf, parseServer } from "./resolv-conf.ts";

describe("resolv.conf", () => {
  test("gives servers and options", () => {
    const conf = parseResolvConf(
      "# nameserver 192.0.2.1\nsearch example.test\nnameserver 192.0.2.2\nnameserver ::1\n" +
        "nameserver nonsense\n; x\noptions timeout:2 attempts:4 edns0\n",
    );
    expect(conf).toEqual({
      servers: [
        { address: "192.0.2.2", port: 53, trusted: false },
        { address: "::1", port: 53, trusted: true },
      ],
      timeoutMs: 2000,
      attempts: 4,
    });
  });

  test("has defaults and bounds", () => {
    expect(parseResolvConf("")).toEqual({
      servers: [{ address: "127.0.0.1", port: 53, trusted: true }],
      timeoutMs: 5000,
      attempts: 2,
    });
    const odd = parseResolvConf("options timeout:999 attempts:0 trust-ad\nnameserver 192.0.2.1");
    expect(odd).toEqual({
      servers: [{ address: "192.0.2.1", port: 53, trusted: true }],
      timeoutMs: 30_000,
      attempts: 1,
    });
  });

  test("servers may also be written with a port", () => {
    expect(parseServer("192.0.2.1")).toEqual({ address: "192.0.2.1", port: 53 });
    expect(parseServer("192.0.2.1:5353")).toEqual({ address: "192.0.2.1", port: 5353 });
    expect(parseServer("2001:db8::1")).toEqual({ address: "2001:db8::1", port: 53 });
    expect(parseServer("[2001:db8::1]:5353")).toEqual({ address: "2001:db8::1", port: 5353 });
    for (const text of ["", "ns.test", "192.0.2.1:0", "192.0.2.1:99999", "[192.0.2.1"]) {
      expect(parseServer(text)).toBeUndefined();
    }
  });
});

test("the hosts file speaks for names without dots only", () => {
  const hosts = parseHosts("192.0.2.1 relay Relay.example.test # x\n::1 relay\nnonsense other\n");
  expect(localAddresses(hosts, "relay")).toEqual(["192.0.2.1", "::1"]);
  expect(localAddresses(hosts, "relay.example.test")).toBeUndefined();
  expect(localAddresses(hosts, "other")).toBeUndefined();
  expect(localAddresses(hosts, "a.localhost")).toEqual(["127.0.0.1", "::1"]);
});

describe("asNodeResolver", () => {
  const octets = (text: string) => new TextEncoder().encode(text);
  const RESULTS: Readonly<Record<string, unknown>> = {
    "A a.test": ["192.0.2.1"],
    "MX a.test": [{ preference: 0, exchange: "." }, { preference: 5, exchange: "b.test" }],
    "TXT a.test": [[octets("v=spf1 "), octets("-all")]],
    "SRV a.test": [{ priority: 1, weight: 2, port: 3, target: "b.test" }],
    "A empty.test": { status: "noData" },
    "A broken.test": { status: "failure", reason: "serverFailure" },
    "A refused.test": { status: "failure", reason: "refused" },
    "A slow.test": { status: "failure", reason: "timeout" },
  };
  const resolver: Resolver = {
    query<T extends RecordType>(name: string, type: T): Promise<QueryResult<T>> {
      const found = RESULTS[`${type} ${name}`] ?? { status: "noName" };
      const result = Array.isArray(found) ? { status: "answer", records: found } : found;
      return Promise.resolve(result as QueryResult<T>);
    },
  };
  const resolve = asNodeResolver(resolver);

  test("gives Node's shapes", async () => {
    expect(await resolve("a.test")).toEqual(["192.0.2.1"]);
    expect(await resolve("a.test", "MX")).toEqual([
      { exchange: "", priority: 0 },
      { exchange: "b.test", priority: 5 },
    ]);
    expect(await resolve("a.test", "txt")).toEqual([["v=spf1 ", "-all"]]);
    expect(await resolve("a.test", "SRV")).toEqual([
      { name: "b.test", port: 3, priority: 1, weight: 2 },
    ]);
  });

  test.each([
    ["gone.test", "A", "ENOTFOUND"],
    ["empty.test", "A", "ENODATA"],
    ["broken.test", "A", "ESERVFAIL"],
    ["refused.test", "A", "ESERVFAIL"],
    ["slow.test", "A", "ETIMEOUT"],
    ["a.test", "NAPTR", "ENOTIMP"],
  ])("throws for %s %s the code %s", async (hostname, type, code) => {
    await expect(resolve(hostname, type)).rejects.toMatchObject({
      code,
      hostname,
      message: expect.stringContaining(`${code} ${hostname}`),
    });
  });
});
