/** A Postfix configuration as it lies in a directory: parameters, services, tables, remarks. */
import { join } from "node:path";
import {
  entriesOf,
  type Entry,
  expanded,
  inlineEntries,
  itemsOf,
  logicalLines,
  type Parameter,
  parametersOf,
  type Remark,
} from "./text.ts";

/** Types of tables that are made from a text of the same name, or are that text. */
const TEXT_TABLES = ["hash", "btree", "lmdb", "cdb", "dbm", "sdbm", "texthash", "cidr"];

/** What Postfix has where main.cf says nothing, as far as it matters here. */
const DEFAULTS: Readonly<Record<string, string>> = {
  myhostname: "localhost.localdomain",
  mydomain: "localdomain",
  myorigin: "$myhostname",
  mydestination: "$myhostname, localhost.$mydomain, localhost",
  virtual_alias_maps: "$virtual_maps",
  virtual_alias_domains: "$virtual_alias_maps",
  virtual_mailbox_domains: "$virtual_mailbox_maps",
  relay_transport: "relay",
  default_transport: "smtp",
  virtual_transport: "virtual",
  parent_domain_matches_subdomains:
    "debug_peer_list, fast_flush_domains, mynetworks, permit_mx_backup_networks, " +
    "qmqpd_authorized_clients, relay_domains, smtpd_access_maps",
  default_database_type: "hash",
};

/** An item of a list in main.cf: a pattern of its own, or one that a table or file brings. */
export type ListItem = Entry & { readonly negated: boolean };

/** @see module */
export class PostfixSource {
  readonly remarks: Remark[] = [];
  readonly #directory: string;
  readonly #readText: (file: string) => Promise<string>;
  readonly #parameters: Map<string, Parameter>;
  readonly #services: Map<string, string>;
  readonly #used = new Set<string>();
  readonly #said = new Set<string>();

  constructor(
    directory: string,
    readText: (file: string) => Promise<string>,
    mainCf: string,
    masterCf: string,
  ) {
    this.#directory = directory;
    this.#readText = readText;
    this.#parameters = parametersOf(mainCf);
    const services = logicalLines(masterCf).map(({ text }) => text.split(/\s+/));
    this.#services = new Map(services.map((fields) => [fields[0]!, fields[7] ?? ""]));
  }

  /** Where a parameter is set; line 1 for what Postfix has by itself. */
  place(name: string): { file: string; line: number } {
    const file = join(this.#directory, "main.cf");
    return { file, line: this.#parameters.get(name)?.line ?? 1 };
  }

  isSet(name: string): boolean {
    return this.#parameters.has(name);
  }

  /** The names of the parameters that nothing has asked for. */
  unused(): string[] {
    return [...this.#parameters.keys()].filter((name) => !this.#used.has(name));
  }

  /** Says once that something stays behind. */
  remark({ file, line }: { readonly file: string; readonly line: number }, text: string): void {
    const whole = `${file}:${line}: ${text}`;
    if (!this.#said.has(whole)) this.remarks.push({ file, line, text });
    this.#said.add(whole);
  }

  /** A parameter's value, expanded; empty when it has none. */
  value(name: string): string {
    return expanded(`$${name}`, (of) => this.#valueOf(of)).trim();
  }

  /** The program that master.cf runs for a transport: `smtp`, `lmtp`, `pipe`, … */
  program(transport: string): string {
    return this.#services.get(transport) ??
      ({ smtp: "smtp", relay: "smtp", lmtp: "lmtp", error: "error", retry: "error" }[transport] ??
        transport);
  }

  /** The entries of all tables that a parameter names, in order; the first of equal keys counts. */
  async tables(name: string): Promise<{ entries: Entry[]; whole: boolean }> {
    const entries = new Map<string, Entry>();
    let whole = true;
    for (const item of itemsOf(this.value(name))) {
      const found = await this.#table(item, this.place(name), name);
      if (found === undefined) whole = false;
      for (const entry of found ?? []) if (!entries.has(entry.key)) entries.set(entry.key, entry);
    }
    return { entries: [...entries.values()], whole };
  }

  /** A list of patterns: plain ones, those in files, and the keys of tables. */
  async list(name: string): Promise<ListItem[]> {
    const place = this.place(name);
    const found: ListItem[] = [];
    for (const item of itemsOf(this.value(name))) {
      const negated = item.startsWith("!");
      const pattern = negated ? item.slice(1) : item;
      if (pattern.startsWith("/")) {
        const text = await this.#read(pattern, place);
        for (const { line, text: whole } of logicalLines(text ?? "")) {
          for (const key of itemsOf(whole)) {
            found.push({ file: this.#local(pattern), line, key, value: "", negated });
          }
        }
      } else if (/^[a-z]+:/.test(pattern) && !/^[0-9a-f:.]+(\/\d+)?$/i.test(pattern)) {
        const entries = await this.#table(pattern, place, name) ?? [];
        found.push(...entries.map((entry) => ({ ...entry, negated })));
      } else found.push({ ...place, key: pattern, value: "", negated });
    }
    return found;
  }

  #valueOf(name: string): string | undefined {
    this.#used.add(name);
    return this.#parameters.get(name)?.value ??
      (name === "config_directory" ? this.#directory : DEFAULTS[name]);
  }

  /** The entries of one table; undefined, with a remark, for what cannot be read. */
  async #table(
    given: string,
    place: { file: string; line: number },
    parameter: string,
  ): Promise<Entry[] | undefined> {
    const item = given.replace(/^proxy:/, "");
    const [, type = "", path = ""] = /^(\w+):(.*)$/s.exec(item) ?? [];
    if (type === "inline") return inlineEntries(place, path);
    const file = type === "" && item.startsWith("/") ? item : path;
    if (type !== "" && !TEXT_TABLES.includes(type)) {
      this.remark(place, `${parameter}: ${given} is left out: tables of type ${type} are not read`);
      return undefined;
    }
    const text = await this.#read(file, place);
    return text === undefined ? undefined : entriesOf(this.#local(file), text);
  }

  async #read(file: string, place: { file: string; line: number }): Promise<string | undefined> {
    try {
      return await this.#readText(this.#local(file));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.remark(place, `${file} is left out: it cannot be read (${reason})`);
      return undefined;
    }
  }

  /** A copy of /etc/postfix may be read elsewhere: its files are looked for beside main.cf. */
  #local(file: string): string {
    const inside = /^\/etc\/postfix\/(.*)$/.exec(file)?.[1];
    return inside === undefined ? file : join(this.#directory, inside);
  }
}
