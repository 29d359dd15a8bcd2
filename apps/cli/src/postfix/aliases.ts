/** Virtual aliases of Postfix (virtual(5)) as aliases, catch-all addresses and rules. */
import { canonicalDomain, mailbox } from "@postern/config";
import { ruleName } from "./rules.ts";
import type { PostfixSource } from "./source.ts";
import { type Entry, itemsOf } from "./text.ts";

/** The most addresses that the definition of an alias may have. */
const MOST_TARGETS = 1000;

/** @see module */
export class Aliases {
  /** Rules for what the definition of a domain cannot say. */
  readonly rules: Record<string, Record<string, unknown>> = {};
  readonly #source: PostfixSource;
  readonly #domains: Record<string, Record<string, unknown>>;

  constructor(source: PostfixSource, domains: Record<string, Record<string, unknown>>) {
    this.#source = source;
    this.#domains = domains;
  }

  /** Reads virtual_alias_domains and virtual_alias_maps into the domains. */
  async read(): Promise<void> {
    for (const { key } of await this.#domainItems()) {
      const domain = canonicalDomain(key);
      // Only its aliases exist there: an empty list refuses every other recipient.
      if (domain !== undefined) {
        this.#domains[domain] ??= { relay: "default", recipients: { verify: "list" } };
      }
    }
    const { entries } = await this.#source.tables("virtual_alias_maps");
    for (const entry of entries) if (entry.key.includes("@")) this.#add(entry);
    // A bare name is a domain of aliases, or a local part of the machine's own domains.
    for (const entry of entries) {
      if (
        !entry.key.includes("@") && this.#domains[canonicalDomain(entry.key) ?? ""] === undefined
      ) {
        this.#source.remark(entry, `${entry.key} is left out: it is no address of a domain here`);
      }
    }
  }

  async #domainItems(): Promise<Entry[]> {
    const items = await this.#source.list("virtual_alias_domains");
    return items.filter(({ key, negated }) => !negated && !key.includes("@") && key.includes("."));
  }

  #add(entry: Entry): void {
    const at = entry.key.lastIndexOf("@");
    const domain = canonicalDomain(entry.key.slice(at + 1)) ?? "";
    const definition = this.#domains[domain];
    if (definition === undefined) {
      this.#source.remark(entry, `${entry.key} is left out: ${domain} is no domain here`);
      return;
    }
    const local = entry.key.slice(0, at);
    const targets = itemsOf(entry.value);
    if (local === "") return this.#catchAll(entry, domain, definition, targets);
    const whole = targets.filter((target) => mailbox.safeParse(target).success);
    if (whole.length < targets.length) {
      this.#source.remark(
        entry,
        `${entry.key}: ${
          targets.filter((target) => !whole.includes(target)).join(", ")
        } is left out: expected whole addresses`,
      );
    }
    if (whole.length === 0) return;
    if (!mailbox.safeParse(`${local}@${domain}`).success || whole.length > MOST_TARGETS) {
      const why = whole.length > MOST_TARGETS
        ? `an alias has at most ${MOST_TARGETS} addresses`
        : "it is no mail address";
      return this.#source.remark(entry, `${entry.key} is left out: ${why}`);
    }
    const aliases = (definition["aliases"] ??= {}) as Record<string, string[]>;
    aliases[local] = whole;
  }

  /** `@example.com someone@example.net`, or `@example.com @example.net`: the same local part there. */
  #catchAll(
    entry: Entry,
    domain: string,
    definition: Record<string, unknown>,
    targets: readonly string[],
  ): void {
    const [target = "", ...others] = targets;
    // `@example.net` stands for any mailbox there.
    const example = target.startsWith("@") ? `any${target}` : target;
    if (others.length > 0 || !mailbox.safeParse(example).success) {
      this.#source.remark(entry, `@${domain} is left out: expected one whole address`);
    } else if (target.startsWith("@")) {
      delete definition["recipients"];
      this.rules[ruleName(`virtual-${domain}`, this.rules)] = {
        order: 50,
        match: { domain },
        actions: [{
          do: "rewriteRecipient",
          pattern: { regex: `^(.*)@${domain.replaceAll(".", "\\.")}$` },
          replacement: `$1${target}`,
        }],
      };
    } else definition["catchAll"] = target;
  }
}
