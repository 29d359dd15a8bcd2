/** The OpenAPI 3.1 document, made from the operations and their zod schemas. Pure. */
import {
  type Answer,
  type OperationDescription as Operation,
  problemSchema,
  SCOPES,
} from "@postern/api";
import { z } from "zod";

/** What each problem status means here. */
const PROBLEMS: Readonly<Record<number, string>> = {
  400: "The request is malformed",
  401: "A valid bearer token is needed",
  403: "The token does not allow it",
  404: "There is no such thing",
  409: "The rest of the configuration needs it",
  410: "It was there and is no longer kept",
  412: "A condition of the request does not hold",
  413: "The body is too large",
  415: "The body is not JSON",
  422: "The body is not valid; errors names every failing field",
  429: "Too many requests without a valid token came from this address",
  500: "Something failed that is no fault of the request; the log tells more",
  503: "The database is away",
};

/** What each request header means here. */
const HEADERS = {
  "If-Match": "Entity tags, or *: change only what is as one of them says",
  "If-None-Match": "Entity tags, or *: only what is not as one of them says",
  "Postern-Note": "Why the change is made, for the version's note; UTF-8",
  "Idempotency-Key": "A POST that is sent again under the same key within a day takes effect once",
};

const DESCRIPTION =
  "Configuration, messages and destinations of the mail gateway. Lists are pages " +
  "with `next`, times RFC 3339 in UTC, sizes bytes, durations seconds. Resources carry entity tags " +
  "and honour If-Match. What fails is answered as a problem document (RFC 9457).";

/** What the operations below each first part of a path are about. */
const TAGS: Readonly<Record<string, string>> = {
  monitoring: "Is it alive, is it ready, how much is there to do",
  description: "What the API is",
  relays: "Where mail goes next",
  domains: "Domains that the gateway accepts mail for",
  clients: "Who may send through the gateway",
  users: "Who may authenticate and submit",
  rules: "Ordered conditions and actions over each recipient's copy",
  settings: "What holds for the gateway as a whole",
  config: "The configuration as one document, and its versions",
  tokens: "Who may use the API, and for what",
  audit: "Who changed what, when, from where",
  explain: "What would happen to a mail, and why",
  messages: "Finding messages, their way, and acting on them",
  destinations: "Where deliveries go, how much waits, and what holds it up",
};

function tagOf(path: string): string {
  const part = /^\/v1\/(\w+)/.exec(path)?.[1];
  if (part === "openapi" || path === "/docs") return "description";
  return part ?? "monitoring";
}

type Json = Record<string, unknown>;

/** Media types whose bodies are described as text. */
function asText(types: readonly string[]): Json {
  return Object.fromEntries(types.map((type) => [type, { schema: { type: "string" } }]));
}

/** Makes the document. */
export function openApiDocument(operations: readonly Operation[]): Json {
  const schemas: Json = {};

  /** A schema as JSON; what has an id goes to the components. */
  const jsonOf = (schema: z.ZodType, io: "input" | "output"): Json => {
    const converted = z.toJSONSchema(schema, { io, unrepresentable: "any" });
    const text = JSON.stringify(converted).replaceAll("#/$defs/", "#/components/schemas/");
    const { $schema: _, $defs = {}, ...json } = JSON.parse(text);
    Object.assign(schemas, $defs);
    return json;
  };

  const problem = {
    "application/problem+json": { schema: jsonOf(problemSchema, "output") },
  };
  const answerOf = (
    { description, schema, type, otherTypes = [], hasEntityTag }: Answer,
  ): Json => ({
    description,
    ...(hasEntityTag && {
      headers: { ETag: { description: "The resource's version", schema: { type: "string" } } },
    }),
    ...((schema ?? type) !== undefined && {
      content: {
        [type ?? "application/json"]: {
          schema: schema === undefined ? { type: "string" } : jsonOf(schema, "output"),
        },
        ...asText(otherTypes),
      },
    }),
  });
  const parametersOf = (
    { method, pathParameters = {}, query, headers = [] }: Operation,
  ): Json[] => [
    ...Object.entries(pathParameters).map(([name, schema]) => ({
      name,
      in: "path",
      required: true,
      schema: jsonOf(schema, "input"),
    })),
    ...Object.entries(query?.shape ?? {}).map(([name, schema]) => ({
      name,
      in: "query",
      required: false,
      schema: jsonOf(schema as z.ZodType, "input"),
    })),
    ...[...headers, ...(method === "post" ? ["Idempotency-Key"] as const : [])].map((name) => ({
      name,
      in: "header",
      required: false,
      schema: { type: "string" },
      description: HEADERS[name],
    })),
  ];
  const describe = (operation: Operation): Json => {
    const { id, summary, scope, moreScopes = [], answers, problems = [] } = operation;
    const { body, bodyIsOptional = false, otherBodyTypes = [] } = operation;
    const open = scope === "none";
    const failing = open ? problems : [401, 403, ...problems, 429, 500, 503];
    const parameters = parametersOf(operation);
    return {
      operationId: id,
      tags: [tagOf(operation.path)],
      summary,
      security: open ? [] : [{ token: [scope, ...moreScopes] }],
      ...(parameters.length > 0 && { parameters }),
      ...(body && {
        requestBody: {
          required: !bodyIsOptional,
          content: {
            "application/json": { schema: jsonOf(body, "input") },
            ...asText(otherBodyTypes),
          },
        },
      }),
      responses: {
        ...Object.fromEntries(
          Object.entries(answers).map(([status, answer]) => [status, answerOf(answer)]),
        ),
        ...Object.fromEntries(failing.map((status) => [
          status,
          { description: PROBLEMS[status], content: problem },
        ])),
      },
    };
  };

  const paths: Record<string, Json> = {};
  for (const operation of operations) {
    (paths[operation.path] ??= {})[operation.method] = describe(operation);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Postern",
      version: "1",
      description: DESCRIPTION,
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: "/", description: "The gateway that serves this document" }],
    tags: [...new Set(operations.map(({ path }) => tagOf(path)))].map((name) => ({
      name,
      description: TAGS[name] ?? name,
    })),
    paths,
    components: {
      schemas,
      securitySchemes: {
        token: {
          type: "http",
          scheme: "bearer",
          description: `A token of the API. ${
            Object.entries(SCOPES).map(([scope, allows]) => `${scope}: ${allows}`).join(". ")
          }.`,
        },
      },
    },
  };
}
