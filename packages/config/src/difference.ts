/** What differs between two definitions, field by field. */

/** A field that differs: absent where it was not there before, or is not there any more. */
export interface FieldDifference {
  /** JSON pointer (RFC 6901) into the definition. */
  readonly pointer: string;
  readonly from?: unknown;
  readonly to?: unknown;
}

/** Whether two JSON values are the same, in whatever order their fields stand. */
export function equalJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = definedKeys(a);
  if (keys.length !== definedKeys(b).length) return false;
  return keys.every((key) =>
    Object.hasOwn(b, key) &&
    equalJson((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key])
  );
}

/** The fields that differ, each at the deepest pointer. */
export function differenceOf(from: unknown, to: unknown, pointer = ""): FieldDifference[] {
  if (isBranch(from) && isBranch(to) && Array.isArray(from) === Array.isArray(to)) {
    const keys = new Set([...definedKeys(from), ...definedKeys(to)]);
    return [...keys].flatMap((key) =>
      differenceOf(from[key], to[key], `${pointer}/${escapePointer(key)}`)
    );
  }
  if (equalJson(from, to)) return [];
  return [{
    pointer,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
  }];
}

/** A name as a part of a JSON pointer (RFC 6901 §3). */
export function escapePointer(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}

function isBranch(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

function definedKeys(value: object): string[] {
  return Object.keys(value).filter((key) => (value as Record<string, unknown>)[key] !== undefined);
}
