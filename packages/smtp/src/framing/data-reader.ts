/**
 * The reading side of DATA: finds the end of data and takes the stuffed dots away (RFC 5321
 * §4.5.2). Only `CRLF.CRLF` ends the data; bare CR, bare LF and NUL are noted, never believed.
 * Content comes out as views on what went in. This file must not know sessions or replies.
 */

const CR = 13;
const LF = 10;
const DOT = 46;

/** What is wrong with line ends of content. */
export type ContentDefect = "bareCr" | "bareLf" | "nul";

/** Reads the content of one message from chunks cut anywhere. */
export class DataReader {
  #carry: Uint8Array = new Uint8Array();
  #atLineStart = true;
  #ended = false;
  #defect: ContentDefect | undefined;

  /** The end of data was read. */
  get ended(): boolean {
    return this.#ended;
  }

  /** The first thing found wrong, if any. */
  get defect(): ContentDefect | undefined {
    return this.#defect;
  }

  /**
   * Takes a chunk, appends views on content to `out`, and answers what came after the end of data
   * (`undefined` while that was not read).
   */
  push(chunk: Uint8Array, out: Uint8Array[]): Uint8Array | undefined {
    let bytes = chunk;
    if (this.#carry.length > 0) {
      bytes = new Uint8Array(this.#carry.length + chunk.length);
      bytes.set(this.#carry);
      bytes.set(chunk, this.#carry.length);
      this.#carry = new Uint8Array();
    }
    let start = 0;
    let at = 0;
    let nextCr = bytes.indexOf(CR);
    const emit = (end: number) => {
      if (end <= start) return;
      const view = bytes.subarray(start, end);
      if (view.includes(0)) this.#defect ??= "nul";
      out.push(view);
    };
    while (at < bytes.length) {
      if (this.#atLineStart && bytes[at] === DOT) {
        emit(at);
        start = at;
        if (bytes[at + 1] === CR && bytes[at + 2] === LF) {
          this.#ended = true;
          return bytes.subarray(at + 3);
        }
        const left = bytes.length - at;
        if (left === 1 || (left === 2 && bytes[at + 1] === CR)) {
          this.#carry = bytes.slice(at);
          return undefined;
        }
        start = at += 1;
      }
      const lineFeed = bytes.indexOf(LF, at);
      const end = lineFeed < 0 ? bytes.length : lineFeed;
      if (nextCr >= 0 && nextCr < at) nextCr = bytes.indexOf(CR, at);
      if (nextCr >= 0 && nextCr < end - 1) {
        this.#defect ??= "bareCr";
        while (nextCr >= 0 && nextCr < end - 1) nextCr = bytes.indexOf(CR, nextCr + 1);
      }
      if (lineFeed < 0) {
        // A CR at the very end may be half of a CRLF: it waits for the next chunk.
        const held = bytes[end - 1] === CR ? end - 1 : end;
        emit(held);
        if (held < end) this.#carry = bytes.slice(held);
        this.#atLineStart = false;
        return undefined;
      }
      this.#atLineStart = lineFeed > at && bytes[lineFeed - 1] === CR;
      if (!this.#atLineStart) this.#defect ??= "bareLf";
      at = lineFeed + 1;
    }
    emit(at);
    return undefined;
  }
}
