/**
 * Queries and responses as octets (RFC 1035 §4, RFC 6891), by way of dns-packet: writes a query,
 * tells whether a response is the one to it, and takes out of it what the resolver needs.
 *
 * This file must not know sockets, caches or other queries.
 */

import { Buffer } from "node:buffer";
import dnsPacket from "dns-packet";
import type { Answer, DecodedPacket, StringAnswer } from "dns-packet";
import { canonicalName } from "./names.ts";
import type { RecordData, RecordType } from "./records.ts";

/** The UDP payload that passes without fragments nearly everywhere. */
const UDP_PAYLOAD = 1232;
/** RFC 2308 §5 suggests one to three hours as the most for a negative answer. */
const MAX_NEGATIVE_TTL = 3 * 3600;
const MAX_TTL = 24 * 3600;
const MAX_ALIASES = 8;

/** A question: the name in canonical form. */
export interface Question {
  readonly name: string;
  readonly type: RecordType;
}

/** What a response says about a question. */
export type Response =
  | {
    readonly kind: "answer";
    readonly records: readonly RecordData[RecordType][];
    readonly name: string;
    readonly ttl: number;
    readonly authenticated: boolean;
  }
  | { readonly kind: "noData" | "noName"; readonly ttl: number; readonly authenticated: boolean }
  /** Aliases end at a name that the response does not speak of: it is to be asked for. */
  | {
    readonly kind: "alias";
    readonly target: string;
    readonly ttl: number;
    readonly authenticated: boolean;
  }
  | { readonly kind: "aliasLoop" }
  /** The response was cut; TCP gives the whole. */
  | { readonly kind: "truncated" }
  | { readonly kind: "error"; readonly rcode: string }
  /** The server does not know, and asks nobody for us: a referral, or an empty response. */
  | { readonly kind: "lame" }
  | { readonly kind: "malformed" };

/** The octets of a query; with EDNS it asks for DNSSEC's word (RFC 4035 §3.2.1) and larger UDP. */
export function encodeQuery(question: Question, id: number, edns: boolean): Uint8Array {
  return dnsPacket.encode({
    type: "query",
    id,
    flags: dnsPacket.RECURSION_DESIRED | dnsPacket.AUTHENTIC_DATA,
    questions: [{ name: question.name, type: question.type, class: "IN" }],
    additionals: edns
      ? [{
        type: "OPT",
        name: ".",
        udpPayloadSize: UDP_PAYLOAD,
        extendedRcode: 0,
        ednsVersion: 0,
        flags: dnsPacket.DNSSEC_OK,
        flag_do: true,
        options: [],
      }]
      : [],
  });
}

/**
 * Reads a response to the query. Nothing if it is not one to it: a late, foreign or forged
 * datagram, for which one goes on waiting (RFC 5452 §9.1).
 */
export function decodeResponse(
  octets: Uint8Array,
  question: Question,
  id: number,
): Response | undefined {
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, octets.byteLength);
  if (buffer.length < 12 || buffer.readUInt16BE(0) !== id || (buffer[2]! & 0x80) === 0) return;
  // A cut response may end within a record: its header is all that is read.
  if ((buffer[2]! & 0x02) !== 0) return { kind: "truncated" };
  if (!isWhole(buffer)) return { kind: "malformed" };
  let packet: DecodedPacket;
  try {
    packet = dnsPacket.decode(buffer);
  } catch {
    return { kind: "malformed" };
  }
  const asked = packet.questions?.[0];
  if (asked === undefined) {
    // Servers that do not understand a query may answer with a bare header.
    return rcodeOf(packet, buffer) === "NOERROR" ? { kind: "malformed" } : errorOf(packet, buffer);
  }
  if (asked.type !== question.type || canonicalName(asked.name) !== question.name) return;
  const rcode = rcodeOf(packet, buffer);
  if (rcode !== "NOERROR" && rcode !== "NXDOMAIN") return errorOf(packet, buffer);
  return followAliases(packet, question, rcode);
}

const ADDRESS_LENGTHS: Readonly<Record<number, number>> = { 1: 4, 28: 16 };

