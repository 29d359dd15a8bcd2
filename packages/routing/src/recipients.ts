/**
 * What becomes of an address in a domain of ours: whether its recipient exists, sub-addressing,
 * aliases, the catch-all. The result is the mailboxes that get a copy.
 *
 * This file must not know sessions, rules or relays.
 */
import type { Domain } from "@postern/config";
import { type Address, addressKey, parseAddress } from "./addresses.ts";
import type { Reason } from "./decision.ts";
import { type FoundDomain, lookUpDomain } from "./domains.ts";
import { type CompiledPattern, compilePattern, matches } from "./patterns.ts";
import type { Snapshot } from "./snapshot.ts";

/** One recipient becomes so many mailboxes at most, however aliases point at each other. */
const MOST_MAILBOXES = 1000;

/** Whether a recipient exists: by answer, or the question that must be answered first. */
export type Existence = "known" | "unknown" | {
  readonly ask: "list" | "callout";
  readonly key: string;
};

/**
 * Whether the recipient exists, as its domain finds that out: the whole address or, failing that, the one
 * without its detail. Aliases and postmaster always do.
 */
export function existence(
  { domain }: FoundDomain,
  address: Address,
  known: ReadonlyMap<string, boolean> | undefined,
): Existence {
  const { recipients } = domain;
  if (recipients.verify === "none") return "known";
  const base = withoutDetail(domain, address);
  if (
    aliasesOf(domain, address) !== undefined || base.local.toLowerCase() === "postmaster"
  ) return "known";
  for (const one of base === address ? [address] : [address, base]) {
    if (recipients.verify === "pattern") {
      if (matches(patternOf(domain, recipients.pattern), one.text)) return "known";
      continue;
    }
    const key = addressKey(one);
    const answer = known?.get(key);
    if (answer === undefined) return { ask: recipients.verify, key };
    if (answer) return "known";
  }
  return "unknown";
}

/**
 * The mailboxes that an address stands for, or undefined when they are too many. What is stripped of its
 * detail is not an address that is `known` with it from a list.
 */
export function expand(
  snapshot: Snapshot,
  address: Address,
  note: (reason: Reason) => void,
  known?: ReadonlyMap<string, boolean>,
): readonly Address[] | undefined {
  const mailboxes = new Map<string, Address>();
  const expanded = new Set<string>();
  const waiting: { readonly address: Address; readonly way: readonly string[] }[] = [
    { address, way: [] },
  ];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const domain = lookUpDomain(snapshot.domains, next.address.domain)?.domain;
    const aliases = domain === undefined ? undefined : aliasesOf(domain, next.address);
    const key = addressKey(next.address);
    // An alias that comes round to an address on its own way means that mailbox itself.
    if (domain === undefined || aliases === undefined || next.way.includes(key)) {
      const isListed = domain?.recipients.verify === "list" && known?.get(key) === true;
      const mailbox = domain?.subAddressing?.strip && !isListed
        ? withoutDetail(domain, next.address)
        : next.address;
      mailboxes.set(addressKey(mailbox), mailbox);
    } else if (!expanded.has(key)) {
      expanded.add(key);
      const way = [...next.way, key, addressKey(withoutDetail(domain, next.address))];
      note({ kind: "alias", address: next.address.text, to: aliases });
      for (const alias of aliases.toReversed()) {
        const target = parseAddress(alias);
        if (target !== undefined) waiting.push({ address: target, way });
      }
    }
    if (mailboxes.size + waiting.length > MOST_MAILBOXES) return undefined;
  }
  return [...mailboxes.values()];
}

/** The aliases of an address: those of the whole local part before those without its detail. */
function aliasesOf(domain: Domain, address: Address): readonly string[] | undefined {
  const { aliases } = domain;
  if (aliases === undefined) return undefined;
  for (const { local } of [address, withoutDetail(domain, address)]) {
    const key = local.toLowerCase();
    if (Object.hasOwn(aliases, key)) return aliases[key];
  }
  return undefined;
}

/** `user+detail@` as `user@`; what is quoted stays as it is. */
export function withoutDetail({ subAddressing }: Domain, address: Address): Address {
  if (subAddressing === undefined || address.local.startsWith('"')) return address;
  const cut = address.local.indexOf(subAddressing.separator);
  if (cut <= 0) return address;
  const local = address.local.slice(0, cut);
  return { local, domain: address.domain, text: `${local}@${address.domain}` };
}

/** Patterns of recipients, compiled when first asked for: domains are many, and most have none. */
const patterns = new WeakMap<Domain, CompiledPattern>();

function patternOf(domain: Domain, pattern: Parameters<typeof compilePattern>[0]): CompiledPattern {
  let compiled = patterns.get(domain);
  if (compiled === undefined) {
    compiled = compilePattern(pattern, "address");
    patterns.set(domain, compiled);
  }
  return compiled;
}
