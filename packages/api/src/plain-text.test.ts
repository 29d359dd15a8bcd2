/** Whatever the API takes as text, it takes no text that Postgres cannot keep. */
import { plainText, resourceKinds } from "@postern/config";
import { expect, test } from "vitest";
import { z } from "zod";
import * as api from "./index.ts";

const descriptions: api.OperationDescription[] = [
  ...Object.entries(api).filter(([name]) => name.endsWith("Descriptions"))
    .flatMap(([name, table]) => name === "resourceDescriptions" ? [] : Object.values(table)),
  ...(Object.keys(resourceKinds) as (keyof typeof resourceKinds)[])
    .flatMap((kind) => Object.values(api.resourceDescriptions(kind))),
];

/** All that an operation takes, by where it is. */
const taken = descriptions.flatMap(({ id, pathParameters = {}, query, body }) =>
  Object.entries({ ...pathParameters, ...query?.shape, ...(body && { body }) })
    .map(([name, schema]) => [id, name, schema] as [string, string, z.ZodType])
);

/** The schemas of strings within a schema, by the way to them. */
function stringsIn(schema: z.ZodType, at = "", seen = new Set<z.ZodType>()): [string, z.ZodType][] {
  if (seen.has(schema)) return [];
  seen.add(schema);
  const within = (inner: unknown, part = "") => stringsIn(inner as z.ZodType, at + part, seen);
  const { def } = schema as z.ZodType & { readonly def: z.core.$ZodTypes["_zod"]["def"] };
  switch (def.type) {
    case "string":
      return [[at, schema]];
    case "object":
      return Object.entries(def.shape).flatMap(([name, field]) => within(field, `/${name}`));
    case "record":
      return [...within(def.keyType, "/{key}"), ...within(def.valueType, "/{value}")];
    case "array":
      return within(def.element, "/0");
    case "union":
      return def.options.flatMap((option) => within(option));
    case "pipe":
      return [...within(def.in), ...within(def.out)];
    case "lazy":
      return within(def.getter());
    case "optional":
    case "nullable":
    case "default":
    case "prefault":
      return within(def.innerType);
    case "enum":
    case "literal":
    case "number":
    case "boolean":
    case "unknown":
    case "transform":
      return [];
    default:
      throw new Error(`${at}: a schema of type ${def.type} is new to this test`);
  }
}

test.each(taken)("%s: %s has no NUL and no lone surrogate", (_id, _name, schema) => {
  const lax = stringsIn(schema).filter(([, one]) =>
    ["\0", "a\0b", "\ud800", "a\udfffb", "http://a.test/\0", "http://a.test/\ud800"]
      .some((text) => one.safeParse(text).success)
  );
  expect(lax.map(([at]) => at)).toEqual([]);
});

test("what is taken is looked at to its depth", () => {
  const paths = stringsIn(resourceKinds.rules.schema).map(([at]) => at);
  expect(paths).toContain("/match/user/regex");
  expect(paths).toContain("/actions/0/value");
});

test.each(["", "plain", "ü €", "😀", "a\tb\n"])("%j is plain text", (text) => {
  expect(plainText.safeParse(text).success).toBe(true);
});
