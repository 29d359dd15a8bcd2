/**
 * Finding the domain of the configuration that a name belongs to: itself, or the longest `*.`
 * above it. A name has at most 127 labels, so that the walk up is short.
 *
 * This file must not know what a domain of ours means.
 */
import type { Domain } from "@postern/config";

/** Domains, ready to be looked up. */
export interface DomainTable {
  /** By exact name. */
  readonly exact: ReadonlyMap<string, Domain>;
  /** By what stands behind `*.`. */
  readonly above: ReadonlyMap<string, Domain>;
}

/** A domain of the configuration, and the name it has there. */
export interface FoundDomain {
  readonly name: string;
  readonly domain: Domain;
}

/** Compiles domains. */
export function compileDomains(domains: ReadonlyMap<string, Domain>): DomainTable {
  const above = new Map<string, Domain>();
  for (const [name, domain] of domains) {
    if (name.startsWith("*.")) above.set(name.slice(2), domain);
  }
  // No look-up asks for a name with a star, so that the map can serve as it is.
  return { exact: domains, above };
}

/** The domain that a canonical name belongs to: exact before `*.`, the longest `*.` first. */
export function lookUpDomain(table: DomainTable, name: string): FoundDomain | undefined {
  const exact = table.exact.get(name);
  if (exact !== undefined) return { name, domain: exact };
  if (table.above.size === 0) return undefined;
  for (let dot = name.indexOf("."); dot !== -1; dot = name.indexOf(".", dot + 1)) {
    const suffix = name.slice(dot + 1);
    const domain = table.above.get(suffix);
    if (domain !== undefined) return { name: `*.${suffix}`, domain };
  }
  return undefined;
}
