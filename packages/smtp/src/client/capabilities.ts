/**
 * What a next hop can do: the extensions of its reply to EHLO or LHLO, parsed (RFC 5321 §4.1.1.1
 * and the RFC of each extension).
 *
 * This file must not know what the session makes of them.
 */
import type { Reply } from "../reply.ts";

/** The limits of RFC 9422; absent means: not limited, as far as the next hop says. */
export interface PeerLimits {
  /** MAIL commands in one session. */
  readonly mailMax?: number;
  /** RCPT commands in one transaction. */
  readonly rcptMax?: number;
  /** Different domains among the recipients of one transaction. */
  readonly rcptDomainMax?: number;
}

/** The extensions a next hop offers. */
export interface Capabilities {
  /** The name the next hop gave itself in its reply; `""` if none. */
  readonly name: string;
  /** Whether EHLO or LHLO worked; false after the fall-back to HELO, and then nothing is offered. */
  readonly extended: boolean;
  readonly pipelining: boolean;
  /** SIZE: absent when not offered; `maximum` absent (or 0 on the wire) when there is no fixed limit. */
  readonly size?: { readonly maximum?: number };
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  readonly binaryMime: boolean;
  readonly startTls: boolean;
  /** Mechanisms of AUTH in upper case, in the next hop's order. */
  readonly auth: readonly string[];
  readonly enhancedStatusCodes: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  /** DELIVERBY: absent when not offered; `minimumSeconds` 0 when none was given. */
  readonly deliverBy?: { readonly minimumSeconds: number };
  /** MT-PRIORITY: absent when not offered; `profile` `""` when none was given. */
  readonly mtPriority?: { readonly profile: string };
  readonly limits: PeerLimits;
  /** Every keyword offered, in upper case, with its parameters as given. */
  readonly keywords: ReadonlyMap<string, string>;
}

/** What is known of a next hop that was only said HELO to: nothing. */
export function withoutExtensions(reply?: Reply): Capabilities {
  return build(nameOf(reply), false, new Map());
}

/** Reads the positive reply to EHLO or LHLO. What is malformed in it counts as not offered. */
export function parseCapabilities(reply: Reply): Capabilities {
  const keywords = new Map<string, string>();
  for (const line of reply.lines.slice(1)) {
    const match = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ \t]+(.*)|=(.*))?$/.exec(line.trimEnd());
    if (match === null) continue;
    const keyword = match[1]!.toUpperCase();
    const parameters = (match[2] ?? match[3] ?? "").trim();
    const before = keywords.get(keyword);
    // Old servers announce `AUTH=LOGIN` beside `AUTH PLAIN`: both count.
    if (before !== undefined && keyword !== "AUTH") continue;
    keywords.set(keyword, before === undefined ? parameters : `${before} ${parameters}`.trim());
  }
  return build(nameOf(reply), true, keywords);
}

function nameOf(reply: Reply | undefined): string {
  return reply?.lines[0]?.split(" ", 1)[0] ?? "";
}

function build(
  name: string,
  extended: boolean,
  keywords: ReadonlyMap<string, string>,
): Capabilities {
  const size = keywords.get("SIZE");
  const deliverBy = keywords.get("DELIVERBY");
  const mtPriority = keywords.get("MT-PRIORITY");
  const auth = keywords.get("AUTH") ?? "";
  return {
    name,
    extended,
    pipelining: keywords.has("PIPELINING"),
    ...(size === undefined ? {} : { size: sizeOf(size) }),
    eightBitMime: keywords.has("8BITMIME"),
    smtpUtf8: keywords.has("SMTPUTF8"),
    chunking: keywords.has("CHUNKING"),
    binaryMime: keywords.has("BINARYMIME"),
    startTls: keywords.has("STARTTLS"),
    auth: auth === "" ? [] : [...new Set(auth.toUpperCase().split(/[ \t]+/))],
    enhancedStatusCodes: keywords.has("ENHANCEDSTATUSCODES"),
    dsn: keywords.has("DSN"),
    requireTls: keywords.has("REQUIRETLS"),
    ...(deliverBy === undefined ? {} : { deliverBy: { minimumSeconds: count(deliverBy) ?? 0 } }),
    ...(mtPriority === undefined ? {} : { mtPriority: { profile: mtPriority } }),
    limits: limitsOf(keywords.get("LIMITS") ?? ""),
    keywords,
  };
}

function sizeOf(parameter: string): { readonly maximum?: number } {
  const maximum = count(parameter);
  return maximum === undefined || maximum === 0 ? {} : { maximum };
}

/** RFC 9422 §3: `name=value` pairs; unknown names and bad values are ignored, 0 is not a limit. */
function limitsOf(parameters: string): PeerLimits {
  const limits: { mailMax?: number; rcptMax?: number; rcptDomainMax?: number } = {};
  for (const pair of parameters.split(/[ \t]+/)) {
    const [name, value] = pair.split("=", 2);
    const number = value === undefined ? undefined : count(value);
    if (number === undefined || number === 0) continue;
    switch (name!.toUpperCase()) {
      case "MAILMAX":
        limits.mailMax = number;
        break;
      case "RCPTMAX":
        limits.rcptMax = number;
        break;
      case "RCPTDOMAINMAX":
        limits.rcptDomainMax = number;
        break;
    }
  }
  return limits;
}

function count(text: string): number | undefined {
  return /^[0-9]{1,15}$/.test(text) ? Number(text) : undefined;
}
