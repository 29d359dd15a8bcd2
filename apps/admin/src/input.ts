/** Reading what a request brings, within bounds. */
import type { Context } from "hono";
import { Problem } from "./problem.ts";

/** The largest body in bytes. */
const MAX_BODY = 1024 * 1024;

/** The JSON body of a request, whatever its Content-Type says: `curl -d` says it is a form. */
export async function readBody(context: Context): Promise<unknown> {
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

/** The page size that was asked for; 100 when none was. */
export function readLimit(context: Context): number {
  const text = context.req.query("limit") ?? "100";
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= 1000) return limit;
  throw badParameter("limit", "expected a number from 1 to 1000");
}

/** The problem of a query parameter. */
export function badParameter(name: string, detail: string): Problem {
  return new Problem(400, "Bad parameter", `The parameter ${name} is not valid: ${detail}`, {
    errors: [{ pointer: name, detail }],
  });
}