/** Whether all records lie within the octets: dns-packet would read past the end, or cut data. */
function isWhole(buffer: Buffer): boolean {
  let at = 12;
  const skipName = () => {
    while (at < buffer.length && buffer[at]! !== 0 && buffer[at]! < 0xc0) at += buffer[at]! + 1;
    at += (buffer[at] ?? 0) === 0 ? 1 : 2;
  };
  for (let left = buffer.readUInt16BE(4); left > 0 && at <= buffer.length; left--) {
    skipName();
    at += 4;
  }
  const records = [6, 8, 10].reduce((sum, offset) => sum + buffer.readUInt16BE(offset), 0);
  for (let left = records; left > 0; left--) {
    skipName();
    if (at + 10 > buffer.length) return false;
    const type = buffer.readUInt16BE(at);
    const length = buffer.readUInt16BE(at + 8);
    if (length !== (ADDRESS_LENGTHS[type] ?? length)) return false;
    at += 10 + length;
    if (at > buffer.length) return false;
  }
  return at <= buffer.length;
}

function followAliases(packet: DecodedPacket, question: Question, rcode: string): Response {
  const answers = packet.answers ?? [];
  const authenticated = packet.flag_ad;
  let name = question.name;
  let ttl = MAX_TTL;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const here = answers.filter((answer) => isAbout(answer, name));
    const wanted = here.filter((answer) => answer.type === question.type);
    if (wanted.length > 0) {
      const records = wanted.map((answer) => recordData(question.type, answer));
      return {
        kind: "answer",
        records,
        name,
        ttl: Math.min(ttl, ...wanted.map(ttlOf)),
        authenticated,
      };
    }
    const alias = here.find((answer) => isAlias(answer));
    if (alias === undefined) return ending(packet, question, rcode, name, ttl);
    ttl = Math.min(ttl, ttlOf(alias));
    const target = canonicalName(alias.data);
    if (target === undefined) return { kind: "noName", ttl, authenticated };
    name = target;
  }
  return { kind: "aliasLoop" };
}

/** The answer section says no more of `name`. */
function ending(
  packet: DecodedPacket,
  question: Question,
  rcode: string,
  name: string,
  ttl: number,
): Response {
  const authenticated = packet.flag_ad;
  const known = negativeTtl(packet);
  const negative = Math.min(ttl, known ?? 0);
  // RFC 6604 §2: after aliases the code is about the last name.
  if (rcode === "NXDOMAIN") return { kind: "noName", ttl: negative, authenticated };
  if (known === undefined) {
    if (name !== question.name) return { kind: "alias", target: name, ttl, authenticated };
    if (isLame(packet)) return { kind: "lame" };
  }
  return { kind: "noData", ttl: negative, authenticated };
}

/** RFC 2308 §2.2: name servers without a SOA are a referral, not the absence of data. */
function isLame({ flag_aa, flag_ra, authorities = [] }: DecodedPacket): boolean {
  return (!flag_aa && !flag_ra) || authorities.some(({ type }) => type === "NS");
}

/** RFC 2308 §5: the lesser of the SOA's own TTL and its minimum; nothing without a SOA. */
function negativeTtl(packet: DecodedPacket): number | undefined {
  const soa = packet.authorities?.find((authority) => authority.type === "SOA");
  if (soa === undefined) return undefined;
  return Math.min(ttlOf(soa), soa.data.minimum ?? 0, MAX_NEGATIVE_TTL);
}

function isAlias(answer: Answer): answer is StringAnswer {
  return answer.type === "CNAME";
}

function isAbout(answer: Answer, name: string): boolean {
  return "class" in answer && answer.class === "IN" && canonicalName(answer.name) === name;
}

/** RFC 2181 §8: a TTL with the highest bit set is zero. */
function ttlOf(answer: Answer): number {
  const ttl = "ttl" in answer ? answer.ttl ?? 0 : 0;
  return ttl > 0x7fffffff ? 0 : Math.min(ttl, MAX_TTL);
}

function recordData(type: RecordType, answer: Answer): RecordData[RecordType] {
  const data = "data" in answer ? answer.data : undefined;
  if (type === "TXT") {
    const strings = (Array.isArray(data) ? data : [data]) as (Uint8Array | string)[];
    return strings.map((one) => typeof one === "string" ? Buffer.from(one) : one);
  }
  return data as RecordData[RecordType];
}

function errorOf(packet: DecodedPacket, buffer: Buffer): Response {
  return { kind: "error", rcode: rcodeOf(packet, buffer) };
}

const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];

/** The response code with the upper bits that EDNS adds (RFC 6891 §6.1.3). */
function rcodeOf(packet: DecodedPacket, buffer: Buffer): string {
  const opt = packet.additionals?.find((additional) => additional.type === "OPT");
  const code = (buffer[3]! & 0x0f) | ((opt?.extendedRcode ?? 0) << 4);
  return code === 16 ? "BADVERS" : RCODES[code] ?? `RCODE${code}`;
}
