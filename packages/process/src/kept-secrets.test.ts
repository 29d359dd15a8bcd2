import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { adminToken } from "./admin-token.ts";

let root: string;
beforeAll(async () => {
  root = await Deno.makeTempDir({ prefix: "postern-token-" });
});
afterAll(() => Deno.remove(root, { recursive: true }));

test("a token is made once, for its owner's eyes only", async () => {
  const dataDir = join(root, "once", "data");
  const made = await adminToken(dataDir);
  expect(made.token).toMatch(/^[\w-]{43}$/);
  expect(made).toMatchObject({ file: join(dataDir, "admin-token"), created: true });
  expect((await Deno.stat(made.file)).mode! & 0o777).toBe(0o600);
  expect(await adminToken(dataDir)).toEqual({ ...made, created: false });
  expect([...Deno.readDirSync(dataDir)].map(({ name }) => name)).toEqual(["admin-token"]);
});

test("several that start at once agree on one token", async () => {
  const dataDir = join(root, "many");
  const all = await Promise.all(Array.from({ length: 8 }, () => adminToken(dataDir)));
  expect(new Set(all.map(({ token }) => token)).size).toBe(1);
  expect(all.filter(({ created }) => created)).toHaveLength(1);
});

test("an empty file is no token", async () => {
  const dataDir = join(root, "empty");
  await Deno.mkdir(dataDir);
  await Deno.writeTextFile(join(dataDir, "admin-token"), "\n");
  await expect(adminToken(dataDir)).rejects.toThrow("is empty");
});
