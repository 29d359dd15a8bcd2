/**
 * Aligned tables for people. Widths are those of a terminal: wide characters take two columns,
 * combining ones none. What comes from outside cannot steer the terminal: control characters are
 * shown, never sent.
 */

/** Characters that take two columns: East Asian wide and full-width ones, and emoji. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
const ZERO = /[\p{Mn}\p{Me}\p{Cf}]/u;

/** The columns that a text takes on a terminal. */
export function widthOf(text: string): number {
  let width = 0;
  for (const character of text) {
    width += ZERO.test(character) ? 0 : WIDE.test(character) ? 2 : 1;
  }
  return width;
}

/** A text in one line that a terminal shows as it is. */
export function shown(text: string): string {
  return text.replaceAll(/[\r\n\t]+/g, " ")
    // deno-lint-ignore no-control-regex
    .replaceAll(/[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (character) => {
      return `\\x${character.codePointAt(0)!.toString(16).padStart(2, "0")}`;
    });
}

/** A text cut to so many columns, with a sign that it was. */
function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const character of text) {
    width += widthOf(character);
    if (width > columns - 1) break;
    kept += character;
  }
  return `${kept}…`;
}

/** A column of a table. */
export interface Column<Row> {
  readonly title: string;
  readonly of: (row: Row) => string | number | null | undefined;
  /** Numbers stand at the right. */
  readonly right?: boolean;
  /** Of use only whole, as ids and times are: it is never cut. */
  readonly whole?: boolean;
  /** Left out where the others would have no room; of several the last one first. */
  readonly spare?: boolean;
}

const GAP = "  ";
const LEAST = 10;

/**
 * A table with its head. With a number of columns given, spare columns are left out and the widest
 * others cut until it fits.
 */
export function tableOf<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  fit: number | undefined,
): string {
  const cells = [
    columns.map(({ title }) => title.toUpperCase()),
    ...rows.map((row) => columns.map(({ of }) => shown(String(of(row) ?? "-")) || "-")),
  ];
  const full = columns.map((_, index) => Math.max(...cells.map((row) => widthOf(row[index]!))));
  const widths = fit === undefined ? full : fitting(full, columns, fit);
  return cells.map((row) =>
    row.flatMap((cell, index) => {
      const width = widths[index]!;
      if (width === 0) return [];
      const text = cut(cell, width);
      const padding = " ".repeat(width - widthOf(text));
      return columns[index]!.right ? padding + text : text + padding;
    }).join(GAP).trimEnd() + "\n"
  ).join("");
}

/** The widths of columns so that they fit; 0 for one that is left out. */
function fitting(
  full: readonly number[],
  columns: readonly Pick<Column<never>, "whole" | "spare">[],
  fit: number,
): number[] {
  const widths = [...full];
  const total = (some: readonly number[]) =>
    some.reduce((sum, width) => sum + (width === 0 ? 0 : width + GAP.length), -GAP.length);
  const least = () =>
    widths.map((width, index) => columns[index]!.whole ? width : Math.min(width, LEAST));
  for (let index = columns.length - 1; index >= 0 && total(least()) > fit; index--) {
    if (columns[index]!.spare) widths[index] = 0;
  }
  for (let over = total(widths) - fit; over > 0; over--) {
    const widest = Math.max(...widths.filter((_, index) => !columns[index]!.whole));
    if (widest <= LEAST) break;
    widths[widths.findIndex((width, index) => width === widest && !columns[index]!.whole)]! -= 1;
  }
  return widths;
}

/** Facts about one thing, a line for each. */
export function factsOf(facts: readonly (readonly [string, string | number | null | undefined])[]) {
  const known = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  const width = Math.max(0, ...known.map(([name]) => widthOf(name)));
  return known.map(([name, value]) =>
    `${name}:${" ".repeat(width - widthOf(name) + 2)}${shown(String(value))}\n`
  ).join("");
}

/** Bytes as people read them. */
export function sizeOf(bytes: number): string {
  for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]] as const) {
    if (bytes >= factor) return `${(bytes / factor).toFixed(bytes < 10 * factor ? 1 : 0)} ${unit}`;
  }
  return `${bytes} B`;
}

/** A time of the API as people read it: UTC, to the second. */
export function timeOf(text: string | null | undefined): string | null {
  return text === null || text === undefined
    ? null
    : text.replace("T", " ").replace(/\.\d+Z$/, "Z");
}
