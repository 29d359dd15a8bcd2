/**
 * What transport a content needs (RFC 2045 §6.2): found by looking at its octets, not by
 * believing what it declares.
 *
 * This file must not know MIME structure.
 */

import { CR, LF } from "./octets.ts";

/** The longest line that mail may have, in octets without CRLF (RFC 5321 §4.5.3.1.6). */
export const MAX_LINE_OCTETS = 998;

/**
 * Looks at content in chunks split anywhere and keeps only what it found.
 *
 * @example
 * ```ts
 * const survey = new ContentSurvey();
 * survey.push(new TextEncoder().encode("Grüße\r\n"));
 * survey.end().encoding; // "8bit"
 * ```
 */
export class ContentSurvey {
  /** An octet above 127 was seen. */
  eightBit = false;
  /** NUL, a CR or LF without the other, or a line over 998 octets was seen. */
  binary = false;
  #line = 0;
  #afterCr = false;

  /** The least encoding that is true of the octets seen so far. */
  get encoding(): "7bit" | "8bit" | "binary" {
    return this.binary ? "binary" : this.eightBit ? "8bit" : "7bit";
  }

  push(octets: Uint8Array): this {
    let line = this.#line;
    let afterCr = this.#afterCr;
    for (let i = 0; i < octets.length; i++) {
      const octet = octets[i]!;
      if (octet === LF) {
        if (!afterCr) this.binary = true;
        line = 0;
        afterCr = false;
        continue;
      }
      if (afterCr) this.binary = true;
      afterCr = octet === CR;
      if (octet > 0x7f) this.eightBit = true;
      else if (octet === 0) this.binary = true;
      if (!afterCr && ++line > MAX_LINE_OCTETS) this.binary = true;
    }
    this.#line = line;
    this.#afterCr = afterCr;
    return this;
  }

  /** The content ended: a CR still waiting for its LF is a lone one. */
  end(): this {
    if (this.#afterCr) this.binary = true;
    this.#afterCr = false;
    return this;
  }
}
