/**
 * Collects replies so that those to a pipelined group leave in one write (RFC 2920 §3.2).
 *
 * This file must not know what the replies say.
 */
import type { Reply } from "../reply.ts";
import { encodeReply } from "./replies.ts";

/** The replies that were not handed out yet, as bytes. */
export class ReplyBuffer {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /** Adds a reply. */
  add(reply: Reply): void {
    const bytes = encodeReply(reply);
    const length = this.#length + bytes.length;
    if (length > this.#bytes.length) {
      const larger = new Uint8Array(length * 2);
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = larger;
    }
    this.#bytes.set(bytes, this.#length);
    this.#length = length;
  }

  /** Takes out what waits. */
  take(): Uint8Array {
    const taken = this.#bytes.slice(0, this.#length);
    this.#length = 0;
    if (this.#bytes.length > 4096) this.#bytes = new Uint8Array(256);
    return taken;
  }
}
