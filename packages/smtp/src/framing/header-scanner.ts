/**
 * Looks over a message's header while it streams by: its size, its fields, and how many of them are
 * Received (for loop detection, RFC 5321 §6.3). It keeps a few numbers and no content.
 *
 * This file must not know limits, or what fields mean.
 */

const received = [114, 101, 99, 101, 105, 118, 101, 100, 58];

/** Scans one message's header. */
export class HeaderScanner {
  /** Bytes of header so far, its empty line not counted. */
  size = 0;
  /** Fields so far. */
  fields = 0;
  /** Received fields so far. */
  received = 0;
  /** Whether the header has ended: at an empty line, or at a line that is no field. */
  done = false;

  // Octets of the present line before this chunk; the name is over at the colon.
  #column = 0;
  #inName = false;
  #matches = false;

  /** Takes the next piece of content. */
  scan(bytes: Uint8Array): void {
    let at = 0;
    while (!this.done && at < bytes.length) {
      if (this.#column === 0) this.#begin(bytes[at]!);
      else if (this.#inName) this.#name(bytes[at]!);
      else {
        const feed = bytes.indexOf(10, at);
        const end = feed === -1 ? bytes.length : feed + 1;
        this.size += end - at;
        this.#column = feed === -1 ? this.#column : 0;
        at = end;
        continue;
      }
      if (this.done) return;
      this.#column++;
      this.size++;
      at++;
    }
  }

  /** The first byte of a line: a field, the rest of one, or the header's end. */
  #begin(byte: number): void {
    if (byte === 32 || byte === 9) {
      this.#inName = false;
    } else if (byte <= 32 || byte === 127 || byte === 58) {
      this.done = true;
    } else {
      this.#inName = true;
      this.#matches = (byte | 32) === received[0];
    }
  }

  #name(byte: number): void {
    if (byte === 58) {
      this.#inName = false;
      this.fields++;
      if (this.#matches && this.#column === received.length - 1) this.received++;
    } else if (byte <= 32 || byte === 127) {
      this.done = true;
    } else if (this.#matches) {
      this.#matches = (byte | 32) === received[this.#column];
    }
  }
}
