/**
 * The header of a message on its way in: held back until it is whole, and made fit to stand behind
 * fields of our own. What is too large to be read whole is told, so that it is refused: rules and
 * whoever removes forged fields must have seen all that goes on.
 */
import {
  beforeContent,
  concat,
  type Header,
  HeaderReader,
  MAX_HEADER_OCTETS,
} from "@postern/message";

/** The largest header that is taken: with our fields before it, whoever edits it still reads it whole. */
export const LARGEST_HEADER = MAX_HEADER_OCTETS - 8192;

/** More fields than any mail has. */
export const MAX_HEADER_FIELDS = 2000;

const NOTHING = new Uint8Array();

/** The front of one message. */
export class MessageFront {
  readonly #reader = new HeaderReader({ maxOctets: LARGEST_HEADER });
  /** What came before it could be told whether the content begins with a field. */
  #early: Uint8Array | undefined = NOTHING;

  /** Takes content; returns what of it is behind the header, `undefined` while that is not whole. */
  push(bytes: Uint8Array): Uint8Array | undefined {
    if (this.#early === undefined) return this.#read(bytes);
    const start = this.#early.length === 0 ? bytes : concat([this.#early, bytes]);
    const before = beforeContent(start);
    if (before !== undefined) return this.#begin(before, start);
    this.#early = start.slice();
    return undefined;
  }

  /** The content ended before the header was whole; returns what is behind it all the same. */
  end(): Uint8Array {
    const early = this.#early ?? NOTHING;
    const body = early.length === 0 ? undefined : this.#begin("\r\n", early);
    this.#reader.end();
    return body ?? NOTHING;
  }

  /** Whether there is more of it than is read. */
  get isTooLarge(): boolean {
    return this.#reader.state === "tooLarge" || this.header.length > MAX_HEADER_FIELDS;
  }

  /** To be asked for when it is whole. */
  get header(): Header {
    return this.#reader.header;
  }

  /** The header with its empty line, where it has one. */
  get octets(): Uint8Array {
    return this.#reader.octets;
  }

  #begin(before: string, start: Uint8Array): Uint8Array | undefined {
    this.#early = undefined;
    return this.#read(
      before === "" ? start : concat([new TextEncoder().encode(before), start]),
    );
  }

  #read(bytes: Uint8Array): Uint8Array | undefined {
    const before = this.#reader.size;
    if (this.#reader.push(bytes) === "header") return undefined;
    return bytes.subarray(this.#reader.size - before);
  }
}
