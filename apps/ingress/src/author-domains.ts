/**
 * DMARC of a message that has not exactly one author domain (RFC 7489 §6.6.1): each domain is checked, and
 * the strictest result is the message's. Otherwise one From more would evade any policy.
 */
import type { AuthenticationResult } from "@postern/config";

/** More than that no honest mail has. */
const MOST_DOMAINS = 5;

/** From the strictest on. */
const BY_STRICTNESS: readonly AuthenticationResult[] = [
  "fail",
  "temperror",
  "permerror",
  "neutral",
  "none",
  "pass",
];

/** What a check came to, and how Authentication-Results says so. */
export interface DmarcFinding {
  readonly result: AuthenticationResult;
  readonly info: string;
}

/** The authors as they stand in the header. */
export interface Authors {
  readonly fields: number;
  readonly addresses: readonly string[];
}

/**
 * Checks all of them. `check` is told a domain, and whether anything can vouch for it: of two From fields a
 * reader may be shown the one that no signature is over.
 */
export async function strictest(
  { fields, addresses }: Authors,
  check: (domain: string, vouchable: boolean) => Promise<DmarcFinding | undefined>,
): Promise<DmarcFinding> {
  // What stands behind any @ might be taken for the domain.
  const named = addresses.map((address) =>
    address.split("@").slice(1).map((domain) => domain.trim().toLowerCase())
  );
  const domains = new Set(named.flat().filter((domain) => domain !== ""));
  if (domains.size > MOST_DOMAINS) {
    return { result: "fail", info: "dmarc=fail (too many author domains)" };
  }
  const found = [];
  if (fields !== 1 || named.length === 0 || named.some((one) => one.length !== 1)) {
    found.push(NOT_ONE);
  }
  for (const domain of domains) found.push(await check(domain, fields === 1) ?? NOT_ONE);
  return found.reduce((one, other) =>
    BY_STRICTNESS.indexOf(other.result) < BY_STRICTNESS.indexOf(one.result) ? other : one
  );
}

const NOT_ONE: DmarcFinding = {
  result: "permerror",
  info: "dmarc=permerror (not one author domain)",
};
