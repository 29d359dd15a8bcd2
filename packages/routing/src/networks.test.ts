import { expect, test } from "vitest";
import { canonicalIp, compileNetworks, lookUpNetwork } from "./networks.ts";

const table = compileNetworks([
  ["10.0.0.0/8", "lan"],
  ["10.1.0.0/16", "branch"],
  ["2001:db8::/32", "six"],
  ["::ffff:172.16.0.0/108", "mapped"],
]);

test("the longest prefix wins; an IPv4-mapped address is IPv4, a zone does not matter", () => {
  for (let time = 0; time < 2; time += 1) {
    expect(lookUpNetwork(table, "10.2.0.1")).toBe("lan");
    expect(lookUpNetwork(table, "10.1.0.1")).toBe("branch");
    expect(lookUpNetwork(table, "::ffff:10.1.0.1")).toBe("branch");
    expect(lookUpNetwork(table, "172.16.9.9")).toBe("mapped");
    expect(lookUpNetwork(table, "::ffff:ac10:0909")).toBe("mapped");
    expect(lookUpNetwork(table, "2001:db8::1%eth0")).toBe("six");
    expect(lookUpNetwork(table, "192.0.2.1")).toBeUndefined();
    expect(lookUpNetwork(table, "not an address")).toBeUndefined();
  }
});

test("many addresses are looked up without being remembered for ever", () => {
  for (let n = 0; n < 10_000; n += 1) {
    expect(lookUpNetwork(table, `10.1.${n >> 8}.${n & 255}`)).toBe("branch");
  }
  expect(table.found.size).toBeLessThanOrEqual(4096);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["::FFFF:c000:0201", "192.0.2.1"],
  ["0:0:0:0:0:ffff:c000:201", "192.0.2.1"],
  ["2001:DB8:0:0::1", "2001:db8::1"],
  ["fe80::1%eth0", "fe80::1%eth0"],
  ["", ""],
])("the canonical form of %j is %j", (address, canonical) => {
  expect(canonicalIp(address)).toBe(canonical);
});
