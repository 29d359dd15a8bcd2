/** Reading what a request brings, within bounds. */
import { escapePointer } from "@postern/config";
import type { Context } from "hono";
import { type Document, isScalar, LineCounter, parseDocument, visit, YAMLParseError } from "yaml";
import type { z } from "zod";
import { fieldErrors, parameterErrors, Problem, wording } from "./problem.ts";
import { repeatedField } from "./repeated-fields.ts";

/** The largest body in bytes, where an operation does not say otherwise. */
export const MAX_BODY = 1024 * 1024;

/** The largest body in bytes of a configuration as a whole. */
export const MAX_DOCUMENT = 64 * 1024 * 1024;

/** Types that a JSON body may bear: its own, and what curl -d and fetch say unless told. */
const JSON_TYPES =
  /^(application\/([\w.-]+\+)?json|application\/x-www-form-urlencoded|text\/plain)\s*(;|$)/i;

/** Types that a YAML body may bear (RFC 9512, and what was said before it). */
const YAML_TYPES = /^(application\/([\w.-]+\+)?(x-)?yaml|text\/(x-)?yaml)\s*(;|$)/i;

/** Whether a body of this type, or without one, is JSON. */
export function isJson(type: string | undefined): boolean {
  return type === undefined || JSON_TYPES.test(type);
}

/** The JSON body of a request. */
export async function readBody(context: Context): Promise<unknown> {
  return parseJson(await readJsonText(context));
}

/** The body of a request as JSON or, where it says so, YAML. */
export async function readDocument(context: Context): Promise<unknown> {
  const type = context.req.header("Content-Type");
  const isYaml = type !== undefined && YAML_TYPES.test(type);
  if (!isYaml && !isJson(type)) {
    const detail = "The body must be application/json or application/yaml";
    throw new Problem(415, "Unsupported media type", detail);
  }
  const text = await readText(context, MAX_DOCUMENT);
  return isYaml ? parseYaml(text) : parseJson(text);
}

function parseJson(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new Problem(400, "Malformed", `The body is not JSON: ${(error as Error).message}`);
  }
  const pointer = repeatedField(text);
  if (pointer !== undefined) {
    const errors = [{ pointer, detail: "given more than once" }];
    throw new Problem(422, "Invalid", "The body is not valid", { errors });
  }
  refusePrototypes(value);
  return value;
}

/**
 * The JSON body of a request in the form of a schema; an absent or empty body counts as `{}`.
 *
 * @throws {Problem} 422 with every failing field
 */
export async function readBodyAs<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): Promise<z.output<Schema>> {
  const text = await readJsonText(context);
  const parsed = schema.safeParse(text === "" ? {} : parseJson(text), { error: wording });
  if (parsed.success) return parsed.data;
  const errors = fieldErrors(parsed.error);
  throw new Problem(422, "Invalid", "The body is not valid", { errors });
}

function parseYaml(text: string): unknown {
  let value: unknown;
  try {
    // By itself the parser would warn past the log, with what the text says.
    const lineCounter = new LineCounter();
    const document = parseDocument(text, {
      lineCounter,
      prettyErrors: true,
      logLevel: "error",
      // It would compare each key with all before it: a minute for a hundred thousand domains.
      uniqueKeys: false,
    });
    const [fault] = [...document.errors, ...document.warnings];
    if (fault !== undefined) throw fault;
    refuseRepeatedKeys(document, lineCounter);
    // Aliases that multiply what they stand for are bounded by the parser.
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    if (error instanceof YAMLParseError && error.code === "MULTIPLE_DOCS") {
      throw new Problem(400, "Malformed", "The body holds several YAML documents: expected one");
    }
    throw new Problem(400, "Malformed", `The body is not YAML: ${(error as Error).message}`);
  }
  // A file that was cut off is no wish for a configuration without anything in it.
  if (value === null) throw new Problem(400, "Malformed", "The body is an empty document");
  refusePrototypes(value);
  return value;
}

