/**
 * Reads the header off the front of content that arrives in chunks: collects it, bounded, and
 * tells where the body begins. It looks at each line end of the header once and at nothing of
 * the body, because the ingress runs it on every message.
 *
 * This file must not know what the fields mean.
 */

import { Header } from "./header.ts";
import { concat, CR, LF } from "./octets.ts";

/**
 * How far the reading is: still in the `header`, in the `body` (the header is complete), or
 * given up because the header is `tooLarge`.
 */
export type HeaderState = "header" | "body" | "tooLarge";

/** The default bound of a header, in octets. */
export const MAX_HEADER_OCTETS = 256 * 1024;

/**
 * Collects a header from chunks split anywhere.
 *
 * @example
 * ```ts
 * const reader = new HeaderReader();
 * reader.push(new TextEncoder().encode("Subject: hi\r\n\r\nbody")); // "body"
 * reader.header.get("subject"); // "hi"
 * ```
 */
export class HeaderReader {
  readonly #maxOctets: number;
  #pieces: Uint8Array[] = [];
  #size = 0;
  #state: HeaderState = "header";
  /** What of the present line came in earlier chunks: nothing, only a CR, or more. */
  #line: "empty" | "cr" | "text" = "empty";
  #header: Header | undefined;

  /** `maxOctets` bounds the header with its empty line (default {@link MAX_HEADER_OCTETS}). */
  constructor(options: { readonly maxOctets?: number } = {}) {
    this.#maxOctets = options.maxOctets ?? MAX_HEADER_OCTETS;
  }

  /** How far the reading is. */
  get state(): HeaderState {
    return this.#state;
  }

  /** Octets of the header so far, its empty line included: where in the content the body begins. */
  get size(): number {
    return this.#size;
  }

  /** The octets of the header so far, its empty line included. */
  get octets(): Uint8Array {
    const octets = concat(this.#pieces);
    this.#pieces = [octets];
    return octets;
  }

  /**
   * The header: complete in the state `body`, else what was collected so far. Made once, when
   * first asked for in a final state.
   */
  get header(): Header {
    if (this.#header !== undefined) return this.#header;
    const header = new Header(this.octets);
    if (this.#state !== "header") this.#header = header;
    return header;
  }

  /** Takes the next chunk of content; cheap once the body has begun. The chunk is not kept. */
  push(chunk: Uint8Array): HeaderState {
    if (this.#state !== "header" || chunk.length === 0) return this.#state;
    const room = this.#maxOctets - this.#size;
    const end = this.#scan(chunk);
    if (end >= 0 && end <= room) {
      this.#keep(chunk, end);
      this.#state = "body";
    } else if (chunk.length > room) {
      this.#keep(chunk, room);
      this.#state = "tooLarge";
    } else {
      this.#keep(chunk, chunk.length);
    }
    return this.#state;
  }

  /** The content ended. Content without an empty line is all header (RFC 5322 §3.5). */
  end(): HeaderState {
    if (this.#state === "header") this.#state = "body";
    return this.#state;
  }

  #keep(chunk: Uint8Array, length: number): void {
    if (length === 0) return;
    this.#pieces.push(chunk.slice(0, length));
    this.#size += length;
  }

  /** The offset after the empty line, or −1. */
  #scan(chunk: Uint8Array): number {
    let at = 0;
    if (this.#line === "cr" && chunk[0] === LF) return 1;
    if (this.#line !== "empty") {
      at = chunk.indexOf(LF) + 1;
      if (at === 0) {
        this.#line = "text";
        return -1;
      }
    }
    for (;;) {
      const first = chunk[at];
      if (first === LF) return at + 1;
      if (first === CR && chunk[at + 1] === LF) return at + 2;
      const lineEnd = chunk.indexOf(LF, at);
      if (lineEnd < 0) {
        const left = chunk.length - at;
        this.#line = left === 0 ? "empty" : left === 1 && first === CR ? "cr" : "text";
        return -1;
      }
      at = lineEnd + 1;
    }
  }
}
