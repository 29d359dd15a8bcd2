/**
 * The header of a message (RFC 5322 §2.2): its fields in order, each with the octets it came in,
 * and the few values that a gateway asks for. Nothing is decoded before it is asked for: the
 * ingress wants a Message-ID and a count of Received fields and pays for no more.
 *
 * This file must not know how the octets arrive, nor what any rule wants with them.
 */

import { mailboxes } from "./addresses.ts";
import type { Mailbox } from "./addresses.ts";
import { parseDate } from "./dates.ts";
import { decodeEncodedWords } from "./encoded-words.ts";
import { concat, latin1, octetsOf, readable } from "./octets.ts";

/** One header field (RFC 5322 §2.2). */
export interface Field {
  /** The name as it was written; `""` for a line that is no field (it has no proper name). */
  readonly name: string;
  /** The octets of the field exactly as they came, with folding and the final line end. */
  readonly raw: Uint8Array;
  /** The value unfolded and trimmed: UTF-8 if it is that, else Latin-1. Encoded words stay. */
  readonly value: string;
}

/** What to change in a header; see {@link Header.edit}. */
export interface HeaderEdit {
  /** Whole fields, with their line ends, to put before all others. */
  readonly prepend?: readonly Uint8Array[];
  /** Names of fields to take out, all occurrences, in any case. */
  readonly remove?: readonly string[];
  /** Whole fields, with their line ends, to put after all others. */
  readonly append?: readonly Uint8Array[];
}

/** Where a field lies in the header: offsets of its first octet, its colon (or −1), its end. */
interface Place {
  readonly start: number;
  readonly colon: number;
  readonly end: number;
}

const PROPER_NAME = /^[\x21-\x39\x3b-\x7e]+$/;

/**
 * A header, read lazily.
 *
 * @example
 * ```ts
 * const header = new Header(new TextEncoder().encode("Subject: hello\r\nTo: a@example.com\r\n\r\n"));
 * header.get("subject"); // "hello"
 * ```
 */
export class Header {
  /** The octets of all fields, without the empty line that ends the header. */
  readonly octets: Uint8Array;
  readonly #text: string;
  readonly #places: readonly Place[];
  #fields: readonly Field[] | undefined;

  /** `octets` may hold the empty line and even the body; what is after the fields is ignored. */
  constructor(octets: Uint8Array) {
    this.#text = latin1(octets);
    this.#places = findPlaces(this.#text);
    const end = this.#places.at(-1)?.end ?? 0;
    this.octets = end === octets.length ? octets : octets.subarray(0, end);
  }

  /** All fields in the order they came. */
  get fields(): readonly Field[] {
    return this.#fields ??= this.#places.map((place) => this.#field(place));
  }

  /** How many fields there are, lines that are no field among them. */
  get length(): number {
    return this.#places.length;
  }

  /** How many fields of that name there are. Case does not matter. */
  count(name: string): number {
    return this.#find(name).length;
  }

  /** The unfolded value of the first field of that name. Case does not matter. */
  get(name: string): string | undefined {
    const place = this.#find(name, 1)[0];
    return place === undefined ? undefined : this.#value(place);
  }

  /** The unfolded values of all fields of that name, in order. */
  getAll(name: string): string[] {
    return this.#find(name).map((place) => this.#value(place));
  }

  /** The Message-ID without its angle brackets (RFC 5322 §3.6.4); absent if missing or empty. */
  get messageId(): string | undefined {
    const value = this.get("message-id");
    if (value === undefined) return undefined;
    const bracketed = /<([^<>]*)>/.exec(value);
    return (bracketed?.[1] ?? value).trim() || undefined;
  }

  /** The Subject with its encoded words decoded (RFC 2047). */
  get subject(): string | undefined {
    const value = this.get("subject");
    return value === undefined ? undefined : decodeEncodedWords(value);
  }

  /** The time of the Date field, where it can be read (RFC 5322 §3.3, §4.3). */
  get date(): Date | undefined {
    const value = this.get("date");
    return value === undefined ? undefined : parseDate(value);
  }

  /** The mailboxes of all From fields: more than one field is a fault worth seeing. */
  get from(): readonly Mailbox[] {
    return this.getAll("from").flatMap((value) => mailboxes(value));
  }

