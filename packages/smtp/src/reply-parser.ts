/**
 * Reads SMTP replies out of a stream of bytes cut anywhere (RFC 5321 §4.2), in bounded memory.
 *
 * As lenient as clients in the field are: a bare LF ends a line, the space after the code may be
 * missing when there is no text, and enhanced status codes are taken wherever they are found. What
 * remains that is not a reply is a typed problem, after which nothing more can be read.
 *
 * This file must not know which command a reply answers.
 */
import { concat } from "./octets.ts";
import type { EnhancedCode, Reply } from "./reply.ts";

/** What can be wrong with what a peer sent in place of a reply. */
export type ReplyProblem =
  /** A line does not begin with a code from 200 to 599 and a space, a hyphen or its end. */
  | "notAReply"
  /** The lines of one reply have different codes. */
  | "codesDiffer"
  | "lineTooLong"
  | "tooManyLines"
  | "replyTooLong";

/** How long replies may be. */
export interface ReplyLimits {
  /** Bytes of one line with its line end (RFC 5321 §4.5.3.1.5 says 512; servers exceed it). */
  readonly line: number;
  /** Lines of one reply. */
  readonly lines: number;
  /** Bytes of one reply, all lines with their line ends. */
  readonly reply: number;
}

/** The limits used where the options name none. */
export const defaultReplyLimits: ReplyLimits = { line: 4096, lines: 200, reply: 65_536 };

/** What was read: a reply, or that there will never be one again. */
export type ParsedReply =
  | { readonly kind: "reply"; readonly reply: Reply }
  | { readonly kind: "problem"; readonly problem: ReplyProblem };

const lineFeed = 10;
const carriageReturn = 13;
const hyphen = 45;
const space = 32;
const nothing = new Uint8Array(0);
const utf8 = new TextDecoder();

/** Reads replies. Keeps at most one unfinished line and the lines of one unfinished reply. */
export class ReplyParser {
  readonly #limits: ReplyLimits;
  /** Bytes not yet read: between calls at most an unfinished line, in memory of our own. */
  #bytes: Uint8Array = nothing;
  #at = 0;
  #code = 0;
  #lines: string[] = [];
  #size = 0;
  #problem: ParsedReply | undefined;

  constructor(limits: Partial<ReplyLimits> = {}) {
    this.#limits = { ...defaultReplyLimits, ...limits };
  }

  /** Takes bytes. Call `next()` until it returns `undefined` before the bytes are overwritten. */
  push(bytes: Uint8Array): void {
    if (this.#problem !== undefined) return;
    if (this.#at === this.#bytes.length) {
      this.#bytes = bytes;
    } else {
      this.#bytes = concat([this.#bytes.subarray(this.#at), bytes]);
    }
    this.#at = 0;
  }

  /** The next reply or the problem; `undefined` when more bytes are needed. */
  next(): ParsedReply | undefined {
    if (this.#problem !== undefined) return this.#problem;
    while (true) {
      const end = this.#bytes.indexOf(lineFeed, this.#at);
      const length = (end === -1 ? this.#bytes.length : end + 1) - this.#at;
      if (length > this.#limits.line) return this.#fail("lineTooLong");
      if (end === -1) {
        this.#bytes = length === 0 ? nothing : this.#bytes.slice(this.#at);
        this.#at = 0;
        return undefined;
      }
      const start = this.#at;
      this.#at = end + 1;
      const parsed = this.#line(start, end, length);
      if (parsed !== undefined) return parsed;
    }
  }

  /** Bytes kept of which no reply was made yet: never more than the limits of a line and a reply. */
  get kept(): number {
    return this.#bytes.length - this.#at + this.#size;
  }

  /** One line, from `start` to its LF at `lineEnd`. */
  #line(start: number, lineEnd: number, length: number): ParsedReply | undefined {
    const bytes = this.#bytes;
    let end = lineEnd;
    while (end > start && bytes[end - 1] === carriageReturn) end--;
    const code = codeAt(bytes, start, end);
    const separator = end - start > 3 ? bytes[start + 3] : space;
    if (code === undefined || (separator !== space && separator !== hyphen)) {
      return this.#fail("notAReply");
    }
    if (this.#lines.length > 0 && code !== this.#code) return this.#fail("codesDiffer");
    if (this.#lines.length === this.#limits.lines) return this.#fail("tooManyLines");
    this.#size += length;
    if (this.#size > this.#limits.reply) return this.#fail("replyTooLong");
    this.#code = code;
    this.#lines.push(textOf(bytes, Math.min(start + 4, end), end));
    if (separator === hyphen) return undefined;
    const lines = this.#lines;
    this.#lines = [];
    this.#size = 0;
    return { kind: "reply", reply: replyOf(code, lines) };
  }

  #fail(problem: ReplyProblem): ParsedReply {
    this.#bytes = nothing;
    this.#at = 0;
    this.#lines = [];
    this.#size = 0;
    return this.#problem = { kind: "problem", problem };
  }
}

function codeAt(bytes: Uint8Array, start: number, end: number): number | undefined {
  if (end - start < 3) return undefined;
  const first = bytes[start]! - 48;
  const second = bytes[start + 1]! - 48;
  const third = bytes[start + 2]! - 48;
  if (first < 2 || first > 5 || second < 0 || second > 9 || third < 0 || third > 9) {
    return undefined;
  }
  return first * 100 + second * 10 + third;
}

/** The text of a line, for people, logs and a database: control characters become spaces. */
function textOf(bytes: Uint8Array, start: number, end: number): string {
  let text = bytes;
  let from = start;
  let to = end;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte < space || byte === 127) {
      text = bytes.slice(start, end).map((octet) => octet < space || octet === 127 ? space : octet);
      from = 0;
      to = text.length;
      break;
    }
  }
  return utf8.decode(text.subarray(from, to)).trimEnd();
}

const enhancedPattern = /^([245])\.(?:0|[1-9][0-9]{0,2})\.(?:0|[1-9][0-9]{0,2})(?= |$)/;

/** Takes the enhanced status code off the lines (RFC 2034 §4), if its class fits the code. */
function replyOf(code: number, lines: string[]): Reply {
  const enhanced = enhancedPattern.exec(lines[0]!);
  if (enhanced === null || Number(enhanced[1]) !== Math.floor(code / 100)) return { code, lines };
  const prefix = enhanced[0];
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!;
    if (line === prefix) lines[at] = "";
    else if (line.startsWith(`${prefix} `)) lines[at] = line.slice(prefix.length).trimStart();
  }
  return { code, enhanced: prefix as EnhancedCode, lines };
}
