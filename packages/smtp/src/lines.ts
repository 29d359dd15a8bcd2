/**
 * The reader of command lines: bytes cut anywhere in, whole lines out, in bounded memory.
 *
 * A line ends with LF; whether it ended with CRLF and holds nothing that a line must not hold is told
 * beside its text, so that the session can answer precisely. This file must not know commands.
 */
import { decodeAscii, decodeUtf8 } from "./wire-text.ts";

/** A line without its line end. */
export interface Line {
  text: string;
  /** Octets with the line end. */
  length: number;
  /**
   * What is wrong with it, and then `text` is not to be used; but for `bare LF`, which is a whole line
   * ended by LF alone. `control`: it holds a CR or a NUL.
   */
  fault: "none" | "too long" | "bare LF" | "control" | "not utf-8";
}

/** Shared by all that hold nothing: a server has thousands of idle sessions. */
const nothing = new Uint8Array(0);

/** Reads lines of at most `maximum` octets, line end included. */
export class LineReader {
  readonly #maximum: number;
  #carry: Uint8Array = nothing;
  #held = 0;
  #overflow = false;
  readonly #line: Line = { text: "", length: 0, fault: "none" };

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  /** Whether the beginning of a line is held. */
  get partial(): boolean {
    return this.#held > 0 || this.#overflow;
  }

  /**
   * Looks for a line's end in `chunk` at or after `from`. Returns the index behind the line, whose
   * text {@link line} then has; or `-1`: all was taken, and the line goes on in the next chunk.
   */
  take(chunk: Uint8Array, from: number): number {
    const feed = chunk.indexOf(10, from);
    if (feed === -1) {
      this.#hold(chunk, from, chunk.length);
      return -1;
    }
    if (this.partial) {
      this.#hold(chunk, from, feed + 1);
      this.#finish(this.#carry, 0, this.#held - 1);
      this.#held = 0;
      this.#overflow = false;
      if (this.#carry.length > 1024) this.#carry = nothing;
    } else {
      this.#finish(chunk, from, feed);
    }
    return feed + 1;
  }

  /** The line that {@link take} found; good until the next call. */
  get line(): Line {
    return this.#line;
  }

  /** Forgets what is held. */
  clear(): void {
    this.#held = 0;
    this.#overflow = false;
  }

  #hold(chunk: Uint8Array, from: number, to: number): void {
    const length = this.#held + to - from;
    if (this.#overflow || length > this.#maximum) {
      this.#overflow = true;
      this.#held = 0;
      return;
    }
    if (length > this.#carry.length) {
      const larger = new Uint8Array(Math.min(Math.max(128, length * 2), this.#maximum));
      larger.set(this.#carry.subarray(0, this.#held));
      this.#carry = larger;
    }
    this.#carry.set(chunk.subarray(from, to), this.#held);
    this.#held = length;
  }

  /** Makes the line of the bytes before the LF at `feed`. */
  #finish(bytes: Uint8Array, from: number, feed: number): void {
    const line = this.#line;
    line.text = "";
    line.length = feed + 1 - from;
    if (this.#overflow || line.length > this.#maximum) {
      line.fault = "too long";
      return;
    }
    const crlf = feed > from && bytes[feed - 1] === 13;
    const end = crlf ? feed - 1 : feed;
    let fault: Line["fault"] = crlf ? "none" : "bare LF";
    let ascii = true;
    for (let index = from; index < end; index++) {
      const byte = bytes[index]!;
      if (byte === 13 || byte === 0) fault = "control";
      else if (byte > 127) ascii = false;
    }
    if (ascii) {
      line.text = decodeAscii(bytes, from, end);
    } else {
      const text = decodeUtf8(bytes.subarray(from, end));
      if (text === undefined) fault = fault === "control" ? fault : "not utf-8";
      line.text = text ?? "";
    }
    line.fault = fault;
  }
}
