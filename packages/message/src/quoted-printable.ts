/**
 * Quoted-printable (RFC 2045 §6.7), written from a stream of octets split anywhere. CRLF is a
 * line end; a lone CR or LF is data, so that decoding gives back the same octets.
 *
 * This file must not know what part of a message the octets are.
 */

import { CR, LF, SPACE, TAB } from "./octets.ts";
import type { TransferEncoder } from "./transfer-encoder.ts";

const HEX = new TextEncoder().encode("0123456789ABCDEF");
const EQUALS = 0x3d;
const HYPHEN = 0x2d;
/** Columns before the `=` of a soft line break: 76 with it. */
const MAX_COLUMN = 75;

/** Encodes octets as quoted-printable with lines of at most 76 columns. */
export class QuotedPrintableEncoder implements TransferEncoder {
  #out = new Uint8Array(0);
  #length = 0;
  #column = 0;
  #softStart = false;
  #pendingCr = false;
  /** A blank that may turn out to end its line and must then be encoded; 0 if none. */
  #pendingBlank = 0;

  write(octets: Uint8Array): Uint8Array {
    // The most an octet becomes: a soft break (3) and its code (3), twice for what was pending.
    this.#out = new Uint8Array(octets.length * 6 + 24);
    this.#length = 0;
    for (let i = 0; i < octets.length; i++) this.#octet(octets[i]!);
    return this.#out.subarray(0, this.#length);
  }

  end(): Uint8Array {
    this.#out = new Uint8Array(24);
    this.#length = 0;
    if (this.#pendingCr) {
      this.#flushBlank();
      this.#code(CR);
    } else if (this.#pendingBlank !== 0) this.#code(this.#pendingBlank);
    this.#pendingCr = false;
    this.#pendingBlank = 0;
    return this.#out.subarray(0, this.#length);
  }

  /** Text ends where it ended: nothing is added. */
  finish(): Uint8Array {
    return this.end();
  }

  #octet(octet: number): void {
    if (this.#pendingCr) {
      this.#pendingCr = false;
      if (octet === LF) return this.#lineEnd();
      this.#flushBlank();
      this.#code(CR);
    }
    if (octet === CR) {
      this.#pendingCr = true;
      return;
    }
    this.#flushBlank();
    if (octet === SPACE || octet === TAB) this.#pendingBlank = octet;
    else if (octet > 0x20 && octet < 0x7f && octet !== EQUALS) this.#literal(octet);
    else this.#code(octet);
  }

  #lineEnd(): void {
    if (this.#pendingBlank !== 0) this.#code(this.#pendingBlank);
    this.#pendingBlank = 0;
    this.#out[this.#length++] = CR;
    this.#out[this.#length++] = LF;
    this.#column = 0;
    this.#softStart = false;
  }

  #flushBlank(): void {
    if (this.#pendingBlank === 0) return;
    this.#room(1);
    this.#out[this.#length++] = this.#pendingBlank;
    this.#column++;
    this.#pendingBlank = 0;
  }

  #literal(octet: number): void {
    this.#room(1);
    // A hyphen that a soft break brought to the start of a line could make a boundary there.
    if (octet === HYPHEN && this.#column === 0 && this.#softStart) return this.#code(octet);
    this.#out[this.#length++] = octet;
    this.#column++;
  }

  #code(octet: number): void {
    this.#room(3);
    this.#out[this.#length++] = EQUALS;
    this.#out[this.#length++] = HEX[octet >> 4]!;
    this.#out[this.#length++] = HEX[octet & 15]!;
    this.#column += 3;
  }

  #room(columns: number): void {
    if (this.#column + columns <= MAX_COLUMN) return;
    this.#out[this.#length++] = EQUALS;
    this.#out[this.#length++] = CR;
    this.#out[this.#length++] = LF;
    this.#column = 0;
    this.#softStart = true;
  }
}
