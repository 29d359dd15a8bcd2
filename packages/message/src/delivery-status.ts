/**
 * Writes delivery status notifications: a multipart/report (RFC 6522) of a text for people, a
 * status for programs (RFC 3464) and the message or its header, for messages with international
 * addresses in the forms of RFC 6533. Each part's encoding is declared as it is, found by
 * looking at the octets.
 *
 * This file must not know when a notification is owed (RFC 3461 §5) and how it is sent; its
 * envelope has the null reverse-path.
 */

import { rfc5322Date } from "./dates.ts";
import type { BuiltDsn, Dsn, DsnFrame, ReturnContent } from "./dsn.ts";
import { deliveryStatus, needsGlobal } from "./dsn-status.ts";
import { dsnSubject, dsnText, type Returned } from "./dsn-words.ts";
import { encodeWords } from "./encoded-words.ts";
import { formatField, Header } from "./header.ts";
import { concat, hasEightBit, isAscii, latin1, octetsOf } from "./octets.ts";
import { QuotedPrintableEncoder } from "./quoted-printable.ts";
import { SevenBitConverter } from "./seven-bit.ts";
import { ContentSurvey } from "./survey.ts";

/** A header longer than this is not returned whole. */
const MAX_RETURNED_HEADER = 64 * 1024;

/** A body part: its header fields, and its octets unless the caller puts them in. */
interface Part {
  readonly type: string;
  readonly encoding: "7bit" | "8bit" | "quoted-printable";
  readonly content: Uint8Array | "hole";
}

/** Writes a whole notification. Its `returnContent` must not be a `stream`. */
export function buildDsn(dsn: Dsn): BuiltDsn {
  const frame = dsnFrame(dsn);
  if (frame.hole) throw new TypeError("a stream is for dsnFrame");
  const { body, smtpUtf8 } = frame;
  return { content: concat([frame.before, frame.after]), body, smtpUtf8 };
}

/**
 * Writes a notification around the original content, which the caller sends between `before` and
 * `after` if `hole` says so.
 */
export function dsnFrame(dsn: Dsn): DsnFrame {
  const global = dsn.utf8 && needsGlobal(dsn);
  const original = originalPart(dsn);
  const text = octetsOf(dsnText(dsn, returnedBy(original, dsn.returnContent)));
  const parts = [
    textPart(text),
    statusPart(dsn, global),
    ...original === undefined ? [] : [original],
  ];
  const eightBit = parts.some((part) => part.encoding === "8bit");
  const boundary = unusedBoundary(dsn, parts);

  const before: Uint8Array[] = [reportHeader(dsn, boundary, eightBit)];
  const after: Uint8Array[] = [];
  let hole = false;
  for (const { type, encoding, content } of parts) {
    before.push(octetsOf(
      `\r\n--${boundary}\r\nContent-Type: ${type}\r\n` +
        `Content-Transfer-Encoding: ${encoding}\r\n\r\n`,
    ));
    if (content === "hole") hole = true;
    else before.push(content);
  }
  after.push(octetsOf(`\r\n--${boundary}--\r\n`));
  return {
    before: concat(before),
    after: concat(after),
    hole,
    body: eightBit ? "8BITMIME" : "7BIT",
    smtpUtf8: !isAscii(dsn.reversePath),
  };
}

/** What the text says of the last part. */
function returnedBy(original: Part | undefined, { kind }: ReturnContent): Returned {
  if (original === undefined) return "nothing";
  const isHeader = ["text/rfc822-headers", "message/global-headers"].includes(original.type);
  if (!isHeader) return "full";
  return kind === "headers" ? "headers" : "headersOnlyPossible";
}

function reportHeader(dsn: Dsn, boundary: string, eightBit: boolean): Uint8Array {
  const { reportingHost } = dsn;
  return concat([
    formatField("Date", rfc5322Date(dsn.date)),
    formatField("From", `Mail Delivery System <${dsn.from}>`),
    formatField("To", `<${dsn.reversePath}>`),
    formatField("Subject", encodeWords(dsnSubject(dsn))),
    formatField("Message-ID", `<${dsn.messageId}>`),
    ...references(dsn),
    formatField("Auto-Submitted", "auto-replied"),
    formatField("MIME-Version", "1.0"),
    octetsOf(
      `Content-Type: multipart/report; report-type=delivery-status;\r\n` +
        `\tboundary="${boundary}"\r\n`,
    ),
    formatField("Content-Transfer-Encoding", eightBit ? "8bit" : "7bit"),
    octetsOf(
      `\r\nThis is a MIME-encoded report of the mail system at ${
        reportingHost.replace(/[^\x21-\x7e]/g, "?")
      }.\r\n`,
    ),
  ]);
}

