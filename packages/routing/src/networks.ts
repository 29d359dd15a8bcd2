/** Finding the client whose network an address is in: the longest prefix wins. */
import ipaddr from "ipaddr.js";

/** Networks by prefix length, each a map from the network's leading bits to a name. */
export interface NetworkTable {
  readonly v4: ReadonlyMap<number, ReadonlyMap<string, string>>;
  readonly v6: ReadonlyMap<number, ReadonlyMap<string, string>>;
  /** What was found for addresses as they were given: most sessions are of hosts that come often. */
  readonly found: Map<string, string | undefined>;
}

type Network = ReturnType<typeof ipaddr.parseCIDR>;

/** Addresses that a table remembers. */
const REMEMBERED = 4096;

/** Compiles networks in CIDR notation; of two equal ones the first stays. */
export function compileNetworks(networks: Iterable<readonly [string, string]>): NetworkTable {
  const v4 = new Map<number, Map<string, string>>();
  const v6 = new Map<number, Map<string, string>>();
  for (const [cidr, name] of networks) {
    const [address, length] = unmapped(ipaddr.parseCIDR(cidr));
    const table = address.kind() === "ipv4" ? v4 : v6;
    const names = table.get(length) ?? new Map<string, string>();
    const key = leadingBits(address.toByteArray(), length);
    if (!names.has(key)) names.set(key, name);
    table.set(length, names);
  }
  return { v4: longestFirst(v4), v6: longestFirst(v6), found: new Map() };
}

/** IPv4-mapped networks are IPv4, as their addresses are; what holds more than these is IPv6. */
function unmapped([address, length]: Network): Network {
  const isMapped = address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && length >= 96;
  return isMapped ? [address.toIPv4Address(), length - 96] : [address, length];
}

/** The name of the longest network that the address is in. IPv4-mapped addresses are IPv4. */
export function lookUpNetwork(table: NetworkTable, address: string): string | undefined {
  const { found } = table;
  if (found.has(address)) return found.get(address);
  const name = search(table, address);
  if (found.size >= REMEMBERED) found.clear();
  found.set(address, name);
  return name;
}

function search(table: NetworkTable, address: string): string | undefined {
  const parsed = parseAddress(address);
  if (parsed === undefined) return undefined;
  const bytes = parsed.toByteArray();
  for (const [length, names] of parsed.kind() === "ipv4" ? table.v4 : table.v6) {
    const name = names.get(leadingBits(bytes, length));
    if (name !== undefined) return name;
  }
  return undefined;
}

/** An address in one spelling: what is IPv4 within IPv6 as IPv4, IPv6 in lower case and short. */
export function canonicalIp(address: string): string {
  if (!address.includes(":")) return address;
  const zone = /%.*$/.exec(address)?.[0] ?? "";
  const parsed = parseAddress(address);
  return parsed === undefined ? address.toLowerCase() : `${parsed.toString()}${zone}`;
}

function parseAddress(address: string): ReturnType<typeof ipaddr.parse> | undefined {
  try {
    return ipaddr.process(address.replace(/%.*$/, ""));
  } catch {
    return undefined;
  }
}

function leadingBits(bytes: readonly number[], length: number): string {
  const whole = length >> 3;
  const rest = length & 7;
  let key = String.fromCharCode(...bytes.slice(0, whole));
  if (rest > 0) key += String.fromCharCode((bytes[whole] ?? 0) & (0xff00 >> rest) & 0xff);
  return key;
}

function longestFirst<T>(table: Map<number, T>): Map<number, T> {
  return new Map([...table].sort(([a], [b]) => b - a));
}