  /** The octets of the fields after the edit, again without the empty line. */
  edit(edit: HeaderEdit): Uint8Array {
    const removed = new Set((edit.remove ?? []).map((name) => name.toLowerCase()));
    const kept = removed.size === 0
      ? [this.octets]
      : this.fields.filter((field) => !removed.has(field.name.toLowerCase()))
        .map((field) => field.raw);
    return concat([...(edit.prepend ?? []), ...kept, ...(edit.append ?? [])]);
  }

  #find(name: string, most = Infinity): Place[] {
    const wanted = name.toLowerCase();
    const found: Place[] = [];
    for (const place of this.#places) {
      // The length, with room for the blanks that §4.5 lets stand before the colon, decides
      // nearly always: a string is made for candidates only.
      const length = place.colon - place.start;
      if (length < wanted.length) continue;
      if (length > wanted.length && !isBlank(this.#text.charCodeAt(place.colon - 1))) continue;
      const written = this.#text.slice(place.start, place.colon).trimEnd();
      if (written.length !== wanted.length || written.toLowerCase() !== wanted) continue;
      found.push(place);
      if (found.length >= most) break;
    }
    return found;
  }

  #field(place: Place): Field {
    const written = place.colon < 0 ? "" : this.#text.slice(place.start, place.colon).trimEnd();
    return {
      name: PROPER_NAME.test(written) ? written : "",
      raw: this.octets.subarray(place.start, place.end),
      value: this.#value(place),
    };
  }

  #value(place: Place): string {
    const octets = this.octets.subarray(place.colon + 1 || place.start, place.end);
    // Unfolding takes out the line ends only (§2.2.3); the white space after each stays.
    return readable(octets).replace(/\r?\n/g, "").trim();
  }
}

function isBlank(code: number): boolean {
  return code === 0x20 || code === 0x09;
}

/** Finds the fields in one pass; stops at the empty line. */
function findPlaces(text: string): Place[] {
  const places: Place[] = [];
  let start = 0;
  let colon = text.indexOf(":");
  while (start < text.length) {
    const first = text.charCodeAt(start);
    if (first === 0x0a || (first === 0x0d && text.charCodeAt(start + 1) === 0x0a)) break;
    let end = start;
    do {
      const lineEnd = text.indexOf("\n", end);
      end = lineEnd < 0 ? text.length : lineEnd + 1;
    } while (end < text.length && isBlank(text.charCodeAt(end)));
    if (colon >= 0 && colon < start) colon = text.indexOf(":", start);
    places.push({ start, colon: colon < end ? colon : -1, end });
    start = end;
  }
  return places;
}

/**
 * One field as octets, folded at its spaces to lines of at most 78 columns where it has any
 * (RFC 5322 §2.1.1), and never over 998 octets. Line ends and other controls in the value become
 * spaces, so that no value can begin another field. The value goes out as UTF-8.
 */
export function formatField(name: string, value: string): Uint8Array {
  if (!PROPER_NAME.test(name)) throw new TypeError(`not a field name: ${JSON.stringify(name)}`);
  // Cut at the first space of a run only: a line of nothing but blanks is obsolete (§4.2).
  const words = value.replace(/\p{Cc}+/gu, " ").trim().split(/(?<=[^ ]) /);
  return foldWords(`${name}:`, words);
}

/**
 * Joins words with single spaces into a field, breaking lines before the 79th column. Unfolded
 * (§2.2.3) it is the words with those spaces again, unless a word was too long for any line.
 */
export function foldWords(start: string, words: readonly string[]): Uint8Array {
  let text = start;
  let column = start.length;
  words.forEach((word, index) => {
    for (const [cut, piece] of hardPieces(word).entries()) {
      const full = column + 1 + piece.length > 78;
      if (cut > 0 || (index > 0 && full)) {
        text += "\r\n";
        column = 0;
      }
      text += ` ${piece}`;
      column += 1 + piece.length;
    }
  });
  return octetsOf(`${text}\r\n`);
}

/** A word too long for a line is cut; 200 characters are at most 800 octets. */
export function hardPieces(word: string): string[] {
  // A UTF-16 code unit makes three octets at most.
  if (word.length <= 300 || (word.length <= 900 && octetsOf(word).length <= 900)) return [word];
  return word.match(/[^]{1,200}/gu) ?? [];
}
