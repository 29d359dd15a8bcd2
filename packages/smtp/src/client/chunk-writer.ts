/**
 * Content as BDAT chunks (RFC 3030 §2): gathers what the caller hands in until a chunk is worth its
 * command, and holds back while too many chunks await their replies.
 *
 * This file must not know what the replies decide.
 */
import type { Conversation } from "./conversation.ts";

const encoder = new TextEncoder();

export class ChunkWriter {
  readonly #conversation: Conversation;
  readonly #chunkSize: number;
  /** Chunks that may await their replies at once. */
  readonly #depth: number;
  #pieces: Uint8Array[] = [];
  #size = 0;
  /** Set once all content is there; called when the last chunk goes out. */
  #atEnd: (() => void) | undefined;
  /** The caller was told to wait. */
  #waiting = false;

  constructor(conversation: Conversation, chunkSize: number, depth: number) {
    this.#conversation = conversation;
    this.#chunkSize = chunkSize;
    this.#depth = depth;
  }

  /** Whether content waits here for its chunk. */
  get holding(): boolean {
    return this.#size > 0;
  }

  /** Takes content; returns whether more is wanted now. */
  write(piece: Uint8Array): boolean {
    if (piece.length > 0) {
      this.#pieces.push(piece);
      this.#size += piece.length;
    }
    this.#flush();
    this.#waiting = this.#size >= this.#chunkSize;
    return !this.#waiting;
  }

  /** The content is complete; `sent` is called when the last chunk was queued. */
  end(sent: () => void): void {
    this.#atEnd = sent;
    this.#flush();
  }

  /** A chunk was answered with 250. */
  taken(): void {
    this.#flush();
    if (!this.#waiting || this.#size >= this.#chunkSize) return;
    this.#waiting = false;
    if (this.#atEnd === undefined) {
      this.#conversation.emit({ type: "needContent", form: "asIs", first: false });
    }
  }

  /** Nothing more is to be sent. */
  stop(): void {
    this.#pieces = [];
    this.#size = 0;
    this.#waiting = false;
    this.#atEnd = undefined;
  }

  #flush(): void {
    if (this.#conversation.outstanding >= this.#depth) return;
    const last = this.#atEnd;
    if (last === undefined && this.#size < this.#chunkSize) return;
    const pieces = this.#pieces;
    const command = `BDAT ${this.#size}${last === undefined ? "" : " LAST"}\r\n`;
    this.#pieces = [];
    this.#size = 0;
    this.#atEnd = undefined;
    if (last === undefined) {
      this.#conversation.say(command);
      for (const piece of pieces) this.#conversation.send(piece);
      this.#conversation.expect("chunk");
    } else {
      this.#conversation.sendAll([encoder.encode(command), ...pieces]);
      last();
    }
  }
}
