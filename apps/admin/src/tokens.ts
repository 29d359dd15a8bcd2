/** The operations on the API's tokens. A token is shown once, when it is made. */
import { tokenDescriptions as described } from "@postern/api";
import type { TokenStore } from "@postern/store";
import { digestOf, TOKEN_PREFIX } from "./authentication.ts";
import { readBody, readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { actorOf, principalOf } from "./principal.ts";
import { fieldErrors, Problem, wording } from "./problem.ts";
import { invalid } from "./refusals.ts";

/** The operations. */
export function tokenOperations(
  { tokens, now }: { readonly tokens: TokenStore; readonly now: () => number },
): Operation[] {
  return [
    {
      ...described.list,
      serve: async (context) => {
        const { limit, cursor } = readQuery(context, described.list.query);
        const found = await tokens.list({ limit: limit + 1, after: cursor });
        const items = found.slice(0, limit);
        const next = found.length > limit ? items.at(-1)!.name : null;
        return context.json({ items, next });
      },
    },
    {
      ...described.create,
      serve: async (context) => {
        const parsed = described.create.body.safeParse(await readBody(context), { error: wording });
        if (!parsed.success) throw invalid(fieldErrors(parsed.error), "token");
        const { name, scopes, expiresAt } = parsed.data;
        if (expiresAt !== null && Date.parse(expiresAt) <= now()) {
          throw invalid([{ pointer: "/expiresAt", detail: "expected a time to come" }], "token");
        }
        const { scopes: allowed, expiresAt: end } = principalOf(context);
        if (end !== null && (expiresAt === null || Date.parse(expiresAt) > end.getTime())) {
          const detail =
            `expected an end no later than that of your own token: ${end.toISOString()}`;
          throw invalid([{ pointer: "/expiresAt", detail }], "token");
        }
        const beyond = scopes.flatMap((scope, index) =>
          allowed.has(scope)
            ? []
            : [{ pointer: `/scopes/${index}`, detail: "beyond the scopes of your own token" }]
        );
        if (beyond.length > 0) throw invalid(beyond, "token");
        const token = newToken();
        const stored = await tokens.create({
          name,
          digest: await digestOf(token),
          scopes,
          expiresAt: expiresAt === null ? null : new Date(expiresAt),
        }, actorOf(context));
        if (stored === undefined) {
          throw new Problem(409, "Name taken", `There is a token ${name} already`);
        }
        const headers = { "Cache-Control": "no-store", Location: `/v1/tokens/${stored.id}` };
        return context.json({ ...stored, token }, 201, headers);
      },
    },
    {
      ...described.remove,
      serve: async (context) => {
        const id = context.req.param("id") ?? "";
        const removed = described.remove.pathParameters.id.safeParse(id).success
          ? await tokens.remove(id, actorOf(context))
          : undefined;
        if (removed === undefined) throw new Problem(404, "Not found", `There is no token ${id}`);
        return context.body(null, 204);
      },
    },
  ];
}

/** 256 bits of chance behind the prefix, in base64url. */
function newToken(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return TOKEN_PREFIX + btoa(String.fromCharCode(...bytes))
    .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}
