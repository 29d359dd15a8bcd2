import { expect, test } from "vitest";
import { fingerprintOf, importSecretKey, openSecret, sealSecret } from "./index.ts";

const key = await importSecretKey(new Uint8Array(32).fill(7));
const other = await importSecretKey(new Uint8Array(32).fill(8));

test.each(["hunter2", "", "Pässwörter 🔑", "x".repeat(8192)])("%s comes back", async (text) => {
  expect(await openSecret(key, await sealSecret(key, text))).toBe(text);
});

test("the box differs each time, the fingerprint does not, and neither tells the secret", async () => {
  const [first, second] = [await sealSecret(key, "hunter2"), await sealSecret(key, "hunter2")];
  expect(first.box).not.toBe(second.box);
  expect(first.sealed).toBe(second.sealed);
  expect(first.sealed).toMatch(/^[\w-]{16}$/);
  expect(JSON.stringify(first)).not.toContain("hunter2");
  expect(await fingerprintOf(key, "hunter3")).not.toBe(first.sealed);
  expect(await fingerprintOf(other, "hunter2")).not.toBe(first.sealed);
});

test("another key, or a box that was changed, opens nothing", async () => {
  const { box } = await sealSecret(key, "hunter2");
  expect(await openSecret(other, { box })).toBeUndefined();
  const flipped = box.slice(0, -4) + (box.at(-4) === "A" ? "B" : "A") + box.slice(-3);
  for (const wrong of [flipped, box.slice(0, 12), "A256GCM:", "A256GCM:*", "hunter2", ""]) {
    expect(await openSecret(key, { box: wrong })).toBeUndefined();
  }
});

test("a key has 32 bytes", async () => {
  await expect(importSecretKey(new Uint8Array(31))).rejects.toThrow(RangeError);
});
