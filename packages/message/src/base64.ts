/**
 * Base64 (RFC 2045 §6.8), written from a stream of octets split anywhere.
 *
 * This file must not know what part of a message the octets are.
 */

import { concat, CR, LF, octetsOf } from "./octets.ts";
import type { TransferEncoder } from "./transfer-encoder.ts";

const ALPHABET = octetsOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
const PAD = 0x3d;
const COLUMNS = 76;
const LINE_END = Uint8Array.of(CR, LF);

/** Encodes octets as base64 with lines of 76 columns. */
export class Base64Encoder implements TransferEncoder {
  #held = new Uint8Array(0);
  #column = 0;

  write(octets: Uint8Array): Uint8Array {
    const input = this.#held.length === 0 ? octets : concat([this.#held, octets]);
    const whole = input.length - (input.length % 3);
    this.#held = input.slice(whole);
    const out = new Uint8Array((whole / 3) * 4 + 2 * (Math.ceil(whole / 57) + 1));
    let length = 0;
    for (let i = 0; i < whole; i += 3) {
      // A line ends only when another begins: what ends the last is for end() and finish().
      if (this.#column === COLUMNS) {
        out[length++] = CR;
        out[length++] = LF;
        this.#column = 0;
      }
      const group = (input[i]! << 16) | (input[i + 1]! << 8) | input[i + 2]!;
      out[length++] = ALPHABET[group >> 18]!;
      out[length++] = ALPHABET[(group >> 12) & 63]!;
      out[length++] = ALPHABET[(group >> 6) & 63]!;
      out[length++] = ALPHABET[group & 63]!;
      this.#column += 4;
    }
    return out.subarray(0, length);
  }

  end(): Uint8Array {
    const left = this.#held.length;
    if (left === 0) return new Uint8Array(0);
    const padded = new Uint8Array(3);
    padded.set(this.#held);
    this.#held = new Uint8Array(0);
    const out = this.write(padded).slice();
    for (let i = left; i < 3; i++) out[out.length - 3 + i] = PAD;
    return out;
  }

  finish(): Uint8Array {
    const last = this.end();
    return this.#column === 0 ? last : concat([last, LINE_END]);
  }
}
