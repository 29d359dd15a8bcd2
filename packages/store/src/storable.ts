/**
 * JSON for Postgres, which keeps neither NUL nor half of a surrogate pair in text. Peers say such
 * things; what they said is shown to people, so a replacement character does as well.
 */

/** The value as JSON, with U+FFFD for what Postgres does not keep. */
export function storableJson(value: unknown): string {
  return JSON.stringify(value, (_, part) => typeof part === "string" ? storable(part) : part);
}

function storable(text: string): string {
  return text.toWellFormed().replaceAll("\0", "\u{fffd}");
}
