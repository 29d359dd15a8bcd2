/** Addresses as routing compares them: `local-part@domain` with the domain as the DNS has it. */
import { canonicalDomain } from "@postern/config";

/** An address in its two parts. */
export interface Address {
  /** As it was given, quotes included. */
  readonly local: string;
  /** Canonical, or an address literal in brackets. */
  readonly domain: string;
  /** Both together. */
  readonly text: string;
}

/** Takes an address apart; undefined where its domain is none. */
export function parseAddress(text: string): Address | undefined {
  const at = text.lastIndexOf("@");
  if (at <= 0) return undefined;
  const local = text.slice(0, at);
  const given = text.slice(at + 1);
  // An address literal has no name to look up: it stays as it is.
  const domain = given.startsWith("[") ? given : canonicalDomain(given);
  if (domain === undefined) return undefined;
  return { local, domain, text: domain === given ? text : `${local}@${domain}` };
}

/** Whether two texts are the same address. */
export function isSameAddress(one: string, other: string): boolean {
  const [a, b] = [parseAddress(one), parseAddress(other)];
  if (a === undefined || b === undefined) return one === other;
  return addressKey(a) === addressKey(b);
}

/** The key by which addresses are equal: RFC 5321 leaves local parts' case to the host; we ignore it. */
export function addressKey({ local, domain }: Address): string {
  return `${local.toLowerCase()}@${domain}`;
}
