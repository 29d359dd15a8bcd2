/**
 * Text for Postgres, which keeps neither NUL nor half of a surrogate pair. Peers say such things; what
 * they said is shown to people, so a replacement character does as well.
 */

/** The bytes of a Message-ID that are kept: an index takes no more than 2,704. */
const MESSAGE_ID_BYTES = 1000;

/** How JSON has what Postgres does not keep; also after a backslash, which does no harm. */
const NOT_KEPT = /\\u(?:0000|d[89a-f])/;

const encoder = new TextEncoder();
const room = new Uint8Array(MESSAGE_ID_BYTES);

/** The value as JSON, with U+FFFD for what Postgres does not keep. */
export function storableJson(value: unknown): string {
  const json = JSON.stringify(value);
  if (!NOT_KEPT.test(json)) return json;
  return JSON.stringify(value, (_, part) => typeof part === "string" ? storable(part) : part);
}

/** A Message-ID in the form in which it is stored and looked for. */
export function storableMessageId(messageId: string): string {
  const { read } = encoder.encodeInto(messageId, room);
  return storable(messageId.slice(0, read));
}

/** The text with U+FFFD for what Postgres does not keep. */
export function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u{fffd}");
}
