/**
 * What of a message is handed to the check of its authentication: as much as any honest mail has, so that
 * the check takes bounded time however a message is made (RFC 6376 §6.1 and §8.4).
 *
 * What is left out is no proof for anything. The signatures that are looked at are the first, which were
 * added last: nobody can make a message pass by what is behind them.
 */
import { Buffer } from "node:buffer";
import type { Field, Header } from "@postern/message";

/** Signatures that are looked at. */
const MOST_SIGNATURES = 10;
/** Ways to hash the body that they may want: each reads all of it. Two are usual. */
const MOST_BODY_HASHES = 4;
/** Fields that one signature may name, and its octets. */
const MOST_SIGNED_FIELDS = 200;
const LONGEST_SIGNATURE = 8192;
/** ARC fields, three of a set, and their octets: each seal is over all that stand below it. */
const MOST_ARC_FIELDS = 3 * 10;
const LARGEST_ARC = 65_536;
/** Octets of all From fields. */
const LONGEST_AUTHORS = 8192;
/** More lines than that are handed over unfolded: the relaxed form of a field stays what it is. */
const MOST_FOLDED_LINES = 2000;
/** Octets of a line of the body. Only BINARYMIME may have longer ones. */
const LONGEST_LINE = 65_536;

/** A header as the check gets it, with its empty line, and what was left out of it. */
export interface CheckedHeader {
  readonly octets: Uint8Array;
  readonly leftOut: LeftOut;
}

/** What was too much to be looked at. */
export interface LeftOut {
  /** How many signatures. */
  readonly signatures: number;
  readonly arc: boolean;
  readonly authors: boolean;
}

/** The part of a header that is looked at. */
export function checkedHeader(header: Header): CheckedHeader {
  const { fields } = header;
  const arcFields = fields.filter(isArc);
  const arc = arcFields.length > MOST_ARC_FIELDS || octetsOf(arcFields) > LARGEST_ARC ||
    !arcFields.every(isModest);
  const authors = octetsOf(fields.filter(isAuthor)) > LONGEST_AUTHORS;
  const wanted = new Set<string>();
  let taken = 0;
  let signatures = 0;
  const takes = (field: Field): boolean => {
    if (taken === MOST_SIGNATURES || !isModest(field)) return false;
    const hash = bodyHash(field);
    if (!wanted.has(hash) && wanted.size === MOST_BODY_HASHES) return false;
    wanted.add(hash);
    taken += 1;
    return true;
  };
  const kept = fields.filter((field) => {
    if (isArc(field)) return !arc;
    if (isAuthor(field)) return !authors;
    if (field.name.toLowerCase() !== "dkim-signature" || takes(field)) return true;
    signatures += 1;
    return false;
  });
  const lines = Buffer.concat(kept.map(({ raw }) => raw)).toString("latin1").split(/\r?\n/);
  const text = lines.length > MOST_FOLDED_LINES
    ? lines.join("\r\n").replace(/\r\n(?=[ \t])/g, "")
    : lines.join("\r\n");
  return { octets: Buffer.from(`${text}\r\n`, "latin1"), leftOut: { signatures, arc, authors } };
}

/** The part of a body that is looked at: up to the first place that is no text of lines. */
export class CheckedBody {
  #column = 0;
  #last = 0;
  #over = false;

  /** What of the next piece is looked at. */
  take(bytes: Uint8Array): Uint8Array {
    if (this.#over) return bytes.subarray(0, 0);
    let start = 0;
    for (;;) {
      const lineEnd = bytes.indexOf(10, start);
      const end = lineEnd < 0 ? bytes.length : lineEnd + 1;
      this.#column += end - start;
      const before = lineEnd > 0 ? bytes[lineEnd - 1] : this.#last;
      if (this.#column > LONGEST_LINE || (lineEnd >= 0 && before !== 13)) {
        this.#over = true;
        return bytes.subarray(0, start);
      }
      if (lineEnd < 0) break;
      this.#column = 0;
      start = end;
    }
    this.#last = bytes.at(-1) ?? this.#last;
    return bytes;
  }
}

function isArc({ name }: Field): boolean {
  return /^arc-(?:seal|message-signature|authentication-results)$/i.test(name);
}

function isAuthor({ name }: Field): boolean {
  return name.toLowerCase() === "from";
}

/** Whether it is no larger than signatures are. Results are only signed, and not searched for. */
function isModest({ name, raw, value }: Field): boolean {
  if (/results$/i.test(name)) return true;
  if (raw.length > LONGEST_SIGNATURE) return false;
  return tags(value, "h").join(":").split(":").length <= MOST_SIGNED_FIELDS;
}

/** What decides how the body is hashed. Tags given twice count as a way of their own. */
function bodyHash({ value }: Field): string {
  return ["a", "c", "l"].map((name) => tags(value, name).join()).join(";").toLowerCase();
}

/** The values of all tags of that name, without blanks. */
function tags(value: string, name: string): string[] {
  return value.split(";").flatMap((tag) => {
    const [before = "", ...behind] = tag.split("=");
    return before.trim().toLowerCase() === name ? [behind.join("=").replace(/\s+/g, "")] : [];
  });
}

function octetsOf(fields: readonly Field[]): number {
  return fields.reduce((sum, { raw }) => sum + raw.length, 0);
}
