/** The operations on the configuration as a whole, `/v1/config`, and on its versions. */
import { documentSchema, type ResourceKind, resourceKinds } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf, versionParameter } from "./parameters.ts";

const kind = z.enum(Object.keys(resourceKinds) as [ResourceKind, ...ResourceKind[]]);
const definition = z.looseObject({}).meta({ description: "As the kind's operations show it" });

/** The difference of two configurations. */
const differenceSchema = z.object({
  added: z.array(z.object({ kind, name: z.string(), definition })),
  changed: z.array(z.object({
    kind,
    name: z.string(),
    changes: z.array(z.object({
      pointer: z.string().meta({ description: "JSON pointer into the definition" }),
      from: z.unknown().optional().meta({ description: "Absent where there was nothing" }),
      to: z.unknown().optional().meta({ description: "Absent where there is nothing any more" }),
    })),
  })),
  removed: z.array(z.object({ kind, name: z.string(), definition })),
}).meta({
  id: "Difference",
  examples: [{
    added: [],
    changed: [{
      kind: "domains",
      name: "example.com",
      changes: [{ pointer: "/relay", from: "old", to: "new" }],
    }],
    removed: [],
  }],
});

/** @see differenceSchema */
export type ShownDifference = z.output<typeof differenceSchema>;

/** Recipient lists that differ, by how many addresses. */
const listDifferenceSchema = z.object({
  domain: z.string(),
  added: z.int(),
  removed: z.int(),
});

const getQuery = z.strictObject({
  version: versionParameter.exactOptional().meta({
    description: "As it was at this version; as it is when absent",
  }),
});
const putQuery = z.strictObject({
  dryRun: z.enum(["true", "false"], { error: "expected true or false" }).default("false")
    .meta({ description: "true: answer what would change, and change nothing" }),
});

const replaced = differenceSchema.extend({
  version: z.int().meta({ description: "The version in force after this" }),
  dryRun: z.boolean(),
}).meta({ id: "Replacement" });

const versionSchema = z.object({
  version: z.int(),
  author: z.string().meta({ description: "The name of the token" }),
  createdAt: z.iso.datetime(),
  note: z.string(),
}).meta({
  id: "Version",
  examples: [{
    version: 7,
    author: "admin",
    createdAt: "2026-01-31T12:00:00.000Z",
    note: "put relay internal",
  }],
});

const page = z.strictObject({
  limit: limitParameter,
  cursor: versionParameter.exactOptional().meta({
    type: "string",
    minimum: undefined,
    description: "`next` of the page before",
  }),
});

const diffQuery = z.strictObject({
  from: versionParameter.exactOptional().meta({
    description: "The version to compare with; the one before when absent",
  }),
});

const versionDifference = differenceSchema.extend({
  from: z.int(),
  to: z.int(),
  recipientLists: z.array(listDifferenceSchema),
}).meta({ id: "VersionDifference" });

/** What can be done with the configuration as a whole. */
export const configurationDescriptions = {
  get: {
    method: "get",
    path: "/v1/config",
    id: "getConfiguration",
    summary: "The whole configuration as one document",
    scope: "config:read",
    query: getQuery,
    headers: ["If-None-Match"],
    answers: {
      200: {
        description: "The document, without secrets",
        schema: documentSchema,
        otherTypes: ["application/yaml"],
        hasEntityTag: true,
      },
      304: { description: "It is as the reader knows it", hasEntityTag: true },
    },
    problems: [400, 404],
  },
  put: {
    method: "put",
    path: "/v1/config",
    id: "putConfiguration",
    summary: "Replace the configuration whole; with dryRun=true, tell what that would change",
    scope: "config:write",
    query: putQuery,
    headers: ["If-Match", "Postern-Note"],
    body: documentSchema,
    otherBodyTypes: ["application/yaml"],
    answers: {
      200: { description: "What changed, or would", schema: replaced, hasEntityTag: true },
    },
    problems: [400, 412, 413, 415, 422],
  },
  versions: {
    method: "get",
    path: "/v1/config/versions",
    id: "listVersions",
    summary: "The versions of the configuration, newest first",
    scope: "config:read",
    query: page,
    answers: {
      200: {
        description: "A page of them",
        schema: pageOf(versionSchema),
      },
    },
    problems: [400],
  },
  version: {
    method: "get",
    path: "/v1/config/versions/{version}",
    id: "getVersion",
    summary: "One version; /v1/config?version= is the configuration as it was",
    scope: "config:read",
    pathParameters: { version: versionParameter },
    answers: { 200: { description: "The version", schema: versionSchema } },
    problems: [404],
  },
  difference: {
    method: "get",
    path: "/v1/config/versions/{version}/diff",
    id: "getVersionDifference",
    summary: "What a version changed",
    scope: "config:read",
    pathParameters: { version: versionParameter },
    query: diffQuery,
    answers: { 200: { description: "The difference", schema: versionDifference } },
    problems: [400, 404],
  },
  restore: {
    method: "post",
    path: "/v1/config/versions/{version}/restore",
    id: "restoreVersion",
    summary: "Make the configuration, recipient lists included, what it was at a version",
    scope: "config:write",
    pathParameters: { version: versionParameter },
    headers: ["If-Match", "Postern-Note"],
    answers: {
      200: { description: "The new version", schema: versionSchema, hasEntityTag: true },
    },
    problems: [400, 404, 412, 422],
  },
} as const satisfies Record<string, OperationDescription>;
