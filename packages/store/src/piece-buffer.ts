/**
 * Content while it is gathered into a piece. Large content goes through buffers that are used again
 * and again: each byte of it would otherwise wait as garbage for a collection that V8 puts off
 * until tens of megabytes have come together.
 */
import { PIECE_BYTES } from "./pieces.ts";

/** Content below this size is kept as it came: most messages need no more. */
const LOOSE_BYTES = 64 * 1024;

/** Idle buffers kept for the next piece. */
const IDLE_BUFFERS = 32;

/** Buffers of {@link PIECE_BYTES}, lent and given back. */
export class BufferPool {
  readonly #idle: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#idle.pop() ?? new Uint8Array(PIECE_BYTES);
  }

  giveBack(buffer: Uint8Array): void {
    if (this.#idle.length < IDLE_BUFFERS) this.#idle.push(buffer);
  }
}

/** Gathers the bytes of one piece. */
export class PieceBuffer {
  readonly #pool: BufferPool;
  #loose: Uint8Array[] = [];
  #buffer: Uint8Array | undefined;
  #size = 0;

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  /** Bytes gathered. */
  get size(): number {
    return this.#size;
  }

  /** Copies as many of the bytes as there is room for; answers how many. */
  add(bytes: Uint8Array): number {
    if (this.#buffer === undefined && this.#size + bytes.length <= LOOSE_BYTES) {
      this.#loose.push(bytes.slice());
      this.#size += bytes.length;
      return bytes.length;
    }
    const buffer = this.#buffer ??= this.#gather();
    const taken = bytes.subarray(0, buffer.length - this.#size);
    buffer.set(taken, this.#size);
    this.#size += taken.length;
    return taken.length;
  }

  /** What is gathered, as it lies here: it is overwritten after {@link clear}. */
  parts(): readonly Uint8Array[] {
    return this.#buffer === undefined ? this.#loose : [this.#buffer.subarray(0, this.#size)];
  }

  /** Forgets what is gathered. */
  clear(): void {
    if (this.#buffer !== undefined) this.#pool.giveBack(this.#buffer);
    this.#buffer = undefined;
    this.#loose = [];
    this.#size = 0;
  }

  #gather(): Uint8Array {
    const buffer = this.#pool.take();
    let at = 0;
    for (const part of this.#loose) {
      buffer.set(part, at);
      at += part.length;
    }
    this.#loose = [];
    return buffer;
  }
}
