/**
 * Converts 8bit (and binary) MIME content to 7bit as RFC 6152 §3 allows a relay to, while it
 * streams: parts that are declared 8bit or binary, or are so undeclared, become quoted-printable
 * (text) or base64 (all else); everything else passes octet for octet, but that it is made of lines:
 * what came by BINARYMIME may hold a lone CR, a lone LF or a NUL outside of what is encoded, and such
 * would be taken for the end of the data by some receiver. The decoded parts stay the same. Memory is bounded: one header, one line, and 64 KiB of a part whose declaration is
 * in doubt (a longer one is encoded in any case, which is never wrong).
 *
 * A conversion changes the body, and so breaks DKIM signatures over it and, for parts that were
 * not 7bit as RFC 1847 §2.1 demands, signatures within it: convert only for a next hop without
 * 8BITMIME, and sign afterwards.
 *
 * What cannot be converted is a header with 8-bit octets (that needs SMTPUTF8), a body part
 * that must not be encoded (message/partial, a multipart without boundary) and has 8-bit octets or
 * is not made of lines, and structure beyond the limits. {@link SevenBitConverter.failure} then says so; since earlier
 * output may be on its way, a sender that cannot take it back runs the content through once before.
 *
 * This file must not know who asks for the conversion.
 */

import { Base64Encoder } from "./base64.ts";
import { Header } from "./header.ts";
import { MAX_HEADER_OCTETS } from "./header-reader.ts";
import { concat, CR, hasEightBit, latin1, LF, octetsOf, SPACE, TAB } from "./octets.ts";
import { QuotedPrintableEncoder } from "./quoted-printable.ts";
import { declareEncoding, declaresMore, planEntity } from "./seven-bit-plan.ts";
import type { DefaultType, SafeEncoding } from "./seven-bit-plan.ts";
import { ContentSurvey } from "./survey.ts";
import type { TransferEncoder } from "./transfer-encoder.ts";

/** Why content cannot be converted. */
export type SevenBitFailure =
  | "eightBitHeader"
  | "headerTooLarge"
  | "partMustNotBeEncoded"
  | "nestedTooDeep"
  | "tooManyParts";

const HYPHEN = 0x2d;

/** How much of a part declared 7bit is held until it is known whether that is true. */
const MAX_HELD_OCTETS = 64 * 1024;
/** A line longer than this is worked on before its end is seen; no boundary is that long. */
const MAX_LINE_HELD = 4096;
/** A delimiter is at most 70 octets and its hyphens (RFC 2046 §5.1.1); some write longer ones. */
const MAX_DELIMITER_LINE = 998;
const MAX_DEPTH = 32;
/** Each part costs far more than its octets. */
const MAX_PARTS = 10_000;

const NOTHING = new Uint8Array(0);
const CRLF = Uint8Array.of(CR, LF);

type Mode =
  /** `message` tells a message's header from a body part's. */
  | {
    readonly kind: "header";
    readonly pieces: Uint8Array[];
    size: number;
    readonly defaultType: DefaultType;
    readonly message: boolean;
  }
  /** Before the first boundary or after the last: for no reader (RFC 2046 §5.1.1). */
  | { readonly kind: "ignored" }
  | {
    readonly kind: "doubt";
    readonly header: Header;
    readonly message: boolean;
    readonly blankLine: Uint8Array;
    readonly encoding: SafeEncoding;
    readonly survey: ContentSurvey;
    readonly held: Uint8Array[];
    size: number;
  }
  | { readonly kind: "encode"; readonly encoder: TransferEncoder }
  | { readonly kind: "encoded"; readonly encoding: SafeEncoding }
  | { readonly kind: "fixed" };

/** A multipart that is open: its delimiter with both hyphens, and its parts' default type. */
interface Open {
  readonly delimiter: Uint8Array;
  readonly partDefault: DefaultType;
}

