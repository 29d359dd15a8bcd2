/**
 * Encoded words (RFC 2047): text other than ASCII in header fields, both ways.
 *
 * This file must not know which fields may hold them.
 */

import { isAscii, octetsOf } from "./octets.ts";

const WORD = /=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bq])\?([^?\s]*)\?=/gi;

/**
 * The text with its encoded words decoded. White space between two of them goes (§6.2), and
 * neighbours of one charset are decoded together, since many senders cut within a character.
 * A word in an unknown charset stays as it is.
 */
export function decodeEncodedWords(text: string): string {
  if (!text.includes("=?")) return text;
  let result = "";
  let at = 0;
  let pending: { charset: string; octets: number[]; source: string } | undefined;
  const flush = () => {
    if (pending !== undefined) {
      result += decode(pending.charset, pending.octets) ?? pending.source;
    }
    pending = undefined;
  };
  for (const found of text.matchAll(WORD)) {
    const between = text.slice(at, found.index);
    const [source, charset, encoding, encoded] = found as unknown as string[];
    const octets = encoding!.toLowerCase() === "b" ? fromBase64(encoded!) : fromQ(encoded!);
    if (pending === undefined || between.trim() !== "") {
      flush();
      result += between;
    } else if (pending.charset !== charset!.toLowerCase()) {
      flush();
    }
    at = found.index + source!.length;
    if (pending === undefined) {
      pending = { charset: charset!.toLowerCase(), octets, source: source! };
    } else {
      for (const octet of octets) pending.octets.push(octet);
      pending.source += between + source!;
    }
  }
  flush();
  return result + text.slice(at);
}

/** The text as encoded words in UTF-8 where it is not plain ASCII, each at most 75 columns. */
export function encodeWords(text: string): string {
  if (isAscii(text)) return text;
  const words: string[] = [];
  let octets: number[] = [];
  const flush = () => words.push(`=?utf-8?B?${btoa(String.fromCharCode(...octets))}?=`);
  for (const character of text) {
    const more = octetsOf(character);
    if (octets.length + more.length > 45) {
      flush();
      octets = [];
    }
    octets.push(...more);
  }
  flush();
  return words.join(" ");
}

function decode(charset: string, octets: readonly number[]): string | undefined {
  try {
    return new TextDecoder(charset).decode(Uint8Array.from(octets));
  } catch {
    // RangeError: a charset nobody here knows. §6.2 lets it be shown as it stands.
    return undefined;
  }
}

function fromBase64(encoded: string): number[] {
  // Cut to whole groups, so that damaged words still show what they can.
  const clean = encoded.replace(/[^A-Za-z0-9+/]/g, "");
  const usable = clean.length % 4 === 1 ? clean.slice(0, -1) : clean;
  return Array.from(atob(usable), (character) => character.charCodeAt(0));
}

function fromQ(encoded: string): number[] {
  const octets: number[] = [];
  for (let i = 0; i < encoded.length; i++) {
    const hex = encoded[i] === "=" ? /^[0-9a-f]{2}/i.exec(encoded.slice(i + 1, i + 3)) : null;
    if (hex !== null) {
      octets.push(parseInt(hex[0], 16));
      i += 2;
    } else if (encoded[i] === "_") octets.push(0x20);
    else octets.push(...octetsOf(encoded[i]!));
  }
  return octets;
}
