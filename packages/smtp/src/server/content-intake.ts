/**
 * Takes in the content of one message, by DATA or in BDAT chunks: frames it, counts it, and watches
 * its limits. After the first fault the rest is drained.
 *
 * This file must not know actions, states or who asks.
 */
import { ContentReader, type Framing } from "../framing/content-reader.ts";
import { HeaderScanner } from "../framing/header-scanner.ts";
import type { Reply } from "../reply.ts";
import type { ServerLimits } from "./options.ts";
import { replies } from "./replies.ts";

const faultReplies = {
  "line end": replies.contentLineEnd,
  "line too long": replies.contentLineTooLong,
} as const;

/** The content of one message, as far as it has come. */
export class ContentIntake {
  readonly framing: Framing;
  readonly header = new HeaderScanner();
  readonly #reader: ContentReader;
  readonly #limits: ServerLimits;
  /** Bytes of content that were handed out. */
  size = 0;
  /** Bytes of input that were drained after the fault. */
  drained = 0;
  /** Octets of the present BDAT chunk that are still to come. */
  remaining = 0;
  /** What the message is refused with, once anything is wrong. */
  fault: Reply | undefined;
  /** The index behind what {@link read} read. */
  position = 0;

  constructor(framing: Framing, lineEnds: "refuse" | "normalise", limits: ServerLimits) {
    this.framing = framing;
    this.#limits = limits;
    this.#reader = new ContentReader(framing, lineEnds, limits.contentLine);
  }

  /** Whether the end of data was read (DATA only). */
  get ended(): boolean {
    return this.#reader.ended;
  }

  /** Whether any byte was above 127. */
  get eightBit(): boolean {
    return this.#reader.eightBit;
  }

  /** Reads on in the chunk; returns a piece of content, or `undefined` where there is none. */
  read(chunk: Uint8Array, from: number): Uint8Array | undefined {
    const to = this.framing === "dots"
      ? chunk.length
      : Math.min(chunk.length, from + this.remaining);
    const piece = this.#reader.read(chunk, from, to);
    this.position = this.#reader.position;
    if (this.framing !== "dots") this.remaining -= this.position - from;
    if (this.fault !== undefined) {
      this.drained += this.position - from;
      return undefined;
    }
    return this.#check(piece);
  }

  /** The last BDAT chunk was read: a piece that must still be put in, or `undefined`. */
  finish(): Uint8Array | undefined {
    return this.fault === undefined ? this.#check(this.#reader.finish()) : undefined;
  }

  /** Counts a piece and checks the limits; `undefined` in place of a piece that breaks one. */
  #check(piece: Uint8Array | undefined): Uint8Array | undefined {
    if (this.#reader.fault !== undefined) this.fault = faultReplies[this.#reader.fault];
    if (piece === undefined) return undefined;
    const { header } = this;
    const limits = this.#limits;
    const size = this.size + piece.length;
    if (size > limits.messageSize) this.fault ??= replies.tooBig;
    if (!header.done) {
      header.scan(piece);
      if (header.received > limits.receivedFields) this.fault ??= replies.loop;
      if (header.size > limits.headerSize || header.fields > limits.headerFields) {
        this.fault ??= replies.headerTooBig;
      }
    }
    if (this.fault !== undefined) return undefined;
    this.size = size;
    return piece;
  }
}
