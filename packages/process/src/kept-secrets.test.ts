import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { adminToken, existingSecretKey, secretKey } from "./kept-secrets.ts";

let root: string;
beforeAll(async () => {
  root = await Deno.makeTempDir({ prefix: "postern-kept-" });
});
afterAll(() => Deno.remove(root, { recursive: true }));

const modeOf = async (file: string) => (await Deno.stat(file)).mode! & 0o777;

describe("the token", () => {
  test("that is given is not kept", async () => {
    expect(await adminToken({ adminToken: "given", dataDir: join(root, "given") }))
      .toEqual({ token: "given", file: undefined, created: false });
    await expect(Deno.stat(join(root, "given"))).rejects.toThrow(Deno.errors.NotFound);
  });

  test("is made once, for its owner's eyes only", async () => {
    const about = { adminToken: undefined, dataDir: join(root, "once", "data") };
    const made = await adminToken(about);
    expect(made.token).toMatch(/^[\w-]{43}$/);
    expect(made).toMatchObject({ file: join(about.dataDir, "admin-token"), created: true });
    expect(await modeOf(made.file!)).toBe(0o600);
    expect(await adminToken(about)).toEqual({ ...made, created: false });
    expect([...Deno.readDirSync(about.dataDir)].map(({ name }) => name)).toEqual(["admin-token"]);
  });

  test("is one for several that start at once", async () => {
    const about = { adminToken: undefined, dataDir: join(root, "many") };
    const all = await Promise.all(Array.from({ length: 8 }, () => adminToken(about)));
    expect(new Set(all.map(({ token }) => token)).size).toBe(1);
    expect(all.filter(({ created }) => created)).toHaveLength(1);
  });

  test("is not an empty file", async () => {
    const dataDir = join(root, "empty");
    await Deno.mkdir(dataDir);
    await Deno.writeTextFile(join(dataDir, "admin-token"), "\n");
    await expect(adminToken({ adminToken: undefined, dataDir })).rejects.toThrow("is empty");
  });
});

describe("the secret key", () => {
  test("that is given is used as it is", async () => {
    const given = new Uint8Array(32).fill(1);
    const about = { secretKey: given, dataDir: join(root, "given") };
    expect(await secretKey(about)).toBe(given);
    expect(await existingSecretKey(about)).toBe(given);
  });

  test("is made once, and by those only that seal", async () => {
    const about = { secretKey: undefined, dataDir: join(root, "key") };
    expect(await existingSecretKey(about)).toBeUndefined();
    const all = await Promise.all([secretKey(about), secretKey(about), secretKey(about)]);
    expect(all[0]).toHaveLength(32);
    expect(all[1]).toEqual(all[0]);
    expect(all[2]).toEqual(all[0]);
    expect(await modeOf(join(about.dataDir, "secret-key"))).toBe(0o600);
    expect(await existingSecretKey(about)).toEqual(all[0]);
  });

  test("is never replaced when it is not whole", async () => {
    const dataDir = join(root, "cut");
    await Deno.mkdir(dataDir);
    await Deno.writeTextFile(join(dataDir, "secret-key"), "c2hvcnQ=\n");
    await expect(secretKey({ secretKey: undefined, dataDir })).rejects.toThrow("32 bytes");
    expect(await Deno.readTextFile(join(dataDir, "secret-key"))).toBe("c2hvcnQ=\n");
  });
});
