/**
 * Which hosts take mail for a domain, in the order they are to be tried (RFC 5321 §5, RFC 7505).
 * A domain's mail bounces only on what DNS said for sure; where nobody could say, it waits.
 *
 * This file must not know packets, servers or connections.
 */

import { BlockList, isIPv4, isIPv6 } from "node:net";
import type { Hosts } from "./hosts-file.ts";
import { canonicalName } from "./names.ts";
import type { QueryResult, Resolver } from "./records.ts";

/** A host that takes mail. */
export interface MailHost {
  /** Its name as DNS has it, lower case, or the address of an address literal. */
  readonly name: string;
  /** Lower is tried first; 0 where no MX record says. */
  readonly preference: number;
  /** One to ten: IPv6 and IPv4 in turn (RFC 8305 §4), each in random order. */
  readonly addresses: readonly string[];
  /**
   * DNSSEC proves that the domain's host has this name (RFC 8689 §4.2.1). Its addresses need no proof:
   * who answers there shows a certificate for the name.
   */
  readonly authenticated: boolean;
  /** Its name at the end of aliases: the TLSA base domain to try first (RFC 7672 §2.2.2). */
  readonly canonicalName: string;
}

/** What DNS says of a domain's mail. */
export type MailHosts =
  /** At least one host, in the order to be tried; and why another could not be looked up. */
  | {
    readonly status: "hosts";
    readonly hosts: readonly MailHost[];
    readonly unresolved?: string;
  }
  /** The domain takes no mail: 5.1.10 (RFC 7505 §3). */
  | { readonly status: "nullMx" }
  /** There is no such domain: 5.1.2. */
  | { readonly status: "noName" }
  /** The domain exists, but no host of its mail has an address: 5.4.4 (RFC 5321 §5.1). */
  | { readonly status: "noHosts" }
  /** Nobody could say; to be tried again. */
  | { readonly status: "temporaryFailure"; readonly reason: string }
  /** We are the best host ourselves: delivering would be a loop, 5.4.6 (RFC 5321 §5.1). */
  | { readonly status: "loop" };

/** What DNS says of one host. */
export type HostFound =
  | { readonly status: "host"; readonly host: MailHost }
  /** There is no such host, or it has no address: 5.4.4. */
  | { readonly status: "noHosts" }
  | Extract<MailHosts, { readonly status: "temporaryFailure" }>;

/** What the search needs. */
export interface MailHostsOptions {
  readonly resolver: Resolver;
  /** Names of this host in DNS: from the first of them on, no host of the list is tried. */
  readonly ownNames: readonly string[];
  /** 0 to below 1; for the order among equals (default: Math.random). */
  readonly random?: () => number;
}

/** What finding one host needs. */
export interface HostOptions extends Pick<MailHostsOptions, "resolver" | "random"> {
  /** What the administrator's file says of a host goes before DNS (default: nothing). */
  readonly hosts?: Hosts;
}

/** Hosts of one domain that are looked up at most. */
const MAX_HOSTS = 20;

/** Addresses of one host that are tried at most. */
const MAX_ADDRESSES = 10;

/** "This host" (RFC 1122 §3.2.1.3, RFC 4291 §2.5.2): to connect there is to reach ourselves. */
const unspecified = new BlockList();
unspecified.addSubnet("0.0.0.0", 8, "ipv4");
unspecified.addAddress("::", "ipv6");

interface Candidate {
  readonly name: string;
  readonly preference: number;
  readonly authenticated: boolean;
}

/**
 * Finds the hosts for a domain, or for an address literal such as `[192.0.2.1]` or
 * `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
 */
export async function findMailHosts(domain: string, options: MailHostsOptions): Promise<MailHosts> {
  if (domain.startsWith("[")) return literalHost(domain);
  const { resolver, random = Math.random } = options;
  const found = await candidates(domain, resolver);
  if ("status" in found) return found;
  const sorted = shuffled(found, random).sort((a, b) => a.preference - b.preference);
  const own = new Set(options.ownNames.map((name) => canonicalName(name)));
  const ours = sorted.find((candidate) => own.has(candidate.name))?.preference ?? Infinity;
  const usable = sorted.filter((candidate) => candidate.preference < ours).slice(0, MAX_HOSTS);
  if (usable.length === 0) return { status: ours === Infinity ? "noHosts" : "loop" };

  const looked = await Promise.all(usable.map((one) => lookUp(one, resolver, random)));
  const hosts = looked.flatMap((one) => one.status === "host" ? [one.host] : []);
  const failed = looked.find((one) => one.status === "temporaryFailure");
  if (hosts.length === 0) return failed ?? { status: "noHosts" };
  return { status: "hosts", hosts, ...(failed === undefined ? {} : { unresolved: failed.reason }) };
}

