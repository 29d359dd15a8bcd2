/** A snapshot: an immutable, compiled version of the whole configuration. */
import {
  type Client,
  type Configuration,
  DEFAULT_RELAY,
  defaultSettings,
  type Domain,
  type Relay,
  relaySchema,
  type Settings,
  SETTINGS_NAME,
  type User,
} from "@postern/config";
import { compileDomains, type DomainTable, type FoundDomain, lookUpDomain } from "./domains.ts";
import { compileNetworks, lookUpNetwork, type NetworkTable } from "./networks.ts";
import { type CompiledPattern, compilePattern } from "./patterns.ts";
import { compileRules, type RuleProblem, type RuleTable } from "./rules.ts";

/** What decisions are made from. Make one with {@link compile}, never change it. */
export interface Snapshot {
  readonly version: number;
  readonly domains: DomainTable;
  readonly relays: ReadonlyMap<string, Relay>;
  readonly clients: ReadonlyMap<string, CompiledClient>;
  readonly users: ReadonlyMap<string, CompiledUser>;
  readonly rules: RuleTable;
  readonly clientNetworks: NetworkTable;
  /** The client by the SHA-256 of its certificate, in lower-case hex. */
  readonly clientCertificates: ReadonlyMap<string, string>;
  /** The domains of rewritten senders (SRS). */
  readonly rewritingDomains: ReadonlySet<string>;
  readonly settings: Settings;
  /** Rules that do not compile, which the API would have refused: they match nothing. */
  readonly problems: readonly RuleProblem[];
}

/** A client and the domains its reverse-paths may have. */
export interface CompiledClient {
  readonly client: Client;
  readonly senderDomains: DomainTable | undefined;
}

/** A user and the reverse-paths it may use. */
export interface CompiledUser {
  readonly user: User;
  readonly senders: CompiledPattern | undefined;
}

/** Compiles a configuration. */
export function compile(configuration: Configuration): Snapshot {
  const relays = new Map(configuration.relays);
  if (!relays.has(DEFAULT_RELAY)) relays.set(DEFAULT_RELAY, relaySchema.parse({ kind: "mx" }));
  const networks: [string, string][] = [];
  const clientCertificates = new Map<string, string>();
  const clients = new Map<string, CompiledClient>();
  for (const [name, client] of configuration.clients) {
    for (const network of client.networks) networks.push([network, name]);
    for (const certificate of client.certificates) clientCertificates.set(certificate, name);
    clients.set(name, { client, senderDomains: compileSenderDomains(client.senderDomains) });
  }
  const users = new Map<string, CompiledUser>();
  for (const [name, user] of configuration.users) {
    const senders = user.senders === undefined
      ? undefined
      : compilePattern(user.senders, "address");
    users.set(name, { user, senders });
  }
  const problems: RuleProblem[] = [];
  return {
    version: configuration.version,
    domains: compileDomains(configuration.domains),
    relays,
    clients,
    users,
    rules: compileRules(configuration.rules, (problem) => problems.push(problem)),
    clientNetworks: compileNetworks(networks),
    clientCertificates,
    rewritingDomains: rewritingDomains(relays),
    settings: configuration.settings.get(SETTINGS_NAME) ?? defaultSettings,
    problems,
  };
}

/** The domain of ours that a canonical name belongs to. */
export function domainAt({ domains }: Snapshot, name: string): FoundDomain | undefined {
  return lookUpDomain(domains, name);
}

/** The client that an address belongs to; undefined for anybody else. */
export function clientAt(snapshot: Snapshot, address: string): string | undefined {
  return lookUpNetwork(snapshot.clientNetworks, address);
}

/** The client that a session is: by its certificate (SHA-256 in hex), else by its address. */
export function identifyClient(
  snapshot: Snapshot,
  session: { readonly address: string; readonly certificate?: string | undefined },
): string | undefined {
  const { certificate } = session;
  const shown = certificate === undefined
    ? undefined
    : snapshot.clientCertificates.get(certificate.replaceAll(":", "").toLowerCase());
  return shown ?? clientAt(snapshot, session.address);
}

function compileSenderDomains(names: readonly string[] | undefined): DomainTable | undefined {
  if (names === undefined) return undefined;
  return compileDomains(new Map(names.map((name) => [name, {} as Domain])));
}

function rewritingDomains(relays: ReadonlyMap<string, Relay>): ReadonlySet<string> {
  const domains = new Set<string>();
  for (const relay of relays.values()) {
    if ("senderRewriting" in relay && relay.senderRewriting !== undefined) {
      domains.add(relay.senderRewriting.domain);
    }
  }
  return domains;
}
