/** Who may use the API: whoever shows the token (RFC 6750). */
import type { MiddlewareHandler } from "hono";
import { Problem } from "./problem.ts";

/** Lets requests pass that bear the token; compares digests, so that time tells nothing. */
export function requireToken(token: string): MiddlewareHandler {
  const expected = digest(token);
  return async (context, next) => {
    const shown = /^Bearer +(\S+)$/i.exec(context.req.header("Authorization") ?? "")?.[1];
    if (shown === undefined || !equal(await digest(shown), await expected)) {
      throw new Problem(401, "Unauthorized", "A valid bearer token is needed", {
        headers: { "WWW-Authenticate": 'Bearer realm="postern"' },
      });
    }
    await next();
  };
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  a.forEach((byte, index) => difference |= byte ^ (b[index] ?? 0));
  return difference === 0;
}
