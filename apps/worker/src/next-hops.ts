/**
 * Where to connect for a destination: the hosts of its relay, or the mail hosts of its domain.
 * Names become addresses here; what cannot be found out now is told from what is wrong for good.
 */
import type { Relay } from "@postern/config";
import { findHost, findMailHosts, type Hosts, type Resolver } from "@postern/dns";
import type { Destination } from "@postern/store";

/** One host to try. */
export interface NextHop {
  /** The host as people know it. */
  readonly host: string;
  readonly port: number;
  /** At least one, in the order to try them. */
  readonly addresses: readonly string[];
  /** The administrator or DNSSEC says that it is a host of this name; for REQUIRETLS. */
  readonly nameIsCertain: boolean;
}

/** The hosts in the order to try them, or why there are none. */
export type NextHops =
  | {
    readonly status: "found";
    readonly hops: readonly NextHop[];
    /** What is said of hosts that could not be looked up now; undefined where all were. */
    readonly unresolved: string | undefined;
  }
  | { readonly status: "transient"; readonly reply: string }
  | { readonly status: "permanent"; readonly reply: string };

/** A relay whose next hops are hosts. */
export type HostRelay = Extract<Relay, { kind: "smtp" | "mx" | "lmtp" }>;

/** What finding them needs. */
export interface LookUp {
  readonly resolver: Resolver;
  readonly hosts: Hosts;
  readonly ownNames: readonly string[];
  /** 0 to below 1. */
  readonly random: () => number;
}

/** Finds the next hops of a destination. */
export async function findNextHops(
  relay: HostRelay,
  { nextHop }: Destination,
  lookUp: LookUp,
): Promise<NextHops> {
  return relay.kind === "mx"
    ? await byMailExchange(relay.port, nextHop, lookUp)
    : await byHosts(relay.hosts, lookUp);
}

async function byMailExchange(port: number, domain: string, lookUp: LookUp): Promise<NextHops> {
  const found = await findMailHosts(domain, lookUp);
  switch (found.status) {
    case "hosts": {
      const hops = found.hosts.map(({ name, addresses, authenticated }) => ({
        host: name,
        port,
        addresses,
        nameIsCertain: authenticated,
      }));
      const { unresolved } = found;
      return {
        status: "found",
        hops,
        unresolved: unresolved === undefined ? undefined : notLookedUp(domain, unresolved),
      };
    }
    case "nullMx":
      return { status: "permanent", reply: `556 5.1.10 ${domain} accepts no mail (null MX)` };
    case "noName":
      return { status: "permanent", reply: `550 5.1.2 The domain ${domain} does not exist` };
    case "noHosts":
      return { status: "permanent", reply: `550 5.4.4 No mail host of ${domain} has an address` };
    case "loop":
      return { status: "permanent", reply: `554 5.4.6 Mail for ${domain} loops back to this host` };
    case "temporaryFailure":
      return { status: "transient", reply: notLookedUp(domain, found.reason) };
  }
}

function notLookedUp(domain: string, reason: string): string {
  return `451 4.4.3 Mail hosts of ${domain} could not be looked up: ${reason}`;
}

type ConfiguredHosts = Extract<HostRelay, { kind: "smtp" }>["hosts"];

async function byHosts(configured: ConfiguredHosts, lookUp: LookUp): Promise<NextHops> {
  const ordered = inOrder(configured, lookUp.random);
  const looked = await Promise.all(ordered.map(async ({ host, port }) => ({
    host,
    port,
    addresses: await addressesOf(host, lookUp),
    nameIsCertain: true,
  })));
  const hops = looked.filter(({ addresses }) => addresses.length > 0);
  const missing = looked.filter(({ addresses }) => addresses.length === 0);
  if (missing.length === 0) return { status: "found", hops, unresolved: undefined };
  // The administrator named these hosts: that they are not to be found is no fault of the mail's.
  const reply = `451 4.4.4 No address found for ${missing.map(({ host }) => host).join(", ")}`;
  return hops.length > 0
    ? { status: "found", hops, unresolved: reply }
    : { status: "transient", reply };
}

/** By priority, and among equals at random by weight, as RFC 2782 does with SRV records. */
export function inOrder(configured: ConfiguredHosts, random: () => number): ConfiguredHosts {
  const groups = new Map<number, ConfiguredHosts>();
  configured.forEach((host, place) => {
    const priority = host.priority ?? place;
    groups.set(priority, [...groups.get(priority) ?? [], host]);
  });
  return [...groups].sort(([a], [b]) => a - b).flatMap(([, equals]) => {
    const left = [...equals];
    const drawn: ConfiguredHosts = [];
    while (left.length > 0) {
      let mark = random() * left.reduce((sum, { weight }) => sum + weight, 0);
      const index = left.findIndex(({ weight }) => (mark -= weight) < 0);
      drawn.push(...left.splice(Math.max(index, 0), 1));
    }
    return drawn;
  });
}

async function addressesOf(host: string, lookUp: LookUp): Promise<readonly string[]> {
  const found = await findHost(host, lookUp);
  return found.status === "host" ? found.host.addresses : [];
}
