/**
 * Octets and the few conversions between them and text that this package needs. Content stays
 * octets; only names and values of fields become strings.
 *
 * This file must not know what the octets mean.
 */

export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;

const latin1Decoder = new TextDecoder("latin1");
const utf8Decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** One character per octet, so that offsets in the text are offsets in the octets. */
export function latin1(octets: Uint8Array): string {
  return latin1Decoder.decode(octets);
}

/** UTF-8 where the octets are that, else Latin-1: never fails, never loses an octet's place. */
export function readable(octets: Uint8Array): string {
  try {
    return utf8Decoder.decode(octets);
  } catch {
    // Not UTF-8: old mail with raw 8-bit text. It is shown, not passed on.
    return latin1Decoder.decode(octets);
  }
}

/** The UTF-8 octets of a text. */
export function octetsOf(text: string): Uint8Array {
  return encoder.encode(text);
}

/** All the pieces as one; a single piece is handed back as it is, not copied. */
export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  let length = 0;
  for (const piece of pieces) length += piece.length;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Whether an octet above 127 occurs. */
export function hasEightBit(octets: Uint8Array): boolean {
  for (let i = 0; i < octets.length; i++) if (octets[i]! > 0x7f) return true;
  return false;
}

/** Whether every character is ASCII (controls included). */
export function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}