/** A conversion under way. Chunks may be split anywhere; the output is the same. */
export class SevenBitConverter {
  /** Why the conversion is not possible; nothing more comes out then. */
  failure: SevenBitFailure | undefined;
  #mode: Mode = headerMode("text/plain", true);
  #open: Open[] = [];
  #parts = 0;
  #out: Uint8Array[] = [];
  /** The beginning of a line whose end has not come. */
  #carry: Uint8Array = NOTHING;
  #lineBegun = false;
  /** The line end before the present line: a delimiter's, if that is what the line is. */
  #lineEnd: Uint8Array = NOTHING;

  /** Takes the next chunk; gives what can be sent on. The chunk is not kept. */
  push(chunk: Uint8Array): Uint8Array[] {
    const input = this.#carry.length === 0 ? chunk : concat([this.#carry, chunk]);
    let at = 0;
    while (this.failure === undefined) {
      const lineFeed = this.#lastOfLines(input, at);
      if (lineFeed < 0) break;
      const cut = lineFeed > at && input[lineFeed - 1] === CR ? lineFeed - 1 : lineFeed;
      this.#line(input.subarray(at, cut), input.subarray(cut, lineFeed + 1));
      at = lineFeed + 1;
    }
    if (input.length - at > MAX_LINE_HELD && this.failure === undefined) {
      // A CR at the end may be half of a line end.
      const cut = input[input.length - 1] === CR ? input.length - 1 : input.length;
      this.#line(input.subarray(at, cut), NOTHING);
      at = cut;
    }
    this.#carry = this.failure === undefined ? input.slice(at) : NOTHING;
    return this.#taken();
  }

  /** The content ended; gives the rest. */
  end(): Uint8Array[] {
    if (this.failure === undefined && this.#carry.length > 0) this.#line(this.#carry, NOTHING);
    this.#carry = NOTHING;
    if (this.failure === undefined) this.#endOfContent();
    return this.#taken();
  }

  #taken(): Uint8Array[] {
    const out = this.#out;
    this.#out = [];
    if (this.failure !== undefined || out.length === 0) return [];
    return [concat(out)];
  }

  /**
   * The LF up to which octets can be worked on together: in a body all whole lines up to the next that may
   * be a delimiter, else one line. −1 where no line ends.
   */
  #lastOfLines(input: Uint8Array, at: number): number {
    if (this.#mode.kind === "header") return input.indexOf(LF, at);
    const delimiter = this.#open.length === 0 ? -1 : this.#mayBeDelimiter(input, at);
    if (delimiter === at) return input.indexOf(LF, at);
    if (delimiter > at) return delimiter - 1;
    const last = input.lastIndexOf(LF);
    return last < at ? -1 : last;
  }

  /** The next line that begins as an open multipart's delimiter, as far as it is there; −1 where none does. */
  #mayBeDelimiter(input: Uint8Array, from: number): number {
    for (let at = input.indexOf(HYPHEN, from); at >= 0; at = input.indexOf(HYPHEN, at + 1)) {
      const begins = at === from ? !this.#lineBegun : input[at - 1] === LF;
      if (begins && this.#open.some(({ delimiter }) => agree(input, at, delimiter))) return at;
    }
    return -1;
  }

  /** A line, a piece of a long one, or lines of a body; `lineEnd` is empty if the last goes on or content ends. */
  #line(text: Uint8Array, lineEnd: Uint8Array): void {
    const begins = !this.#lineBegun;
    this.#lineBegun = lineEnd.length === 0;
    if (begins && this.#open.length > 0 && this.#delimiter(text, lineEnd)) return;
    const mode = this.#mode;
    if (mode.kind === "header") {
      mode.pieces.push(oneLine(text), whole(lineEnd));
      mode.size += text.length + lineEnd.length;
      if (mode.size > MAX_HEADER_OCTETS) this.#fail("headerTooLarge");
      else if (begins && text.length === 0) this.#beginBody(mode, whole(lineEnd));
      return;
    }
    if (this.#lineEnd.length > 0) this.#body(this.#lineEnd);
    this.#lineEnd = lineEnd.slice();
    if (text.length > 0) this.#body(text);
  }

  /** Takes a delimiter line of any open multipart, which ends all that are within it. */
  #delimiter(text: Uint8Array, lineEnd: Uint8Array): boolean {
    if (text[0] !== HYPHEN || text.length > MAX_DELIMITER_LINE) return false;
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const open = this.#open[i]!;
      const kind = delimiterKind(text, open.delimiter);
      if (kind === undefined) continue;
      this.#endPart();
      if (++this.#parts > MAX_PARTS) this.#fail("tooManyParts");
      this.#out.push(whole(this.#lineEnd), text.slice(), whole(lineEnd));
      this.#lineEnd = NOTHING;
      this.#open.length = kind === "close" ? i : i + 1;
      this.#mode = kind === "close" ? { kind: "ignored" } : headerMode(open.partDefault, false);
      return true;
    }
    return false;
  }

