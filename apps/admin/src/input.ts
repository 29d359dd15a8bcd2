/** Reading what a request brings, within bounds. */
import type { Context } from "hono";
import type { z } from "zod";
import { parameterErrors, Problem, wording } from "./problem.ts";

/** The largest body in bytes. */
const MAX_BODY = 1024 * 1024;

/** Types that a JSON body may bear: its own, and what curl -d and fetch say unless told. */
const BODY_TYPES =
  /^(application\/([\w.-]+\+)?json|application\/x-www-form-urlencoded|text\/plain)\s*(;|$)/i;

/** The JSON body of a request. */
export async function readBody(context: Context): Promise<unknown> {
  const type = context.req.header("Content-Type");
  if (type !== undefined && !BODY_TYPES.test(type)) {
    throw new Problem(415, "Unsupported media type", "The body must be application/json");
  }
  const bytes = await readBounded(context.req.raw.body);
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw new Problem(400, "Malformed", "The body is not JSON in UTF-8");
  }
}

async function readBounded(
  body: ReadableStream<Uint8Array> | null,
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  if (body !== null) {
    for await (const piece of body) {
      size += piece.length;
      if (size > MAX_BODY) {
        throw new Problem(413, "Too large", `The body may have ${MAX_BODY} bytes`);
      }
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