/**
 * Finds the addresses of a host that the configuration names, without asking for MX records: a
 * name, an address, or an address literal.
 */
export async function findHost(host: string, options: HostOptions): Promise<HostFound> {
  const { resolver, random = Math.random } = options;
  const literal = isIPv4(host) ? `[${host}]` : isIPv6(host) ? `[IPv6:${host}]` : host;
  if (literal.startsWith("[")) {
    const found = literalHost(literal);
    return found.status === "hosts"
      ? { status: "host", host: found.hosts[0]! }
      : { status: "noHosts" };
  }
  const name = canonicalName(host);
  if (name === undefined) return { status: "noHosts" };
  const local = inTurn(options.hosts?.get(name) ?? [], random);
  if (local.length > 0) return { status: "host", host: hostAt(name, local) };
  return await lookUp({ name, preference: 0, authenticated: true }, resolver, random);
}

async function candidates(domain: string, resolver: Resolver): Promise<Candidate[] | MailHosts> {
  const mx = await resolver.query(domain, "MX");
  const name = canonicalName(domain);
  if (mx.status === "noName" || name === undefined) return { status: "noName" };
  if (mx.status === "failure") return temporary(domain, "MX", mx);
  // RFC 5321 §5.1: the domain itself, but only if it has no MX record for sure.
  if (mx.status === "noData") {
    return [{ name, preference: 0, authenticated: mx.authenticated }];
  }
  const named = mx.records.filter((record) => record.exchange !== "." && record.exchange !== "");
  if (named.length === 0) return { status: "nullMx" };
  const best = new Map<string, Candidate>();
  for (const { exchange, preference } of named) {
    const name = canonicalName(exchange);
    if (name === undefined || (best.get(name)?.preference ?? Infinity) <= preference) continue;
    best.set(name, { name, preference, authenticated: mx.authenticated });
  }
  return [...best.values()];
}

/** The host with its addresses, or why it has none. */
async function lookUp(
  candidate: Candidate,
  resolver: Resolver,
  random: () => number,
): Promise<HostFound> {
  const { name, preference, authenticated } = candidate;
  const results = await Promise.all([resolver.query(name, "AAAA"), resolver.query(name, "A")]);
  const addresses = inTurn(
    results.flatMap((result) => result.status === "answer" ? result.records : []),
    random,
  );
  if (addresses.length > 0) {
    const { canonicalName } = results.find((result) => result.status === "answer")!;
    return { status: "host", host: { name, preference, addresses, authenticated, canonicalName } };
  }
  for (const [index, result] of results.entries()) {
    if (result.status === "failure") return temporary(name, index === 0 ? "AAAA" : "A", result);
  }
  return { status: "noHosts" };
}

function temporary(
  name: string,
  type: string,
  failure: Extract<QueryResult<"MX">, { status: "failure" }>,
): Extract<MailHosts, { status: "temporaryFailure" }> {
  const reason = `${type} of ${name}: ${failure.reason} (${failure.detail})`;
  return { status: "temporaryFailure", reason };
}

function literalHost(domain: string): MailHosts {
  const found = /^\[(IPv6:)?([^\]]*)\]$/i.exec(domain);
  const address = found?.[2] ?? "";
  const proper = found?.[1] === undefined ? isIPv4(address) : isIPv6(address);
  if (!proper) return { status: "noName" };
  if (isUnspecified(address)) return { status: "noHosts" };
  return { status: "hosts", hosts: [hostAt(address, [address])] };
}

/** A host of which DNS was not asked. */
function hostAt(name: string, addresses: readonly string[]): MailHost {
  return { name, preference: 0, addresses, authenticated: false, canonicalName: name };
}

/** RFC 5321 §5.1: equals are tried in random order, so that they share the load. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const result = [...items];
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [result[i], result[j]] = [result[j]!, result[i]!];
  }
  return result;
}

/** The addresses in the order to try them. */
function inTurn(addresses: readonly string[], random: () => number): string[] {
  const usable = addresses.filter((address) => !isUnspecified(address));
  const v6 = shuffled(usable.filter((address) => isIPv6(address)), random);
  const v4 = shuffled(usable.filter((address) => isIPv4(address)), random);
  const pairs = Array.from(
    { length: Math.max(v6.length, v4.length) },
    (_, place) => [v6[place], v4[place]],
  );
  return pairs.flat().filter((address) => address !== undefined).slice(0, MAX_ADDRESSES);
}

function isUnspecified(address: string): boolean {
  return unspecified.check(address, isIPv6(address) ? "ipv6" : "ipv4");
}
