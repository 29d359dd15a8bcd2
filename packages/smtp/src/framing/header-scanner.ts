/**
 * Looks over a message's header while it streams by: its size, its fields, and how many of them are
 * Received (for loop detection, RFC 5321 §6.3). It keeps a few numbers and no content.
 *
 * The header ends at the empty line and nowhere before: hosts that a loop goes through read over a line
 * that is no field, such as mbox's `From x Mon…`. Content whose first line is no field has no header,
 * so that none is measured; Received fields behind such a line are counted all the same.
 *
 * This file must not know limits, or what fields mean.
 */

const received = [114, 101, 99, 101, 105, 118, 101, 100];

const feed = 10;
const carriageReturn = 13;
const colon = 58;

/** Where in a line the scanner is: `cr`: behind a CR that began the line; `rest`: what it skips. */
type Part = "begin" | "cr" | "name" | "blanks" | "rest";

/** Scans one message's header. */
export class HeaderScanner {
  /** Bytes of header so far, its empty line not counted. */
  size = 0;
  /** Fields so far. */
  fields = 0;
  /** Received fields so far. */
  received = 0;
  /** Whether the header has ended, at an empty line. */
  done = false;

  #part: Part = "begin";
  /** Octets of the present line's name, and whether they are those of Received so far. */
  #name = 0;
  #matches = false;
  /** Whether it is the first line still; and whether that was a field. */
  #first = true;
  #measured = true;

  /** Takes the next piece of content. */
  scan(bytes: Uint8Array): void {
    let at = 0;
    while (!this.done && at < bytes.length) {
      let next = at + 1;
      if (this.#part === "rest") {
        const end = bytes.indexOf(feed, at);
        next = end === -1 ? bytes.length : end + 1;
        if (end !== -1) this.#part = "begin";
      } else this.#take(bytes[at]!);
      if (this.#measured && !this.done) this.size += next - at;
      at = next;
    }
  }

  #take(byte: number): void {
    switch (this.#part) {
      case "begin":
        return this.#begin(byte);
      case "cr":
        if (byte === feed) return this.#end(1);
        return this.#noField(byte);
      case "name":
        if (byte === colon) return this.#field();
        if (isBlank(byte)) this.#part = "blanks";
        else if (isControl(byte)) this.#noField(byte);
        else {
          this.#matches &&= (byte | 32) === received[this.#name];
          this.#name += 1;
        }
        return;
      case "blanks":
        // Obsolete syntax allows them before the colon (RFC 5322 §4.5).
        if (byte === colon) this.#field();
        else if (!isBlank(byte)) this.#noField(byte);
    }
  }

  #begin(byte: number): void {
    if (byte === feed) this.#end(0);
    else if (byte === carriageReturn) this.#part = "cr";
    else if (isBlank(byte) && !this.#first) this.#part = "rest";
    else if (isBlank(byte) || isControl(byte) || byte === colon) this.#noField(byte);
    else {
      this.#part = "name";
      this.#name = 1;
      this.#matches = (byte | 32) === received[0];
    }
  }

  #field(): void {
    this.#first = false;
    this.#part = "rest";
    if (this.#measured) this.fields += 1;
    if (this.#matches && this.#name === received.length) this.received += 1;
  }

  /** The line is none; `byte` may end it. */
  #noField(byte: number): void {
    if (this.#first) {
      this.#measured = false;
      this.size = 0;
    }
    this.#first = false;
    this.#part = byte === feed ? "begin" : "rest";
  }

  /** The empty line, of which so many octets were counted before. */
  #end(counted: number): void {
    this.done = true;
    if (this.#measured) this.size -= counted;
  }
}

function isBlank(byte: number): boolean {
  return byte === 32 || byte === 9;
}

function isControl(byte: number): boolean {
  return byte < 32 || byte === 127;
}
