/**
 * The content of one transaction on its way from the store into a session: read as fast as the
 * connection takes it, and freed when it was sent.
 */
import type { Socket } from "node:net";
import type { ClientSession } from "@postern/smtp";
import { isUnavailable } from "@postern/store";

/** Bytes handed in, or gathered into one write, at once. */
export const WRITE_BYTES = 64 * 1024;

const NOTHING = new Uint8Array(0);

/** Content, opened once for each transaction. */
export interface OutgoingContent {
  open(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  /** Whether each piece is ours alone: its memory is freed when it was sent. */
  readonly passing: boolean;
}

/** The claim of a delivery is not certain: its content must not be ended now. */
export class ClaimUncertain extends Error {}

/**
 * The content, whose end is sent only by a worker whose claim is certain: what has not ended is not
 * accepted. A claim is not certain while Postgres is away for long.
 */
export async function* whileHeld(
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  isHeld: () => boolean,
): AsyncIterable<Uint8Array> {
  yield* pieces;
  if (!isHeld()) throw new ClaimUncertain();
}

/** The session that takes the content, on its connection. */
export interface Line {
  readonly session: ClientSession;
  readonly socket: Socket;
  /** Does what the session now wants done. */
  pump(): void;
  /** The connection took what had been written. */
  moved(): void;
}

/** Sends the content of one transaction; of no use after it. */
export class ContentSender {
  readonly #content: OutgoingContent;
  readonly #line: Line;
  readonly #failed: (error: unknown) => void;
  #source: AsyncIterator<Uint8Array> | Iterator<Uint8Array> | undefined;
  /** What was read and not handed in yet. */
  #left: Uint8Array = NOTHING;
  /** Pieces of passing content that are handed in and not freed yet. */
  #spent: Uint8Array[] = [];
  #sending = false;
  #over = false;

  /** `failed` is called when the content is at fault. */
  constructor(content: OutgoingContent, line: Line, failed: (error: unknown) => void) {
    this.#content = content;
    this.#line = line;
    this.#failed = failed;
  }

  /** Hands content in until the session has enough for now. */
  async send(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    const { session } = this.#line;
    try {
      while (!this.#over) {
        const piece = await this.#next();
        if (this.#over) return;
        if (piece === undefined) {
          session.endOfContent();
          return this.#line.pump();
        }
        // Asked for more while it acts on this piece, it must begin anew.
        this.#sending = session.content(piece);
        const isMoreWanted = this.#sending;
        this.#line.pump();
        if (!isMoreWanted) return;
      }
    } catch (error) {
      if (this.#over) return;
      // The store could not give the rest: no end of data is sent, so nothing half is accepted.
      // It may be able to later, if it is only away or the claim not certain.
      if (!isUnavailable(error) && !(error instanceof ClaimUncertain)) this.#failed(error);
      session.abortContent();
      this.#line.pump();
    } finally {
      this.#sending = false;
    }
  }

  /** The transaction is decided: whatever is still read of its content goes nowhere. */
  end(): void {
    this.#over = true;
    this.#freeSpent();
    void Promise.resolve(this.#source?.return?.()).catch(() => {});
  }

  /** The next bytes to hand in, when the connection is ready for them; undefined at the end. */
  async #next(): Promise<Uint8Array | undefined> {
    const { socket } = this.#line;
    if (socket.writableNeedDrain) {
      await drained(socket);
      this.#line.moved();
    }
    if (this.#left.length === 0) {
      this.#freeSpent();
      this.#source ??= iterate(this.#content.open());
      const read = await this.#source.next();
      if (read.done) return undefined;
      this.#left = read.value;
      if (this.#content.passing) this.#spent.push(read.value);
    }
    const piece = this.#left.subarray(0, WRITE_BYTES);
    this.#left = this.#left.subarray(WRITE_BYTES);
    return piece;
  }

  /**
   * Frees the pieces that were sent: the collector would see only small objects, and let tens of
   * megabytes of them come together before it looks.
   */
  #freeSpent(): void {
    const { socket, session } = this.#line;
    if (socket.writableLength > 0 || session.holdsContent) return;
    for (const { buffer } of this.#spent) if (buffer instanceof ArrayBuffer) buffer.transfer(0);
    this.#spent = [];
  }
}

function iterate(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in content
    ? content[Symbol.asyncIterator]()
    : content[Symbol.iterator]();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
