/**
 * Trace fields (RFC 5321 §4.4): what this host adds on top of the content it took, and the
 * Return-Path of final delivery. Whatever the peer said is fitted to the grammar first, so that
 * no name or path can end the field or begin another.
 *
 * This file must not know the clock, the session or the store.
 */

import { rfc5322Date } from "./dates.ts";
import { foldWords } from "./header.ts";

/** How the message came (RFC 3848, RFC 6531 §4.3). */
export type TransmissionProtocol =
  | "SMTP"
  | `${"ESMTP" | "LMTP" | "UTF8SMTP" | "UTF8LMTP"}${"" | "A" | "S" | "SA"}`;

/** What a Received field tells. */
export interface Received {
  /** The peer: what it called itself, where it is, and its name in DNS where that was checked. */
  readonly from: { readonly helo: string; readonly address: string; readonly hostname?: string };
  /** Our name. */
  readonly by: string;
  readonly protocol: TransmissionProtocol;
  /** The queue id. */
  readonly id: string;
  /** The forward-path, only if there is exactly one: others must not learn of each other. */
  readonly for?: string;
  readonly tls?: { readonly protocol: string; readonly cipher: string };
  readonly date: Date;
}

/** The `with` keyword for a session (RFC 3848, RFC 6531 §4.3). */
export function transmissionProtocol(session: {
  readonly dialect: "SMTP" | "ESMTP" | "LMTP";
  readonly smtpUtf8: boolean;
  readonly tls: boolean;
  readonly authenticated: boolean;
}): TransmissionProtocol {
  const security = session.tls
    ? (session.authenticated ? "SA" : "S")
    : session.authenticated
    ? "A"
    : "";
  if (session.smtpUtf8) {
    return `${session.dialect === "LMTP" ? "UTF8LMTP" : "UTF8SMTP"}${security}`;
  }
  if (session.dialect === "SMTP") return "SMTP";
  return `${session.dialect}${security}`;
}

/**
 * The Received field (RFC 5321 §4.4 Time-stamp-line), folded to 78 columns where its words allow
 * and never over 998 octets, with its line end. A `for` that is no mailbox is left out.
 */
export function receivedField(received: Received): Uint8Array {
  const { from, by, protocol, id, tls, date } = received;
  const utf8 = protocol.startsWith("UTF8");
  const literal = addressLiteral(from.address);
  const peer = from.hostname === undefined ? literal : `${domain(from.hostname, utf8)} ${literal}`;
  const words = [`from ${domain(from.helo, utf8)}`, `(${peer})`, `by ${domain(by, utf8)}`];
  words.push(`with ${protocol}`);
  if (tls !== undefined) words.push(`(${atom(tls.protocol, 40)} ${atom(tls.cipher, 80)})`);
  words.push(`id ${atom(id, 100)}`);
  const path = received.for === undefined ? undefined : mailbox(received.for, utf8);
  if (path !== undefined) words.push(`for <${path}>`);
  words[words.length - 1] += ";";
  words.push(rfc5322Date(date));
  return foldWords("Received:", words);
}

/** The Return-Path field (RFC 5321 §4.4 Return-path-line) for final delivery; `""` is `<>`. */
export function returnPathField(reversePath: string): Uint8Array {
  return foldWords("Return-Path:", [`<${mailbox(reversePath, true) ?? ""}>`]);
}

/** `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3). */
export function addressLiteral(address: string): string {
  const clean = address.replace(/%.*$/, "").replace(/[^0-9A-Fa-f:.]/g, "?").slice(0, 50);
  return clean.includes(":") ? `[IPv6:${clean}]` : `[${clean}]`;
}

/** A domain or address literal, with `?` for what neither may hold. */
function domain(text: string, utf8: boolean): string {
  const literal = /^\[[0-9A-Za-z:.-]{1,250}\]$/.test(text);
  if (literal) return text;
  const allowed = utf8 ? /[^\w.\-\u{80}-\u{10ffff}]/gu : /[^\w.-]/g;
  return text.slice(0, 255).replace(allowed, "?") || "unknown";
}

function atom(text: string, length: number): string {
  return text.slice(0, length).replace(/[^\w.+-]/g, "?") || "unknown";
}

const QUOTED = /^"(?:[^"\\\p{Cc}]|\\[\x20-\x7e])*"@[^\s<>()"\\\p{Cc}]+$/u;
const PLAIN = /^[^\s<>()"\\,;:\p{Cc}]+(?:@[^\s<>()"\\,;\p{Cc}]+)?$/u;

/** The path if it is a mailbox that may stand between `<` and `>`. */
function mailbox(path: string, utf8: boolean): string | undefined {
  if (path.length > 320 || (!QUOTED.test(path) && !PLAIN.test(path))) return undefined;
  return utf8 || /^[\x20-\x7e]*$/.test(path) ? path : undefined;
}
