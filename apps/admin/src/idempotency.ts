/**
 * Idempotency-Key on POST (draft-ietf-httpapi-idempotency-key-header): a request that is sent again
 * takes effect once, and gets the first one's answer. Answers are kept sealed: one may hold a token.
 */
import { openSecret, sealSecret, type SecretKey } from "@postern/secrets";
import type { IdempotencyKeys, KeptAnswer, KeyedRequest } from "@postern/store";
import type { Context } from "hono";
import { digestOf } from "./authentication.ts";
import { MAX_BODY, readBounded } from "./input.ts";
import { principalOf } from "./principal.ts";
import { Problem } from "./problem.ts";

/** What of an answer is given again besides its body. */
const KEPT_HEADERS = ["Cache-Control", "Content-Type", "ETag", "Location"];

/** Serves a request that bears a key once; without a key, serves it. */
export async function once(
  context: Context,
  { keys, secretKey }: { readonly keys: IdempotencyKeys; readonly secretKey: SecretKey },
  serve: () => Response | Promise<Response>,
): Promise<Response> {
  const key = context.req.header("Idempotency-Key");
  if (key === undefined) return await serve();
  if (!/^[\x21-\x7e]{1,255}$/.test(key)) {
    throw new Problem(400, "Bad header", "Idempotency-Key is not 1 to 255 visible characters");
  }
  const { method, url, headers } = context.req.raw;
  const body = await readBounded(context.req.raw.body, MAX_BODY);
  // No copy of the request: its body has been read, and a copy would want to read it again.
  context.req.raw = new Request(url, { method, headers, body: body.length === 0 ? null : body });
  const { pathname, search } = new URL(url);
  const request = {
    owner: principalOf(context).id,
    key,
    request: await digestOf(`${method} ${pathname}${search}\n${await digestOf(body)}`),
  };
  const admission = await keys.begin(request);
  switch (admission.status) {
    case "answered":
      return await again(admission.answer, secretKey);
    case "underWay":
      throw new Problem(409, "Under way", "The first request with this key is still being served", {
        headers: { "Retry-After": "1" },
      });
    case "other": {
      const detail = "Idempotency-Key was used with another request";
      throw new Problem(422, "Key used before", detail);
    }
  }
  try {
    const response = await serve();
    return await keep(response, request, { keys, secretKey });
  } catch (error) {
    // It had no effect, or nobody knows: whoever sends it again has it tried again.
    await keys.forget(request);
    throw error;
  }
}

async function keep(
  response: Response,
  request: KeyedRequest,
  { keys, secretKey }: { readonly keys: IdempotencyKeys; readonly secretKey: SecretKey },
): Promise<Response> {
  const body = await response.clone().text();
  const headers = Object.fromEntries(
    KEPT_HEADERS.flatMap((name) => {
      const value = response.headers.get(name);
      return value === null ? [] : [[name, value]];
    }),
  );
  const { box } = await sealSecret(secretKey, body);
  await keys.finish(request, { status: response.status, headers, body: box });
  return response;
}

async function again(
  { status, headers, body: box }: KeptAnswer,
  secretKey: SecretKey,
): Promise<Response> {
  const body = await openSecret(secretKey, { box });
  if (body === undefined) {
    const detail = "The request was served before; its answer was sealed under another key";
    throw new Problem(409, "Served before", detail);
  }
  const replayed = { ...headers, "Idempotency-Replayed": "true" };
  return new Response(body === "" ? null : body, { status, headers: replayed });
}
