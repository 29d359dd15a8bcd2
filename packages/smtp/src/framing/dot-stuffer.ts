/**
 * The writing side of DATA: dot-stuffing (RFC 5321 §4.5.2). Content goes in in chunks cut anywhere,
 * views on the same bytes come out, with the extra dots between them; nothing is copied.
 *
 * Only CRLF begins a line: a dot after a bare LF or CR is not doubled, because a receiver that
 * keeps to the RFC would not take the second dot away. This file must not know sessions.
 */

const dotByte = 46;
const dot = Uint8Array.of(dotByte);
const endAtLineStart = Uint8Array.of(46, 13, 10);
const endInLine = Uint8Array.of(13, 10, 46, 13, 10);

/** Stuffs the content of one message. */
export interface DotStuffer {
  /** Appends the wire form of `chunk` to `out` as views (none of them empty). */
  write(chunk: Uint8Array, out: Uint8Array[]): void;
  /**
   * The end of data: `.CRLF`, with a CRLF before it if the content does not end with one (that one
   * then becomes part of the content). The stuffer is spent after it.
   */
  end(): Uint8Array;
}

/** Makes a {@link DotStuffer} for one message. */
export function createDotStuffer(): DotStuffer {
  // The last two bytes written; content begins as if after CRLF.
  let beforeLast = 13;
  let last = 10;
  return {
    write(chunk, out) {
      const length = chunk.length;
      if (length === 0) return;
      let from = 0;
      let at = chunk.indexOf(dotByte);
      while (at !== -1) {
        const previous = at > 0 ? chunk[at - 1] : last;
        if (previous === 10) {
          const second = at > 1 ? chunk[at - 2] : at === 1 ? last : beforeLast;
          if (second === 13) {
            if (at > from) out.push(chunk.subarray(from, at));
            out.push(dot);
            from = at;
          }
        }
        at = chunk.indexOf(dotByte, at + 1);
      }
      out.push(from === 0 ? chunk : chunk.subarray(from));
      beforeLast = length > 1 ? chunk[length - 2]! : last;
      last = chunk[length - 1]!;
    },
    end() {
      return beforeLast === 13 && last === 10 ? endAtLineStart : endInLine;
    },
  };
}
