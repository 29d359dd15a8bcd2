import { expect, test } from "vitest";
import { makeVerifier, parseVerifier, verifyPassword } from "./index.ts";
import { toBase64 } from "./bytes.ts";

/** Made by Python: hashlib.pbkdf2_hmac and hmac, by the formulas of RFC 5802 §3. */
const KNOWN = "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$" +
  "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

test("the verifier of RFC 7677's example", async () => {
  expect(await verifyPassword(KNOWN, "pencil")).toBe(true);
  expect(await verifyPassword(KNOWN, "Pencil")).toBe(false);
  expect(toBase64(parseVerifier(KNOWN)!.salt)).toBe("W22ZaJ0SNY7soEsUEjb6gQ==");
});

test("a verifier is salted, and is that of one password only", async () => {
  const [first, second] = [
    await makeVerifier("correct horse"),
    await makeVerifier("correct horse"),
  ];
  expect(first).toMatch(
    /^SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=$/,
  );
  expect(first).not.toBe(second);
  expect(await verifyPassword(first, "correct horse")).toBe(true);
  expect(await verifyPassword(parseVerifier(second)!, "correct horse")).toBe(true);
  expect(await verifyPassword(first, "correct horse ")).toBe(false);
});

test("the same password, however it is typed", async () => {
  const verifier = await makeVerifier("Å caf\u00e9\u00a0x");
  expect(await verifyPassword(verifier, "A\u030a cafe\u0301 x\u00ad")).toBe(true);
});

test.each(["", "pencil", "SCRAM-SHA-1$4096:AA==$AA==:AA==", KNOWN.slice(0, -1), `${KNOWN} `])(
  "%j is no verifier",
  async (text) => {
    expect(parseVerifier(text)).toBeUndefined();
    expect(await verifyPassword(text, "pencil")).toBe(false);
  },
);