function refuseRepeatedKeys(document: Document, lines: LineCounter): void {
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        const name = String(key.value);
        if (seen.has(name)) {
          const { line, col } = lines.linePos(key.range?.[0] ?? 0);
          throw new Error(`the key ${name} is there already, at line ${line}, column ${col}`);
        }
        seen.add(name);
      }
    },
  });
}

/** An object or a list within a body, and where it is. */
interface Place {
  readonly value: object;
  readonly key: string;
  readonly within?: Place;
}

/** Refuses fields of the name `__proto__`: objects cannot have them, so schemas do not see them. */
function refusePrototypes(body: unknown): void {
  if (typeof body !== "object" || body === null) return;
  const places: Place[] = [{ value: body, key: "" }];
  // No recursion: a body may be deeper than the stack.
  for (let place = places.pop(); place !== undefined; place = places.pop()) {
    for (const [key, value] of Object.entries(place.value)) {
      if (key === "__proto__") throw impossibleField({ value, key, within: place });
      if (typeof value === "object" && value !== null) places.push({ value, key, within: place });
    }
  }
}

function impossibleField(place: Place): Problem {
  let pointer = "";
  for (let at = place; at.within !== undefined; at = at.within) {
    pointer = `/${escapePointer(at.key)}${pointer}`;
  }
  const errors = [{ pointer, detail: "no field can have this name" }];
  return new Problem(422, "Invalid", "The body is not valid", { errors });
}

/** The text of a body that is to be JSON; whatever an empty one says it is, it is empty. */
async function readJsonText(context: Context): Promise<string> {
  const text = await readText(context, MAX_BODY);
  if (text === "" || isJson(context.req.header("Content-Type"))) return text;
  throw new Problem(415, "Unsupported media type", "The body must be application/json");
}

async function readText(context: Context, most: number): Promise<string> {
  const bytes = await readBounded(context.req.raw.body, most);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Problem(400, "Malformed", "The body is not UTF-8");
  }
}

/** The bytes of a body; 413 when there are more than `most`. */
export async function readBounded(
  body: ReadableStream<Uint8Array> | null,
  most: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  if (body !== null) {
    for await (const piece of body) {
      size += piece.length;
      if (size > most) throw new Problem(413, "Too large", `The body may have ${most} bytes`);
      pieces.push(piece);
    }
  }
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The longest note of a version, in characters. */
const MAX_NOTE = 1000;

/** Why a change is made, as the request's Postern-Note says; UTF-8, as curl and fetch send it. */
export function readNote(context: Context): string | undefined {
  const header = context.req.header("Postern-Note");
  if (header === undefined) return undefined;
  const bytes = Uint8Array.from(header, (character) => character.charCodeAt(0));
  const isBytes = [...header].every((character) => character.charCodeAt(0) < 256);
  let note = header;
  try {
    if (isBytes) note = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    // It is in Latin-1, and so it was read.
  }
  if (note.length <= MAX_NOTE) return note.trim();
  throw new Problem(400, "Bad header", `Postern-Note may have ${MAX_NOTE} characters`);
}

/** The query parameters; unknown, repeated and wrong ones are refused, all at once. */
export function readQuery<Schema extends z.ZodType>(
  context: Context,
  schema: Schema,
): z.output<Schema> {
  const given = Object.entries(context.req.queries());
  const repeated = given.filter(([, values]) => values.length > 1)
    .map(([parameter]) => ({ parameter, detail: "given more than once" }));
  const parsed = schema.safeParse(
    Object.fromEntries(given.map(([name, [value]]) => [name, value])),
    { error: wording },
  );
  if (parsed.success && repeated.length === 0) return parsed.data;
  const errors = [...repeated, ...(parsed.success ? [] : parameterErrors(parsed.error))];
  throw new Problem(400, "Bad parameter", "The query is not valid", { errors });
}
