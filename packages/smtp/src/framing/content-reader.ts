/**
 * The reading side of content: takes the dots of DATA away and finds its end (RFC 5321 §4.5.2), and
 * watches over line ends and the length of lines, for BDAT as well.
 *
 * Only `CRLF . CRLF` ends the data. A bare CR, a bare LF or a NUL anywhere, so any other sequence that
 * some receiver might take for an end, is a fault in `refuse` and becomes CRLF (NUL: nothing) in
 * `normalise`; what such a line end begins is not a line for the sake of dots.
 *
 * Content comes out as views on what went in. Bytes are looked at four at a time: those below 14
 * stop the scan, which in text are the line ends. This file must not know sessions.
 */

/** What may be wrong with content. */
export type ContentFault = "line end" | "line too long";

/** How content is framed: DATA, BDAT of text, or BDAT of BINARYMIME, which has no lines. */
export type Framing = "dots" | "text" | "binary";

const crlf = Uint8Array.of(13, 10);
const lineFeed = Uint8Array.of(10);
const noWords = new Int32Array(0);

// Where the last byte read leaves us.
const lineStart = 0;
const inLine = 1;
const afterReturn = 2;
/** A dot at a line's start is withheld. */
const afterDot = 3;
/** A dot and a CR at a line's start are withheld. */
const afterDotReturn = 4;

/** Reads the content of one message. */
export class ContentReader {
  readonly #framing: Framing;
  readonly #normalise: boolean;
  readonly #longest: number;
  #state = lineStart;
  /** Octets of the present line before the chunk's part of it. */
  #column = 0;
  /** A piece to hand out before reading on: a line end that was put in. */
  #inserted: Uint8Array | undefined;
  #highBits = 0;
  #words: Int32Array = noWords;
  #wordsOf: Uint8Array | undefined;

  /** The index of the first unread byte of the chunk, after {@link read}. */
  position = 0;
  /** Whether the end of data was read (only with `dots`). */
  ended = false;
  /** The first thing that was wrong; from then on the content is not to be used. */
  fault: ContentFault | undefined;

  constructor(framing: Framing, lineEnds: "refuse" | "normalise", longestLine: number) {
    this.#framing = framing;
    this.#normalise = lineEnds === "normalise";
    this.#longest = longestLine;
  }

