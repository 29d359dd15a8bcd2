/**
 * Where to connect for a destination: the hosts of its relay, or the mail hosts of its domain.
 * Names become addresses here; what cannot be found out now is told from what is wrong for good.
 */
import type { Relay } from "@postern/config";
import { findMailHosts, type Hosts, type Resolver } from "@postern/dns";
import type { Destination } from "@postern/store";

/** One address to try. */
export interface NextHop {
  /** The host as people know it. */
  readonly host: string;
  readonly address: string;
  readonly port: number;
}

/** The addresses in the order to try them, or why there are none. */
export type NextHops =
  | { readonly status: "found"; readonly hops: readonly NextHop[] }
  | { readonly status: "transient"; readonly reply: string }
  | { readonly status: "permanent"; readonly reply: string };

/** Finds the next hops of a destination. */
export async function findNextHops(
  relay: Extract<Relay, { kind: "smtp" | "mx" }>,
  { nextHop }: Destination,
  lookUp: {
    readonly resolver: Resolver;
    readonly hosts: Hosts;
    readonly ownNames: readonly string[];
    readonly random: () => number;
  },
): Promise<NextHops> {
  return relay.kind === "mx"
    ? await byMailExchange(relay.port, nextHop, lookUp)
    : await byHosts(relay.hosts, lookUp);
}

type LookUp = Parameters<typeof findNextHops>[2];

async function byMailExchange(port: number, domain: string, lookUp: LookUp): Promise<NextHops> {
  const found = await findMailHosts(domain, lookUp);
  switch (found.status) {
    case "hosts": {
      const hops = found.hosts.flatMap(({ name, addresses }) =>
        addresses.map((address) => ({ host: name, address, port }))
      );
      return { status: "found", hops };
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
      return {
        status: "transient",
        reply: `451 4.4.3 The mail hosts of ${domain} could not be looked up: ${found.reason}`,
      };
  }
}

async function byHosts(
  hosts: Extract<Relay, { kind: "smtp" }>["hosts"],
  lookUp: LookUp,
): Promise<NextHops> {
  const hops: NextHop[] = [];
  const missing: string[] = [];
  for (const { host, port } of hosts) {
    const addresses = await addressesOf(host, lookUp);
    if (addresses.length === 0) missing.push(host);
    for (const address of addresses) hops.push({ host, address, port });
  }
  if (hops.length > 0) return { status: "found", hops };
  // The administrator named these hosts: that they are not to be found is no fault of the mail's.
  return { status: "transient", reply: `451 4.4.4 No address found for ${missing.join(", ")}` };
}

async function addressesOf(host: string, { resolver, hosts }: LookUp): Promise<readonly string[]> {
  if (/^[\d.]+$/.test(host) || host.includes(":")) return [host];
  const local = hosts.get(host);
  if (local !== undefined && local.length > 0) return local;
  const answers = await Promise.all([resolver.query(host, "A"), resolver.query(host, "AAAA")]);
  return answers.flatMap((answer) => answer.status === "answer" ? answer.records : []);
}
