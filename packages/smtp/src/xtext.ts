/**
 * The encodings of parameter values: xtext (RFC 3461 §4) and the two forms of a UTF-8 address in
 * ORCPT, utf-8-addr-xtext and utf-8-addr-unitext (RFC 6533 §3).
 *
 * This file must not know which parameter uses which.
 */
import { decodeUtf8, encodeUtf8 } from "./wire-text.ts";

const plainXtext = /^[!-*,-<>-~]*$/;
const plainUnitext = /^[!-*,-<>-[\]-~\u0080-\u{10ffff}]*$/u;

/** Writes text as xtext: what is not printable ASCII, and `+` and `=`, as `+` and two hex digits. */
export function encodeXtext(text: string): string {
  if (plainXtext.test(text)) return text;
  let out = "";
  for (const byte of encodeUtf8(text)) {
    out += byte > 32 && byte < 127 && byte !== 43 && byte !== 61
      ? String.fromCharCode(byte)
      : `+${byte.toString(16).toUpperCase().padStart(2, "0")}`;
  }
  return out;
}

/** Reads xtext; `undefined` where it is malformed or does not hold UTF-8. */
export function decodeXtext(text: string): string | undefined {
  if (plainXtext.test(text)) return text;
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 43) {
      const digits = text.slice(index + 1, index + 3);
      if (!/^[0-9A-F]{2}$/.test(digits)) return undefined;
      bytes.push(parseInt(digits, 16));
      index += 2;
    } else if (code > 32 && code < 127 && code !== 61) {
      bytes.push(code);
    } else {
      return undefined;
    }
  }
  return decodeUtf8(Uint8Array.from(bytes));
}

/** Writes an address as utf-8-addr-xtext: ASCII only, other characters as `\x{…}`. */
export function encodeUtf8AddressXtext(address: string): string {
  let out = "";
  for (const character of address) {
    const code = character.codePointAt(0)!;
    out += code > 32 && code < 127 && code !== 43 && code !== 61 && code !== 92
      ? character
      : `\\x{${code.toString(16).toUpperCase().padStart(2, "0")}}`;
  }
  return out;
}

/** Writes an address as utf-8-addr-unitext: as it is but for what a parameter cannot hold. */
export function encodeUtf8AddressUnitext(address: string): string {
  let out = "";
  for (const character of address) {
    out += plainUnitext.test(character) ? character : encodeUtf8AddressXtext(character);
  }
  return out;
}

/** Reads utf-8-addr-xtext and utf-8-addr-unitext; `undefined` where it is malformed. */
export function decodeUtf8Address(text: string): string | undefined {
  let out = "";
  let index = 0;
  while (index < text.length) {
    const code = text.codePointAt(index)!;
    if (code === 92) {
      const embedded = /^\\x\{([0-9A-F]{2,6})\}/.exec(text.slice(index, index + 10));
      if (embedded === null) return undefined;
      const point = parseInt(embedded[1]!, 16);
      if (point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined;
      out += String.fromCodePoint(point);
      index += embedded[0].length;
      continue;
    }
    const character = String.fromCodePoint(code);
    if (!plainUnitext.test(character)) return undefined;
    out += character;
    index += character.length;
  }
  return out === "" ? undefined : out;
}
