/**
 * Reading a recipient list as it streams in: NDJSON, CSV or JSON, in batches of addresses. What is
 * wrong is found line by line, to the end of the list, so that one attempt tells of all of it.
 */
import { listedAddress, MAX_LISTED_RECIPIENTS } from "@postern/config";
import { CsvError, parse } from "csv-parse/sync";
import { type FieldError, Problem } from "./problem.ts";

/** The forms that a list comes in, by media type. */
export const LIST_TYPES = ["application/x-ndjson", "text/csv", "application/json"] as const;

/** The form of a list. */
export type ListType = (typeof LIST_TYPES)[number];

/** Errors that are told; the list may have more. */
const MAX_ERRORS = 100;
const MAX_BYTES = 128 * 1024 * 1024;
const MAX_JSON_BYTES = 16 * 1024 * 1024;
const MAX_LINE = 4096;
/** Lines that are dealt with together. */
const BATCH = 2000;

/** A line as it came, and its number. */
interface Line {
  readonly number: number;
  readonly text: string;
}

/**
 * The list's addresses in their one spelling, in batches.
 *
 * @param domain the relay domain whose list it is
 * @throws {Problem} 413 when it is too large; at its end 422 when lines of it are wrong, 400 when there
 *   is none: a file that was cut off is no wish for an empty list, `[]` is
 */
export async function* readList(
  body: AsyncIterable<Uint8Array>,
  type: ListType,
  domain: string,
): AsyncGenerator<string[]> {
  const errors: { readonly line: number; readonly detail: string }[] = [];
  const fail = (line: number, detail: string) => {
    if (errors.length < MAX_ERRORS) errors.push({ line, detail });
  };
  let count = 0;
  let first = true;
  if (type === "application/json") return yield* readWhole(body, domain);
  for await (const lines of linesOf(body, fail)) {
    const found = type === "text/csv" ? readCsv(lines, first, fail) : readJson(lines, fail);
    first = false;
    const batch: string[] = [];
    for (const { number, text } of found) {
      const address = listedAddress(domain, text);
      if (address !== undefined) batch.push(address);
      else fail(number, foreign(text, domain));
    }
    count += batch.length;
    if (count > MAX_LISTED_RECIPIENTS) throw tooMany();
    // Once a line is wrong nothing will be changed; what follows is only checked.
    if (batch.length > 0 && errors.length === 0) yield batch;
  }
  if (errors.length > 0) {
    errors.sort((a, b) => a.line - b.line);
    throw invalid(errors);
  }
  if (count === 0) {
    const detail = "The body has no address; the list [] as JSON is one without any";
    throw new Problem(400, "Malformed", detail);
  }
}

/** A JSON array of addresses, or an object with it as `items`; held whole, so it must be smaller. */
async function* readWhole(
  body: AsyncIterable<Uint8Array>,
  domain: string,
): AsyncGenerator<string[]> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MAX_JSON_BYTES) {
      const detail = `A list in one JSON text may have ${MAX_JSON_BYTES} bytes: send NDJSON`;
      throw new Problem(413, "Too large", detail);
    }
    pieces.push(piece);
  }
  let value: unknown;
  try {
    const decoder = new TextDecoder("utf-8", { fatal: true });
    value = JSON.parse(
      pieces.map((piece) => decoder.decode(piece, { stream: true })).join("") + decoder.decode(),
    );
  } catch {
    throw new Problem(400, "Malformed", "The body is not JSON in UTF-8");
  }
  const above = Array.isArray(value) ? "" : "/items";
  const items = Array.isArray(value) ? value : (value as { items?: unknown } | null)?.items;
  if (!Array.isArray(items)) {
    throw new Problem(422, "Invalid", 'Expected ["address", …] or {"items": ["address", …]}');
  }
  if (items.length > MAX_LISTED_RECIPIENTS) throw tooMany();
  const errors: FieldError[] = [];
  const addresses: string[] = [];
  items.forEach((item: unknown, index) => {
    const address = typeof item === "string" ? listedAddress(domain, item) : undefined;
    if (address !== undefined) addresses.push(address);
    else if (errors.length < MAX_ERRORS) {
      const detail = typeof item === "string" ? foreign(item, domain) : "expected an address";
      errors.push({ pointer: `${above}/${index}`, detail });
    }
  });
  if (errors.length > 0) throw invalid(errors);
  yield addresses;
}

/** Lines in batches, without their ends; empty ones are left out. */
async function* linesOf(
  body: AsyncIterable<Uint8Array>,
  fail: (line: number, detail: string) => void,
): AsyncGenerator<Line[]> {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: false });
  let batch: Line[] = [];
  let number = 0;
  let bytes = 0;
  let rest = new Uint8Array();
  const take = (line: Uint8Array) => {
    number += 1;
    try {
      const text = decoder.decode(line).replace(/\r$/, "");
      if (text.trim() !== "") batch.push({ number, text });
    } catch {
      fail(number, "not UTF-8");
    }
  };
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) {
      throw new Problem(413, "Too large", `A list may have ${MAX_BYTES} bytes`);
    }
    let from = 0;
    for (let end = piece.indexOf(0x0a); end >= 0; end = piece.indexOf(0x0a, from)) {
      take(joined(rest, piece.subarray(from, end)));
      rest = new Uint8Array();
      from = end + 1;
      if (batch.length >= BATCH) {
        yield batch;
        batch = [];
      }
    }
    rest = joined(rest, piece.subarray(from));
    if (rest.length > MAX_LINE) {
      throw invalid([{ line: number + 1, detail: `longer than ${MAX_LINE} bytes` }]);
    }
  }
  if (rest.length > 0) take(rest);
  yield batch;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Addresses are in the first column; a first line that says `address` is a heading. */
function readCsv(
  lines: readonly Line[],
  first: boolean,
  fail: (line: number, detail: string) => void,
): Line[] {
  const rows: Line[] = [];
  /** False where a line is at fault: a quote that is not closed, say. */
  const parseLines = (some: readonly Line[]): boolean => {
    let records: string[][];
    try {
      const text = some.map((line) => line.text).join("\n");
      records = parse(text, { relax_column_count: true, trim: true });
    } catch (error) {
      if (error instanceof CsvError) return false;
      throw error;
    }
    // A quoted field may go on in the next line: no address does.
    if (records.length !== some.length) return false;
    records.forEach((record, index) =>
      rows.push({ number: some[index]!.number, text: record[0] ?? "" })
    );
    return true;
  };
  if (!parseLines(lines)) {
    for (const line of lines) {
      if (!parseLines([line])) fail(line.number, "not CSV: check its quotes");
    }
  }
  return first && rows[0]?.text.toLowerCase() === "address" ? rows.slice(1) : rows;
}

/** Each line is a JSON text: `"address"` or `{"address": "…"}`. */
function readJson(
  lines: readonly Line[],
  fail: (line: number, detail: string) => void,
): Line[] {
  return lines.flatMap(({ number, text }) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      fail(number, "not JSON");
      return [];
    }
    const address = typeof value === "object" && value !== null && "address" in value
      ? value.address
      : value;
    if (typeof address === "string") return [{ number, text: address }];
    fail(number, 'expected "address" or {"address": …}');
    return [];
  });
}

function invalid(errors: readonly FieldError[]): Problem {
  return new Problem(422, "Invalid", "The list is not valid; nothing was changed", { errors });
}

function tooMany(): Problem {
  return new Problem(413, "Too large", `A list may have ${MAX_LISTED_RECIPIENTS} addresses`);
}

function foreign(text: string, domain: string): string {
  return `${quote(text)} is no local part and no address of ${domain}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text);
}
