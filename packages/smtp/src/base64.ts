/**
 * Base64 (RFC 4648 §4) between bytes and the ASCII lines of AUTH.
 *
 * This file must not know SASL.
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Encodes bytes, with padding. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 3) {
    const left = bytes.length - at;
    const group = bytes[at]! << 16 | (bytes[at + 1] ?? 0) << 8 | (bytes[at + 2] ?? 0);
    text += alphabet[group >> 18]! + alphabet[group >> 12 & 63]! +
      (left > 1 ? alphabet[group >> 6 & 63]! : "=") + (left > 2 ? alphabet[group & 63]! : "=");
  }
  return text;
}

/** Decodes padded base64; `undefined` if `text` is anything else. */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text)) {
    return undefined;
  }
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = new Uint8Array(text.length / 4 * 3 - padding);
  let filled = 0;
  for (let at = 0; at < text.length; at += 4) {
    let group = 0;
    for (let digit = at; digit < at + 4; digit++) {
      group = group << 6 | Math.max(0, alphabet.indexOf(text[digit]!));
    }
    for (let shift = 16; shift >= 0 && filled < bytes.length; shift -= 8) {
      bytes[filled++] = group >> shift & 255;
    }
  }
  return bytes;
}
