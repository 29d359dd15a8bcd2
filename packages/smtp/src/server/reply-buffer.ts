/**
 * Collects replies so that those to a pipelined group leave in one write (RFC 2920 §3.2).
 *
 * This file must not know what the replies say.
 */
import { concat } from "../octets.ts";
import type { Reply } from "../reply.ts";
import { encodeReply } from "./replies.ts";

/** The replies that were not handed out yet, as bytes. */
export class ReplyBuffer {
  readonly #replies: Uint8Array[] = [];
  #length = 0;

  /** Bytes that wait. */
  get length(): number {
    return this.#length;
  }

  /** Adds a reply. */
  add(reply: Reply): void {
    const bytes = encodeReply(reply);
    this.#replies.push(bytes);
    this.#length += bytes.length;
  }

  /** Takes out what waits. Many sessions may be handed the same bytes: they are not to be changed. */
  take(): Uint8Array {
    const taken = concat(this.#replies);
    this.#replies.length = 0;
    this.#length = 0;
    return taken;
  }
}