/** Threads the notification to the message where mail programs look for that. */
function references(dsn: Dsn): Uint8Array[] {
  const content = dsn.returnContent;
  const octets = content.kind === "full" ? content.content : content.header;
  const id = new Header(octets.subarray(0, MAX_RETURNED_HEADER)).messageId;
  if (id === undefined || id.length > 900 || !/^[\x21-\x7e]+$/.test(id)) return [];
  return [formatField("In-Reply-To", `<${id}>`), formatField("References", `<${id}>`)];
}

function textPart(text: Uint8Array): Part {
  return hasEightBit(text)
    ? { type: "text/plain; charset=utf-8", encoding: "quoted-printable", content: quoted(text) }
    : { type: "text/plain; charset=us-ascii", encoding: "7bit", content: text };
}

function statusPart(dsn: Dsn, global: boolean): Part {
  const content = deliveryStatus(dsn, global);
  return global
    ? { type: "message/global-delivery-status", encoding: "8bit", content }
    : { type: "message/delivery-status", encoding: "7bit", content };
}

/** The message where it may be returned and all mail systems can carry it; else its header; or none. */
function originalPart(dsn: Dsn): Part | undefined {
  const wanted = dsn.returnContent;
  if (wanted.kind === "nothing") return undefined;
  if (wanted.kind === "stream") {
    const type = messageType(dsn, wanted.header);
    return { type, encoding: wanted.encoding, content: "hole" };
  }
  if (wanted.kind !== "full") return headerPart(dsn, wanted.header);
  const { content } = wanted;
  const encoding = new ContentSurvey().push(content).end().encoding;
  // RFC 2046 §5.2.1: a message may not be encoded, and binary needs more than 8BITMIME.
  if (encoding === "binary") return headerPart(dsn, content);
  const type = messageType(dsn, content);
  // A next hop without 8BITMIME would refuse the report. message/global may be encoded whole.
  if (encoding === "8bit" && type === "message/rfc822" && !convertible(content)) {
    return headerPart(dsn, content);
  }
  return { type, encoding, content };
}

/** Whether 7-bit can be made of it on its way. */
function convertible(content: Uint8Array): boolean {
  const converter = new SevenBitConverter();
  converter.push(content);
  converter.end();
  return converter.failure === undefined;
}

function messageType(dsn: Dsn, content: Uint8Array): string {
  return dsn.utf8 && isInternational(new Header(content).octets)
    ? "message/global"
    : "message/rfc822";
}

function headerPart(dsn: Dsn, content: Uint8Array): Part {
  const octets = new Header(content.subarray(0, MAX_RETURNED_HEADER)).octets;
  const type = dsn.utf8 && isInternational(octets)
    ? "message/global-headers"
    : "text/rfc822-headers";
  // RFC 6522 §4 lets broken headers be encoded so that they can be returned at all.
  const plain = new ContentSurvey().push(octets).end().encoding === "7bit";
  return plain
    ? { type, encoding: "7bit", content: octets }
    : { type, encoding: "quoted-printable", content: quoted(octets) };
}

/** Whether the header has 8-bit text and all of it is UTF-8 (RFC 6532). */
function isInternational(header: Uint8Array): boolean {
  if (!hasEightBit(header)) return false;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(header);
    return true;
  } catch {
    // Raw text in another charset: broken mail, not international mail.
    return false;
  }
}

function quoted(octets: Uint8Array): Uint8Array {
  const encoder = new QuotedPrintableEncoder();
  return concat([encoder.write(octets), encoder.finish()]);
}

/** A boundary that no part holds. `=_` keeps it out of everything encoded (RFC 2045 §6.7). */
function unusedBoundary(dsn: Dsn, parts: readonly Part[]): string {
  const seed = dsn.boundarySeed.replace(/[^A-Za-z0-9]/g, "").slice(0, 40);
  const texts = parts.map((part) => part.content === "hole" ? "" : latin1(part.content));
  for (let attempt = 0;; attempt++) {
    const boundary = `=_${seed}${attempt === 0 ? "" : `_${attempt}`}`;
    if (!texts.some((text) => text.includes(`--${boundary}`))) return boundary;
  }
}
