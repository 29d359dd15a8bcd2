/**
 * The operations on the configuration's resources. All kinds behave alike, so they are made from
 * the list of kinds: list, read, create or replace, delete. Of settings there is one set, always:
 * read and replace.
 */
import { type Resource, type ResourceKind, resourceKinds } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf } from "./parameters.ts";

/** A kind of which there are many, by name. */
export type NamedKind = Exclude<ResourceKind, "settings">;

/** A resource as the API answers it. */
export type ResourceShape<K extends ResourceKind> = K extends "settings" ? Resource<K>
  : Resource<K> & { name: string };

/** A resource as the API takes it; what has a default may be left out. */
export type ResourceDefinition<K extends ResourceKind> = K extends "settings"
  ? z.input<(typeof resourceKinds)[K]["schema"]>
  : z.input<(typeof resourceKinds)[K]["schema"]> & { name?: string };

/** Where one resource of a kind is. */
type PathsOf = { [K in NamedKind]: `/v1/${K}/{name}` } & { settings: "/v1/settings" };

/** The schemas and operations of one kind. */
export function resourceDescriptions<K extends ResourceKind>(kind: K) {
  const { singular, name: nameSchema, schema } = resourceKinds[kind];
  const title = `${singular[0]!.toUpperCase()}${singular.slice(1)}`;
  const single = kind === "settings";
  const shape = (single ? schema : withName(schema, nameSchema).meta({
    id: `${title}Resource`,
  })) as z.ZodType<ResourceShape<K>>;
  const definition = (single ? schema : withName(schema, nameSchema.optional()).meta({
    id: `${title}Definition`,
  })) as z.ZodType<Resource<K> & { name?: string }, ResourceDefinition<K>>;
  const pathParameters = single ? {} : { name: nameSchema };

  return {
    list: {
      method: "get",
      path: `/v1/${kind}`,
      id: `list${title}s`,
      summary: `The ${kind} by name`,
      scope: "config:read",
      query: z.strictObject({
        limit: limitParameter,
        cursor: nameSchema.exactOptional().meta({ description: "`next` of the page before" }),
      }),
      answers: { 200: { description: "A page of them", schema: pageOf(shape) } },
      problems: [400],
    },
    read: {
      method: "get",
      path: pathOf(kind),
      id: `get${title}`,
      summary: single ? "The settings" : `One ${singular}`,
      scope: "config:read",
      pathParameters,
      headers: ["If-None-Match"],
      answers: {
        200: { description: `The ${singular}`, schema: shape, hasEntityTag: true },
        304: { description: "It is as the reader knows it", hasEntityTag: true },
      },
      problems: [404],
    },
    put: {
      method: "put",
      path: pathOf(kind),
      id: `put${title}`,
      summary: single ? "Replace the settings" : `Create or replace a ${singular}`,
      scope: "config:write",
      pathParameters,
      headers: ["If-Match", "If-None-Match", "Postern-Note"],
      body: definition,
      answers: {
        200: { description: "Replaced", schema: shape, hasEntityTag: true },
        ...(!single && { 201: { description: "Created", schema: shape, hasEntityTag: true } }),
      },
      problems: [400, 412, 413, 415, 422],
    },
    remove: {
      method: "delete",
      path: pathOf(kind),
      id: `delete${title}`,
      summary: `Delete a ${singular}`,
      scope: "config:write",
      pathParameters,
      headers: ["If-Match", "Postern-Note"],
      answers: { 204: { description: "Deleted" } },
      problems: [400, 404, 409, 412],
    },
  } as const satisfies Record<string, OperationDescription>;
}

function pathOf<K extends ResourceKind>(kind: K): PathsOf[K] {
  return (kind === "settings" ? `/v1/${kind}` : `/v1/${kind}/{name}`) as PathsOf[K];
}

/** The schema of a definition with its name among its fields. */
function withName(schema: z.ZodType, name: z.ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) return schema.safeExtend({ name });
  if (schema instanceof z.ZodDiscriminatedUnion) {
    const options = schema.options.map((option) => withName(option as z.ZodType, name));
    return z.discriminatedUnion(
      schema.def.discriminator,
      options as unknown as [z.ZodObject, ...z.ZodObject[]],
    );
  }
  throw new TypeError("a definition is an object or a choice of objects");
}
