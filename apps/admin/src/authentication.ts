/**
 * Who may use the API: whoever bears a token (RFC 6750). The bootstrap token allows everything; the
 * others are looked up by their digest, and allow what their scopes say.
 */
import type { AuditLog, TokenStore } from "@postern/store";
import type { Context, MiddlewareHandler } from "hono";
import { FailureLimit } from "./failure-limit.ts";
import { actorOf, addressOf, type Principal, principalOf, setPrincipal } from "./principal.ts";
import { Problem } from "./problem.ts";
import { BOOTSTRAP_NAME, type Scope, SCOPES } from "@postern/api";

/** What tokens that the API makes begin with, so that they are found where they do not belong. */
export const TOKEN_PREFIX = "postern_";

const BOOTSTRAP: Principal = {
  id: "bootstrap",
  name: BOOTSTRAP_NAME,
  scopes: new Set(Object.keys(SCOPES) as Scope[]),
  expiresAt: null,
};

/** Lets requests pass that bear a token in force. */
export function requireToken(
  { token, tokens, now }: {
    /** The bootstrap token. */
    readonly token: string;
    readonly tokens: TokenStore;
    /** Milliseconds since the epoch. */
    readonly now: () => number;
  },
): MiddlewareHandler {
  const bootstrap = digestOf(token);
  const failures = new FailureLimit();

  const principalWith = async (shown: string, digest: string): Promise<Principal | string> => {
    if (equal(digest, await bootstrap)) return BOOTSTRAP;
    const found = shown.startsWith(TOKEN_PREFIX) ? await tokens.use(digest) : undefined;
    if (found === undefined) return "A valid bearer token is needed";
    if (found.expiresAt !== null && found.expiresAt.getTime() <= now()) {
      return "The token has expired";
    }
    const { id, name, scopes, expiresAt } = found;
    return { id, name, scopes: new Set(scopes as Scope[]), expiresAt };
  };

  return async (context, next) => {
    const shown = /^Bearer +(\S+)$/i.exec(context.req.header("Authorization") ?? "")?.[1];
    if (shown === undefined) throw unauthorized("A valid bearer token is needed", context);
    const address = addressOf(context) ?? "";
    const digest = await digestOf(shown);
    const wait = failures.wait(address, digest, now());
    if (wait > 0) {
      const detail = "Too many requests without a valid token came from this address";
      const headers = { "Retry-After": String(wait) };
      throw new Problem(429, "Too many requests", detail, { headers });
    }
    const principal = await principalWith(shown, digest);
    if (typeof principal === "string") {
      failures.failed(address, now());
      throw unauthorized(principal, context);
    }
    failures.succeeded(address, digest);
    setPrincipal(context, principal);
    await next();
  };
}

/**
 * Refuses with 403 what the token does not allow, and puts that on record. `need` goes on with the
 * sentence where it is not plain why the scope is asked for.
 */
export async function requireScope(
  context: Context,
  scope: Scope,
  audit: Pick<AuditLog, "record">,
  need = "",
): Promise<void> {
  if (principalOf(context).scopes.has(scope)) return;
  const target = `${context.req.method} ${context.req.path}`.slice(0, 500);
  await audit.record({ ...actorOf(context), action: "denied", target, detail: { scope } });
  throw new Problem(403, "Forbidden", `The token does not have the scope ${scope}${need}`, {
    headers: {
      "WWW-Authenticate": `Bearer realm="postern", error="insufficient_scope", scope="${scope}"`,
    },
  });
}

/** SHA-256 in hex: all that is kept of a token. */
export async function digestOf(data: string | Uint8Array<ArrayBuffer>): Promise<string> {
  const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
  const digest = await crypto.subtle.digest("SHA-256", bytes);
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function unauthorized(detail: string, context: Context): Problem {
  const error = context.req.header("Authorization") === undefined ? "" : ', error="invalid_token"';
  return new Problem(401, "Unauthorized", detail, {
    headers: { "WWW-Authenticate": `Bearer realm="postern"${error}` },
  });
}

/** Whether two digests are the same; takes as long wherever they differ. */
function equal(a: string, b: string): boolean {
  let difference = a.length ^ b.length;
  for (let at = 0; at < a.length; at += 1) difference |= a.charCodeAt(at) ^ b.charCodeAt(at);
  return difference === 0;
}
