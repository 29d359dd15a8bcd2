/**
 * A Postfix configuration as a document of Postern's: relay domains, transports, virtual aliases,
 * networks, recipients, relay host and size. What has no counterpart gets a remark with its place.
 */
import {
  canonicalDomain,
  listedAddress,
  network,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import { BlockList, isIP } from "node:net";
import { join } from "node:path";
import { CommandError } from "../surroundings.ts";
import { Aliases } from "./aliases.ts";
import { rulesOf } from "./rules.ts";
import { PostfixSource } from "./source.ts";
import type { Remark } from "./text.ts";
import { Relays } from "./transport.ts";

type Definitions = Record<string, Record<string, unknown>>;

/** What was read. */
export interface Imported {
  /** As `PUT /v1/config` takes it. */
  readonly document: Readonly<Record<string, unknown>>;
  /** The recipient lists, by domain: they are resources of their own. */
  readonly recipients: Readonly<Record<string, readonly string[]>>;
  readonly remarks: readonly Remark[];
}

/** Parameters that say nothing of where mail goes: directories, programs, looks. */
const OF_NO_MATTER =
  /_directory$|_path$|^(compatibility_level|mail_owner|setgid_group|biff|debugger_command|debug_peer_level|inet_protocols|append_dot_mydomain|unknown_local_recipient_reject_code|smtpd_banner|meta_directory|shlib_directory|alias_database|default_database_type|maillog_file|readme_directory)$/;

/** Where to say instead what these say. */
const HINTS: Readonly<Record<string, string>> = {
  myhostname: "POSTERN_HOSTNAME names the gateway",
  smtp_sasl_password_maps: "give the relay its credentials",
  smtpd_tls_cert_file: "POSTERN_TLS_CERT_FILE names the certificate",
  smtpd_tls_key_file: "POSTERN_TLS_KEY_FILE names the key",
  smtpd_tls_chain_files: "POSTERN_TLS_CERT_FILE and POSTERN_TLS_KEY_FILE name them",
  smtp_tls_security_level: "tls.policy of a relay says it",
  smtp_tls_policy_maps: "tls.policy of a relay says it",
  header_checks: "rules match header fields",
  body_checks: "rules do not look into bodies",
};

/** Reads the directory. */
export async function importPostfix(
  directory: string,
  readText: (file: string) => Promise<string>,
): Promise<Imported> {
  const read = async (file: string) => {
    try {
      return await readText(join(directory, file));
    } catch (error) {
      if (file === "master.cf") return "";
      const reason = error instanceof Error ? error.message : String(error);
      throw new CommandError(`${join(directory, file)} cannot be read: ${reason}`);
    }
  };
  const source = new PostfixSource(
    directory,
    readText,
    await read("main.cf"),
    await read("master.cf"),
  );
  const relays = new Relays(source);
  const { entries: transports } = await source.tables("transport_maps");
  const everything = transports.find(({ key }) => key === "*");
  const relayHost = source.value("relayhost");
  const outbound = relayHost === "" ? "smtp:" : `smtp:${relayHost}`;
  const standing = everything === undefined
    ? relays.relayOf(outbound, "smtp:", source.place("relayhost"))
    : relays.relayOf(everything.value, outbound, everything);
  if (standing !== undefined) relays.makeDefault(standing);

  const domains: Definitions = {};
  const relayTransport = source.value("relay_transport");
  const forRelayDomains = relayTransport.includes(":")
    ? relayTransport
    : `${relayTransport}:${relayHost}`;
  const byKey = new Map(transports.map((entry) => [entry.key, entry]));
  const parentsMatch = source.value("parent_domain_matches_subdomains").includes("relay_domains");
  for (const item of await source.list("relay_domains")) {
    const bare = item.key.replace(/^\./, "");
    const domain = canonicalDomain(bare);
    if (item.negated || domain === undefined) {
      source.remark(item, `relay_domains: ${item.key} is left out: it is no plain domain name`);
      continue;
    }
    const names = item.key.startsWith(".")
      ? [`*.${domain}`]
      : parentsMatch
      ? [domain, `*.${domain}`]
      : [domain];
    for (const name of names) {
      const entry = transportFor(byKey, name) ?? everything;
      const relay = relays.relayOf(
        entry?.value ?? forRelayDomains,
        forRelayDomains,
        entry ??
          source.place(source.isSet("relay_transport") ? "relay_transport" : "relay_domains"),
      );
      // Without its transport a domain's mail must not go just anywhere.
      if (relay !== undefined) domains[name] ??= { relay };
    }
  }
  const delivered = await source.list("virtual_mailbox_domains");
  for (const item of delivered) {
    const domain = canonicalDomain(item.key);
    const relay = relays.relayOf(source.value("virtual_transport"), "virtual", item);
    if (domain !== undefined && relay !== undefined) domains[domain] ??= { relay };
  }

  const recipients = await recipientLists(source, domains);
  const aliases = new Aliases(source, domains);
  await aliases.read();
  subAddressing(source, domains);
  // What routes mail of no domain of ours, or of one address, is a rule.
  const rules = { ...rulesOf(source, relays, transports, domains), ...aliases.rules };

  const clients: Definitions = {};
  const networks = await networksOf(source);
  if (networks.length > 0) clients["mynetworks"] = { networks };
  const settings = settingsOf(source);

  const local = (await source.list("mydestination")).filter(({ key }) =>
    source.isSet("mydestination") && !/^localhost(\.|$)/.test(key)
  );
  for (const item of local) {
    source.remark(item, `mydestination: ${item.key} is left out: nothing is delivered locally`);
  }
  for (const name of source.unused()) {
    if (OF_NO_MATTER.test(name)) continue;
    const hint = HINTS[name];
    source.remark(
      source.place(name),
      `${name} is not carried over${hint === undefined ? "" : `: ${hint}`}`,
    );
  }

  const used = new Set([
    ...Object.values(domains).map(({ relay }) => relay),
    ...Object.values(rules).flatMap(({ actions }) =>
      (actions as { relay?: string }[]).map(({ relay }) => relay)
    ),
    "default",
  ]);
  const kept = Object.fromEntries(
    Object.entries(relays.definitions).filter(([name]) => used.has(name)),
  );
  const kinds = { relays: kept, domains, clients, rules };
  for (const kind of ["domains", "clients", "rules"] as const) check(source, kind, kinds[kind]);
  return {
    document: {
      ...(settings !== undefined && { settings }),
      ...Object.fromEntries(
        Object.entries(kinds).filter(([, definitions]) => Object.keys(definitions).length > 0),
      ),
    },
    recipients: Object.fromEntries(
      Object.entries(recipients).filter(([domain]) => domain in domains),
    ),
    remarks: source.remarks.toSorted((a, b) =>
      a.file === b.file ? a.line - b.line : a.file < b.file ? -1 : 1
    ),
  };
}

/** The transport of a domain; below `*.` that of the closest parent with a dot (transport(5)). */
function transportFor<Entry>(byKey: ReadonlyMap<string, Entry>, name: string): Entry | undefined {
  const below = name.startsWith("*.");
  const domain = below ? name.slice(2) : name;
  const exact = below ? undefined : byKey.get(domain);
  if (exact !== undefined) return exact;
  const labels = domain.split(".");
  for (let at = below ? 0 : 1; at < labels.length; at++) {
    const found = byKey.get(`.${labels.slice(at).join(".")}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function recipientLists(source: PostfixSource, domains: Definitions) {
  const lists: Record<string, string[]> = {};
  if (source.value("relay_recipient_maps") === "") return lists;
  const { entries, whole } = await source.tables("relay_recipient_maps");
  // Where a table is missing, a list would refuse mail for people who exist.
  if (!whole) {
    source.remark(
      source.place("relay_recipient_maps"),
      "recipients are not checked: not all tables could be read",
    );
    return lists;
  }
  const all = new Set<string>();
  for (const entry of entries) {
    const at = entry.key.lastIndexOf("@");
    const domain = canonicalDomain(entry.key.slice(at + 1)) ?? "";
    const owner = at < 0 ? undefined : ownerOf(domain, domains);
    if (owner === undefined) {
      source.remark(entry, `${entry.key} is left out: it is in no relay domain`);
    } else if (at === 0) all.add(owner);
    else {
      const address = `${entry.key.slice(0, at)}@${domain}`;
      if (listedAddress(owner, address) !== undefined) (lists[owner] ??= []).push(address);
      else source.remark(entry, `${entry.key} is left out: it is no mail address`);
    }
  }
  for (const [name, domain] of Object.entries(domains)) {
    // Below a domain nobody is known: Postfix takes nothing for it, and Postern need not know it.
    if (name.startsWith("*.") && !all.has(name) && lists[name] === undefined) delete domains[name];
    else if (!all.has(name)) domain["recipients"] = { verify: "list" };
  }
  return lists;
}

/** The domain here that an address belongs to: its own, or the closest one above with `*.`. */
function ownerOf(domain: string, domains: Definitions): string | undefined {
  const labels = domain.split(".");
  const names = [domain, ...labels.map((_, at) => `*.${labels.slice(at + 1).join(".")}`)];
  return names.find((name) => domains[name] !== undefined);
}

function subAddressing(source: PostfixSource, domains: Definitions): void {
  const delimiter = source.value("recipient_delimiter");
  if (delimiter === "") return;
  const separator = [...delimiter].find((sign) => /[+=_~-]/.test(sign));
  if (separator !== delimiter) {
    const kept = separator === undefined ? "is not carried over" : `only ${separator} is kept`;
    source.remark(source.place("recipient_delimiter"), `recipient_delimiter ${delimiter}: ${kept}`);
  }
  if (separator === undefined) return;
  for (const domain of Object.values(domains)) domain["subAddressing"] = { separator };
}

async function networksOf(source: PostfixSource): Promise<string[]> {
  if (!source.isSet("mynetworks")) {
    source.value("mynetworks_style");
    source.remark(
      source.place("mynetworks_style"),
      "mynetworks is not set: Postfix takes the machine's own networks; name them in a client",
    );
    return [];
  }
  const networks: string[] = [];
  const refused: string[] = [];
  for (const item of await source.list("mynetworks")) {
    const parsed = network.safeParse(item.key.replace(/^\[(.*)\](\/\d+)?$/, "$1$2"));
    if (!parsed.success || isIP(parsed.data.split("/")[0]!) === 0) {
      source.remark(item, `mynetworks: ${item.key} is left out: it is no network in CIDR notation`);
    } else if (item.negated) {
      refused.push(parsed.data);
      const text =
        `mynetworks: !${item.key} is left out, and what comes behind it and has it within`;
      source.remark(item, text);
    } else {
      // The first match counts: what is refused before must not come in by a larger network.
      const hole = refused.find((one) => overlap(one, parsed.data));
      if (hole === undefined) networks.push(parsed.data);
      else source.remark(item, `mynetworks: ${item.key} is left out: !${hole} stands before it`);
    }
  }
  return [...new Set(networks)];
}

function overlap(one: string, other: string): boolean {
  const within = (inner: string, outer: string) => {
    const [address = "", bits] = outer.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const list = new BlockList();
    list.addSubnet(address, Number(bits), family);
    const [tested = ""] = inner.split("/");
    return (isIP(tested) === 6) === (family === "ipv6") && list.check(tested, family);
  };
  return within(one, other) || within(other, one);
}

function settingsOf(source: PostfixSource) {
  if (!source.isSet("message_size_limit")) return undefined;
  const limit = Number(source.value("message_size_limit"));
  const most = 1024 ** 3;
  if (Number.isInteger(limit) && limit >= 65_536 && limit <= most) {
    return { smtp: { messageSize: limit } };
  }
  const unlimited = limit === 0 || limit > most;
  source.remark(
    source.place("message_size_limit"),
    `message_size_limit ${limit}: ${unlimited ? `the most is ${most}` : "the least is 65536"}`,
  );
  return { smtp: { messageSize: unlimited ? most : 65_536 } };
}

/** Takes out what the API would refuse, and says so. */
function check(source: PostfixSource, kind: ResourceKind, definitions: Definitions): void {
  for (const [name, definition] of Object.entries(definitions)) {
    const errors = [
      resourceKinds[kind].name.safeParse(name).error,
      resourceKinds[kind].schema.safeParse(definition).error,
    ].flatMap((error) => error?.issues ?? []);
    if (errors.length === 0) continue;
    delete definitions[name];
    const why = errors.map(({ path, message }) => `${path.join(".")} ${message}`.trim()).join("; ");
    source.remark(source.place("main"), `${kind} ${name} is left out: ${why}`);
  }
}
