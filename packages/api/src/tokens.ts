/** The operations on the API's tokens. A token is shown once, when it is made. */
import { plainText, resourceName } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf } from "./parameters.ts";
import { type Scope, SCOPES } from "./scopes.ts";

const scopeSchema = z.enum(Object.keys(SCOPES) as [Scope, ...Scope[]]).meta({
  id: "Scope",
  description: Object.entries(SCOPES).map(([scope, allows]) => `${scope}: ${allows}`).join("; "),
});

/** The name under which the bootstrap token acts. */
export const BOOTSTRAP_NAME = "admin";

/** Names that versions and the audit log have already: the last is the gateway's own. */
const TAKEN: readonly string[] = [BOOTSTRAP_NAME, "postern"];

const definition = z.strictObject({
  name: resourceName.refine((name) => !TAKEN.includes(name), {
    error: `expected another name: ${TAKEN.join(" and ")} are not for tokens`,
  }).meta({ description: `A name as of a resource, but for ${TAKEN.join(" and ")}` }),
  scopes: z.array(scopeSchema).min(1).max(20).transform((scopes) => [...new Set(scopes)])
    .meta({ type: "array" }),
  expiresAt: z.iso.datetime({ offset: true, error: "expected a time like 2026-01-31T12:00:00Z" })
    .nullable().default(null).meta({
      description: "When it ends: no later than the token that makes it; never when null or absent",
    }),
}).meta({
  id: "TokenDefinition",
  examples: [{ name: "deploy", scopes: ["config:read", "config:write"] }],
});

const shape = z.object({
  id: z.uuid(),
  name: z.string(),
  scopes: z.array(scopeSchema),
  createdBy: z.string(),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable().meta({ description: "To the minute" }),
}).meta({ id: "Token" });

const madeShape = shape.extend({
  token: z.string().meta({ description: "The token itself: shown this once" }),
}).meta({ id: "MadeToken" });

const page = z.strictObject({
  limit: limitParameter,
  cursor: resourceName.exactOptional().meta({ description: "`next` of the page before" }),
});

/** What can be done with tokens. */
export const tokenDescriptions = {
  list: {
    method: "get",
    path: "/v1/tokens",
    id: "listTokens",
    summary: "The tokens by name",
    scope: "tokens",
    query: page,
    answers: { 200: { description: "A page of them", schema: pageOf(shape) } },
    problems: [400],
  },
  create: {
    method: "post",
    path: "/v1/tokens",
    id: "createToken",
    summary: "Make a token; the answer shows it this once",
    scope: "tokens",
    body: definition,
    answers: { 201: { description: "The token", schema: madeShape } },
    problems: [400, 409, 413, 415, 422],
  },
  remove: {
    method: "delete",
    path: "/v1/tokens/{id}",
    id: "deleteToken",
    summary: "Delete a token, by id or by name: from now on it is worth nothing",
    scope: "tokens",
    pathParameters: { id: plainText },
    answers: { 204: { description: "Deleted" } },
    problems: [404],
  },
} as const satisfies Record<string, OperationDescription>;
