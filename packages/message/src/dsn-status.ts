/**
 * The part of a notification that programs read: message/delivery-status (RFC 3464 §2) and its
 * international form message/global-delivery-status (RFC 6533 §3).
 *
 * This file must not know MIME.
 */

import { rfc5322Date } from "./dates.ts";
import type { Dsn, DsnRecipient } from "./dsn.ts";
import { formatField } from "./header.ts";
import { concat, isAscii, octetsOf } from "./octets.ts";
import { addressLiteral } from "./trace.ts";

const LINE_END = octetsOf("\r\n");

/** The fields about the message, then those about each recipient, with empty lines between. */
export function deliveryStatus(dsn: Dsn, global: boolean): Uint8Array {
  const groups = [messageFields(dsn), ...dsn.recipients.map((one) => recipientFields(one))];
  return concat(groups.flatMap((fields, index) => {
    const octets = fields.map(([name, value]) => formatField(name, global ? value : ascii(value)));
    return index === 0 ? octets : [LINE_END, ...octets];
  }));

  function recipientFields(recipient: DsnRecipient): [string, string][] {
    const fields: [string, string][] = [];
    const { originalRecipient: original, forwardPath } = recipient;
    if (original !== undefined) {
      fields.push(["Original-Recipient", typed(original.type, original.address, global)]);
    }
    const type = isAscii(forwardPath) ? "rfc822" : "utf-8";
    fields.push(["Final-Recipient", typed(type, forwardPath, global)]);
    fields.push(["Action", recipient.action], ["Status", status(recipient.status)]);
    const { remoteHost, diagnostic, lastAttempt, willRetryUntil } = recipient;
    if (remoteHost !== undefined) fields.push(["Remote-MTA", `dns; ${domainOf(remoteHost)}`]);
    if (diagnostic !== undefined) {
      const text = diagnostic.text.replace(/\s*[\r\n]+\s*/g, " ").slice(0, 4000);
      fields.push(["Diagnostic-Code", `${token(diagnostic.type)}; ${text}`]);
    }
    if (lastAttempt !== undefined) fields.push(["Last-Attempt-Date", rfc5322Date(lastAttempt)]);
    if (willRetryUntil !== undefined) {
      fields.push(["Will-Retry-Until", rfc5322Date(willRetryUntil)]);
    }
    return fields;
  }
}

/** Whether the international form is needed to tell all of it as it is. */
export function needsGlobal(dsn: Dsn): boolean {
  return !dsn.recipients.every((recipient) =>
    isAscii(recipient.forwardPath) && isAscii(recipient.originalRecipient?.address ?? "")
  );
}

function messageFields(dsn: Dsn): [string, string][] {
  const fields: [string, string][] = [];
  if (dsn.originalEnvelopeId !== undefined) {
    fields.push(["Original-Envelope-Id", dsn.originalEnvelopeId]);
  }
  fields.push(["Reporting-MTA", `dns; ${dsn.reportingHost}`]);
  fields.push(["Arrival-Date", rfc5322Date(dsn.arrivalDate)]);
  return fields;
}

/** An address with its type. Where only ASCII may stand, others are written `\x{…}` (RFC 6533 §3). */
function typed(type: string, address: string, global: boolean): string {
  const utf8 = !isAscii(address) || type.toLowerCase() === "utf-8";
  if (!utf8) return `${token(type)}; ${address}`;
  if (global) return `utf-8; ${address}`;
  const escaped = Array.from(address, (character) => {
    const plain = /^[\x21-\x7e]$/.test(character) && !"+=\\".includes(character);
    return plain ? character : `\\x{${character.codePointAt(0)!.toString(16).toUpperCase()}}`;
  });
  return `utf-8; ${escaped.join("")}`;
}

/** A host as the type `dns` wants it: an address in the brackets of an address literal (RFC 5321 §4.1.3). */
function domainOf(host: string): string {
  const isAddress = /^[0-9.]+$/.test(host) || /^[^[]*:/.test(host);
  return isAddress ? addressLiteral(host) : host;
}

function token(type: string): string {
  return type.replace(/[^\w-]/g, "") || "unknown";
}

/** A status is class.subject.detail and nothing else (RFC 3464 §2.3.4). */
function status(code: string): string {
  const found = /^[245]\.\d{1,3}\.\d{1,3}$/.exec(code);
  return found === null ? `${/^[245]/.exec(code)?.[0] ?? "5"}.0.0` : found[0];
}

function ascii(value: string): string {
  return value.replace(/[^\x20-\x7e]+/gu, (found) => /^\s+$/.test(found) ? " " : "?");
}