  /** Whether a byte above 127 was read. */
  get eightBit(): boolean {
    return (this.#highBits & 0x80808080) !== 0;
  }

  /**
   * Reads the chunk on from `from` to `to`, up to the next place where a byte is left out or put in.
   * Returns the content before that place, or `undefined` where there is none; {@link position} says
   * where to go on. The chunk is used up when `position` is `to`, and this returned `undefined`.
   */
  read(chunk: Uint8Array, from: number, to: number): Uint8Array | undefined {
    if (this.#inserted !== undefined) {
      const inserted = this.#inserted;
      this.#inserted = undefined;
      this.position = from;
      return inserted;
    }
    if (this.#framing === "binary") {
      this.#scan(chunk, from, to, 0);
      return this.#piece(chunk, from, to, to);
    }
    return this.#readLines(chunk, from, to);
  }

  /** The chunks have ended: a CR that waits for its LF is bare. Returns what must be put in. */
  finish(): Uint8Array | undefined {
    if (this.#framing !== "text" || this.#state !== afterReturn) return undefined;
    return this.#lineEndFault() ? lineFeed : undefined;
  }

  #readLines(chunk: Uint8Array, from: number, to: number): Uint8Array | undefined {
    let start = from;
    let at = from;
    let state = this.#state;
    let column = this.#column;
    const longest = this.#longest;
    while (at < to) {
      if (state === inLine) {
        const stop = this.#scan(chunk, at, to, 14);
        column += stop - at;
        at = stop;
        if (at === to) break;
        const byte = chunk[at]!;
        if (byte === 13) {
          at++;
          state = afterReturn;
          // The usual line ends here, without a turn through the states.
          if (at < to && chunk[at] === 10 && column <= longest) {
            at++;
            column = 0;
            state = lineStart;
          }
        } else if (byte === 10 || byte === 0) {
          const end = at;
          at++;
          if (byte === 10) column = 0;
          if (this.#lineEndFault()) {
            const insert = byte === 10 ? crlf : undefined;
            this.#save(inLine, column, at);
            if (end > start) {
              this.#inserted = insert;
              return chunk.subarray(start, end);
            }
            if (insert !== undefined) return insert;
            start = at;
          }
        } else {
          column++;
          at++;
        }
      } else if (state === lineStart) {
        if (chunk[at] === 46 && this.#framing === "dots") {
          const text = at > start ? chunk.subarray(start, at) : undefined;
          state = afterDot;
          at++;
          start = at;
          if (text !== undefined) {
            this.#save(state, 0, at);
            return text;
          }
        } else {
          state = inLine;
        }
      } else if (state === afterReturn) {
        if (chunk[at] === 10) {
          if (column > longest) this.fault ??= "line too long";
          at++;
          column = 0;
          state = lineStart;
        } else {
          // The CR went out already; its LF is put in.
          state = inLine;
          column = 0;
          if (this.#lineEndFault()) {
            const text = at > start ? chunk.subarray(start, at) : undefined;
            this.#save(state, column, at);
            if (text === undefined) return lineFeed;
            this.#inserted = lineFeed;
            return text;
          }
        }
      } else if (state === afterDot) {
        if (chunk[at] === 13) {
          at++;
          state = afterDotReturn;
        } else {
          state = inLine;
          start = at;
        }
      } else {
        if (chunk[at] === 10) {
          this.ended = true;
          this.#save(lineStart, 0, at + 1);
          return undefined;
        }
        state = inLine;
        start = at;
        if (this.#lineEndFault()) {
          this.#save(state, 0, at);
          return crlf;
        }
      }
    }
    if (column > longest) this.fault ??= "line too long";
    this.#save(state, column, to);
    const end = state === afterDot || state === afterDotReturn ? start : to;
    return this.#piece(chunk, start, Math.max(start, end), to);
  }

  /** Notes a bad line end; true where it is to be made good. */
  #lineEndFault(): boolean {
    if (this.#normalise) return true;
    this.fault ??= "line end";
    return false;
  }

  #save(state: number, column: number, position: number): void {
    this.#state = state;
    this.#column = column;
    this.position = position;
  }

  #piece(chunk: Uint8Array, from: number, end: number, to: number): Uint8Array | undefined {
    this.position = to;
    if (end <= from) return undefined;
    return from === 0 && end === chunk.length ? chunk : chunk.subarray(from, end);
  }

  /**
   * The index of the first byte below `bound` (0 to 128) at or after `at`, or `to`. Words are read
   * at their natural alignment, so a chunk may begin at any address.
   */
  #scan(chunk: Uint8Array, at: number, to: number, bound: number): number {
    if (this.#wordsOf !== chunk) {
      const skew = -chunk.byteOffset & 3;
      const words = Math.max(0, chunk.length - skew) >> 2;
      this.#words = new Int32Array(
        chunk.buffer,
        words === 0 ? 0 : chunk.byteOffset + skew,
        words,
      );
      this.#wordsOf = chunk;
    }
    const skew = -chunk.byteOffset & 3;
    let high = 0;
    while (at < to && ((at - skew) & 3) !== 0) {
      const byte = chunk[at]!;
      if (byte < bound) {
        this.#highBits |= high;
        return at;
      }
      high |= byte;
      at++;
    }
    const words = this.#words;
    let word = (at - skew) >> 2;
    const lastWord = (to - skew) >> 2;
    const bounds = bound * 0x01010101;
    while (word < lastWord) {
      const value = words[word]!;
      // Classic: a byte is below the bound where the subtraction borrows and its top bit was clear.
      if (((value - bounds) & ~value & 0x80808080) !== 0) break;
      high |= value;
      word++;
    }
    at = Math.max(at, (word << 2) + skew);
    while (at < to) {
      const byte = chunk[at]!;
      if (byte < bound) break;
      high |= byte;
      at++;
    }
    this.#highBits |= high;
    return at;
  }
}
