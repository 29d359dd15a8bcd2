import { importSecretKey, sealSecret } from "@postern/secrets";
import { expect, test } from "vitest";
import { secretsUnder } from "./secrets.ts";

const key = new Uint8Array(32).fill(7);

test("what was sealed with the key is opened; text is what it is", async () => {
  const { openSecret } = await secretsUnder(key);
  const sealed = await sealSecret(await importSecretKey(key), "s3cret");
  expect(await openSecret(sealed)).toBe("s3cret");
  expect(await openSecret("plain")).toBe("plain");
});

test("another key, or none, is told from a wrong password", async () => {
  const sealed = await sealSecret(await importSecretKey(key), "s3cret");
  const other = await secretsUnder(new Uint8Array(32));
  await expect(other.openSecret(sealed)).rejects.toThrow("sealed with another POSTERN_SECRET_KEY");
  await expect(other.openSecret({ sealed: "x" })).rejects.toThrow("sealed with another");
  const none = await secretsUnder(undefined);
  await expect(none.openSecret(sealed)).rejects.toThrow("has no POSTERN_SECRET_KEY");
  expect(none.signSender).toBeUndefined();
});

test("senders are signed alike by all workers that share the key", async () => {
  const [one, two] = [await secretsUnder(key), await secretsUnder(key.slice())];
  expect(one.signSender!("a")).toEqual(two.signSender!("a"));
  expect(one.signSender!("a")).not.toEqual(one.signSender!("b"));
  expect(one.signSender!("a")).not.toEqual(
    (await secretsUnder(new Uint8Array(32))).signSender!("a"),
  );
});
