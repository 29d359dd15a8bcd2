/**
 * Domains and address literals (RFC 5321 §4.1.2 and §4.1.3, U-labels of RFC 6531 §3.3).
 *
 * This file must not know paths, parameters or DNS.
 */
import type { Domain } from "./path-types.ts";
import { encodePunycode } from "./punycode.ts";
import { utf8Length } from "./wire-text.ts";

/** What is wrong with a domain. */
export type DomainFault = "syntax" | "label too long" | "too long";

/** A parsed domain, or what is wrong with it. */
export type ParsedDomain =
  | { readonly domain: Domain }
  | { readonly fault: DomainFault };

// With the underscore, which RFC 5321 does not have and hosts within companies do.
const asciiName =
  /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/;
const label = /^[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?$/;
// What a U-label never holds: controls, spaces, ASCII but letters, digits and hyphen, other dots.
const notInULabel = /[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Z}\u3002\uff0e\uff61]|(?![a-z0-9-])\p{ASCII}/u;

/**
 * Parses what stands after `@` of a mailbox: a name, in any case, or a literal in brackets.
 * `maximum` is the longest name in octets (RFC 5321 §4.5.3.1.2).
 */
export function parseDomain(text: string, maximum = 255): ParsedDomain {
  if (text.startsWith("[")) return parseLiteral(text, maximum);
  if (text.length > maximum) return { fault: "too long" };
  const name = text.toLowerCase();
  if (asciiName.test(name)) return { domain: { kind: "name", name, ascii: name } };
  return parseLabels(name.normalize("NFC"), maximum);
}

/** The slow way: says which label is wrong, and takes U-labels. */
function parseLabels(name: string, maximum: number): ParsedDomain {
  if (name.length > maximum || utf8Length(name) > maximum) return { fault: "too long" };
  const encoded: string[] = [];
  for (const part of name.split(".")) {
    if (label.test(part)) {
      if (part.length > 63) return { fault: "label too long" };
      encoded.push(part);
      continue;
    }
    // deno-lint-ignore no-control-regex
    if (/^[\x00-\x7f]*$/.test(part) || notInULabel.test(part) || /^-|-$/.test(part)) {
      return { fault: "syntax" };
    }
    const ascii = encodePunycode(part);
    if (ascii === undefined || ascii.length > 59) return { fault: "label too long" };
    encoded.push(`xn--${ascii}`);
  }
  const ascii = encoded.join(".");
  if (ascii.length > maximum) return { fault: "too long" };
  return { domain: { kind: "name", name, ascii } };
}

function parseLiteral(text: string, maximum: number): ParsedDomain {
  if (text.length > maximum) return { fault: "too long" };
  if (!text.endsWith("]")) return { fault: "syntax" };
  const inner = text.slice(1, -1);
  if (isIpv4(inner)) {
    return { domain: { kind: "ipv4", name: text, ascii: text, address: inner } };
  }
  const colon = inner.indexOf(":");
  if (colon === -1) return { fault: "syntax" };
  const tag = inner.slice(0, colon);
  const content = inner.slice(colon + 1);
  if (tag.toLowerCase() === "ipv6") {
    if (!isIpv6(content)) return { fault: "syntax" };
    const address = content.toLowerCase();
    const name = `[IPv6:${address}]`;
    return { domain: { kind: "ipv6", name, ascii: name, address } };
  }
  // Standardized-tag is an Ldh-str: it may begin with, but not end in, a hyphen.
  if (!/^[A-Za-z0-9-]*[A-Za-z0-9]$/.test(tag) || !/^[!-Z^-~]+$/.test(content)) {
    return { fault: "syntax" };
  }
  return { domain: { kind: "general", name: text, ascii: text, tag, content } };
}

/** Whether text is an IPv4 address as a literal holds it: four numbers of one to three digits. */
export function isIpv4(text: string): boolean {
  const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  return parts !== null && parts.slice(1).every((part) => Number(part) <= 255);
}

/** Whether text is an IPv6 address by the grammar of RFC 5321 §4.1.3. */
export function isIpv6(text: string): boolean {
  const halves = text.split("::");
  if (halves.length > 2) return false;
  let groups = 0;
  for (const [index, half] of halves.entries()) {
    if (half === "") {
      if (halves.length === 1) return false;
      continue;
    }
    const parts = half.split(":");
    const lastHalf = index === halves.length - 1;
    for (const [at, part] of parts.entries()) {
      if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups++;
      else if (lastHalf && at === parts.length - 1 && isIpv4(part)) groups += 2;
      else return false;
    }
  }
  // The "::" stands for at least two groups.
  return halves.length === 1 ? groups === 8 : groups <= 6;
}
