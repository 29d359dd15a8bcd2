/** Transports that are for one address, or for domains that are not relay domains, as rules. */
import { canonicalDomain } from "@postern/config";
import type { PostfixSource } from "./source.ts";
import type { Entry } from "./text.ts";
import type { Relays } from "./transport.ts";

/** The rules; what is more exact is tried first, as transport(5) does. */
export function rulesOf(
  source: PostfixSource,
  relays: Relays,
  transports: readonly Entry[],
  domains: Readonly<Record<string, unknown>>,
): Record<string, Record<string, unknown>> {
  const rules: Record<string, Record<string, unknown>> = {};
  const outbound = `smtp:${source.value("relayhost")}`;
  for (const entry of transports) {
    const { key } = entry;
    if (key === "*") continue;
    const address = key.lastIndexOf("@") > 0;
    const below = key.startsWith(".");
    const domain = canonicalDomain(below ? key.slice(1) : key.slice(key.lastIndexOf("@") + 1));
    if (domain === undefined || key.startsWith("@")) {
      source.remark(entry, `${key} is left out: it is neither a domain nor an address`);
      continue;
    }
    if (!address && (below ? `*.${domain}` : domain) in domains) continue;
    const relay = relays.relayOf(entry.value, outbound, entry);
    if (relay === undefined) continue;
    const match = address
      ? { forwardPath: `${key.slice(0, key.lastIndexOf("@"))}@${domain}` }
      : { domain: below ? { wildcard: `*.${domain}` } : domain };
    // Of parents the closest is tried first.
    const order = address ? 100 : below ? 400 - domain.split(".").length : 200;
    rules[ruleName(`transport-${key}`, rules)] = {
      order,
      match,
      actions: [{ do: "relay", relay }, { do: "stop" }],
    };
  }
  return rules;
}

/** A name for a rule, made from a text, that none of these rules has yet. */
export function ruleName(text: string, rules: Readonly<Record<string, unknown>>): string {
  const base = text.toLowerCase().replaceAll(/[^a-z0-9._-]+/g, "-").slice(0, 58)
    .replace(/[^a-z0-9]+$/, "");
  for (let number = 1;; number++) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!(name in rules)) return name;
  }
}