  /** The header is complete: decides what becomes of the body. */
  #beginBody(mode: Mode & { kind: "header" }, blankLine: Uint8Array): void {
    const octets = concat(mode.pieces);
    if (hasEightBit(octets)) return this.#fail("eightBitHeader");
    const header = new Header(octets);
    const plan = planEntity(header, mode.defaultType);
    if (plan.kind === "doubt") {
      const survey = new ContentSurvey();
      const { message } = mode;
      this.#mode = { ...plan, header, message, blankLine, survey, held: [], size: 0 };
      return;
    }
    if (plan.kind === "encode") {
      this.#out.push(declareEncoding(header, plan.encoding, mode.message), blankLine);
      this.#mode = { kind: "encode", encoder: encoderFor(plan.encoding) };
      return;
    }
    const composite = plan.kind === "multipart" || plan.kind === "message";
    const restate = composite && declaresMore(header);
    this.#out.push(restate ? declareEncoding(header, "7bit", mode.message) : header.octets);
    this.#out.push(blankLine);
    if (plan.kind === "multipart") {
      const delimiter = octetsOf(`--${plan.boundary}`);
      this.#open.push({ delimiter, partDefault: plan.partDefault });
      if (this.#open.length > MAX_DEPTH) return this.#fail("nestedTooDeep");
      this.#mode = { kind: "ignored" };
    } else if (plan.kind === "message") this.#mode = headerMode("text/plain", true);
    else this.#mode = plan;
  }

  /** Octets of the body of the present entity. */
  #body(octets: Uint8Array): void {
    const mode = this.#mode;
    switch (mode.kind) {
      case "encode":
        this.#out.push(mode.encoder.write(octets));
        return;
      case "doubt":
        mode.survey.push(octets);
        mode.held.push(octets.slice());
        mode.size += octets.length;
        if (mode.survey.encoding !== "7bit" || mode.size > MAX_HELD_OCTETS) this.#encodeHeld(mode);
        return;
      case "fixed":
        if (hasEightBit(octets) || inLines(octets) !== octets) {
          return this.#fail("partMustNotBeEncoded");
        }
        this.#out.push(octets.slice());
        return;
      case "encoded":
        this.#out.push(inLines(repaired(octets, mode.encoding)));
        return;
      default:
        // No reader shows these octets, so what matters is only that they are 7bit and lines.
        this.#out.push(inLines(octets.map((octet) => octet > 0x7f ? 0x3f : octet)));
    }
  }

  #encodeHeld(mode: Mode & { kind: "doubt" }): void {
    const encoder = encoderFor(mode.encoding);
    this.#out.push(declareEncoding(mode.header, mode.encoding, mode.message), mode.blankLine);
    this.#out.push(encoder.write(concat(mode.held)));
    this.#mode = { kind: "encode", encoder };
  }

  /** A delimiter ends the present entity; the line end before it is not the entity's. */
  #endPart(): void {
    const mode = this.#mode;
    if (mode.kind === "header") this.#endInHeader(mode);
    else if (mode.kind === "encode") this.#out.push(mode.encoder.end());
    else if (mode.kind === "doubt") {
      if (mode.survey.end().encoding === "7bit") this.#releaseHeld(mode);
      else {
        this.#encodeHeld(mode);
        this.#endPart();
      }
    }
  }

  #endOfContent(): void {
    if (this.#lineEnd.length > 0) this.#body(this.#lineEnd);
    this.#lineEnd = NOTHING;
    if (this.#mode.kind === "doubt" && this.#mode.survey.end().encoding !== "7bit") {
      this.#encodeHeld(this.#mode);
    }
    const mode = this.#mode;
    if (mode.kind === "header") this.#endInHeader(mode);
    else if (mode.kind === "encode") this.#out.push(mode.encoder.finish());
    else if (mode.kind === "doubt") this.#releaseHeld(mode);
  }

  #releaseHeld(mode: Mode & { kind: "doubt" }): void {
    this.#out.push(mode.header.octets, mode.blankLine, ...mode.held);
  }

  /** A header without an empty line, and so without a body. */
  #endInHeader(mode: Mode & { kind: "header" }): void {
    const octets = concat(mode.pieces);
    if (hasEightBit(octets)) this.#fail("eightBitHeader");
    else this.#out.push(octets);
  }

  #fail(failure: SevenBitFailure): void {
    this.failure ??= failure;
  }
}

