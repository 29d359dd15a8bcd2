/** Documents in YAML, as they are read. */
import { Hono } from "hono";
import { expect, test } from "vitest";
import { readDocument } from "./input.ts";
import { Problem } from "./problem.ts";

async function read(body: string): Promise<unknown> {
  const app = new Hono();
  let read: unknown;
  app.post("/", async (context) => {
    read = await readDocument(context);
    return context.body(null);
  });
  app.onError((error, context) => {
    read = error;
    return context.body(null);
  });
  await app.request("/", { method: "POST", body, headers: { "Content-Type": "application/yaml" } });
  return read;
}

test.each([
  ["a: 1\nb: 2\na: 3\n", "the key a is there already, at line 3, column 1"],
  ["x:\n  - {b: 1, c: {}, 'b': 2}\n", "the key b is there already, at line 2, column 19"],
  ["x:\n  1: a\n  '1': b\n", "the key 1 is there already, at line 3, column 3"],
])("a key that comes twice is refused: %j", async (text, detail) => {
  const problem = await read(text) as Problem;
  expect(problem).toBeInstanceOf(Problem);
  expect(problem).toMatchObject({ status: 400, message: expect.stringContaining(detail) });
});

test("the same key in several places is none that comes twice", async () => {
  expect(await read("a: {b: 1}\nc: &c {b: 1}\nd: [{b: 1}, *c]\n"))
    .toEqual({ a: { b: 1 }, c: { b: 1 }, d: [{ b: 1 }, { b: 1 }] });
});

test("very many keys are read in a time that is theirs, not their square's", async () => {
  const count = 60_000;
  const text = Array.from({ length: count }, (_, index) => `k${index}: 1\n`).join("");
  expect(Object.keys(await read(text) as object)).toHaveLength(count);
});
