/**
 * The chunks that were received and not read yet.
 *
 * This file must not know what the bytes mean.
 */

const empty = new Uint8Array(0);

/** Received bytes in order: one chunk in front, with the place in it, and those behind. */
export class InputQueue {
  /** The chunk in front. */
  chunk: Uint8Array = empty;
  /** The index of its first unread byte. */
  position = 0;
  #behind: Uint8Array[] = [];
  #behindSize = 0;

  /** Unread bytes. */
  get size(): number {
    return this.chunk.length - this.position + this.#behindSize;
  }

  /** Puts a chunk at the end. */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.position === this.chunk.length && this.#behind.length === 0) {
      this.chunk = bytes;
      this.position = 0;
    } else {
      this.#behind.push(bytes);
      this.#behindSize += bytes.length;
    }
  }

  /** Makes sure that the chunk in front has unread bytes; false where there are none at all. */
  advance(): boolean {
    if (this.position < this.chunk.length) return true;
    const next = this.#behind.shift();
    this.position = 0;
    if (next === undefined) {
      this.chunk = empty;
      return false;
    }
    this.chunk = next;
    this.#behindSize -= next.length;
    return true;
  }

  /** Drops everything. */
  clear(): void {
    this.chunk = empty;
    this.position = 0;
    this.#behind = [];
    this.#behindSize = 0;
  }
}