/** Begins a conversion; see {@link SevenBitConverter}. */
export function toSevenBit(): SevenBitConverter {
  return new SevenBitConverter();
}

function headerMode(defaultType: DefaultType, message: boolean): Mode {
  return { kind: "header", pieces: [], size: 0, defaultType, message };
}

/** A line end as it must be, where there is one. */
function whole(lineEnd: Uint8Array): Uint8Array {
  return lineEnd.length === 0 ? NOTHING : CRLF;
}

/** The text of a line of a header: a lone CR is a blank and NUL is nothing. */
function oneLine(text: Uint8Array): Uint8Array {
  const octets = text.filter((octet) => octet !== 0);
  for (let at = octets.indexOf(CR); at >= 0; at = octets.indexOf(CR, at)) octets[at] = SPACE;
  return octets;
}

/**
 * Octets as they may pass where they must be lines: a lone CR or LF becomes a line end, NUL nothing. The
 * octets themselves where there was none.
 */
function inLines(octets: Uint8Array): Uint8Array {
  if (isLines(octets)) return octets;
  return octetsOf(latin1(octets).replace(/\r\n?|\n|\0/g, (odd) => odd === "\0" ? "" : "\r\n"));
}

function isLines(octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) {
    const octet = octets[i]!;
    if (octet > CR) continue;
    if (octet === 0 || octet === LF || octet === CR && octets[i + 1] !== LF) return false;
    if (octet === CR) i++;
  }
  return true;
}

function encoderFor(encoding: SafeEncoding): TransferEncoder {
  return encoding === "base64" ? new Base64Encoder() : new QuotedPrintableEncoder();
}

/** Whether octets from a place on are the beginning of others, or all of them. */
function agree(octets: Uint8Array, from: number, other: Uint8Array): boolean {
  const length = Math.min(other.length, octets.length - from);
  for (let i = 0; i < length; i++) if (octets[from + i] !== other[i]) return false;
  return true;
}

/** RFC 2046 §5.1.1: the delimiter, two hyphens if it is the last, blanks, nothing else. */
function delimiterKind(text: Uint8Array, delimiter: Uint8Array): "part" | "close" | undefined {
  if (text.length < delimiter.length || !agree(text, 0, delimiter)) return undefined;
  let at = delimiter.length;
  const close = text[at] === HYPHEN && text[at + 1] === HYPHEN;
  if (close) at += 2;
  while (text[at] === SPACE || text[at] === TAB) at++;
  return at < text.length ? undefined : close ? "close" : "part";
}

/** In base64 an 8-bit octet means nothing (RFC 2045 §6.8); in quoted-printable it means itself. */
function repaired(octets: Uint8Array, encoding: SafeEncoding): Uint8Array {
  if (!hasEightBit(octets)) return octets.slice();
  if (encoding === "base64") return octets.filter((octet) => octet < 0x80);
  const pieces: Uint8Array[] = [];
  for (const octet of octets) {
    pieces.push(
      octet < 0x80
        ? Uint8Array.of(octet)
        : octetsOf(`=${octet.toString(16).toUpperCase().padStart(2, "0")}`),
    );
  }
  return concat(pieces);
}
