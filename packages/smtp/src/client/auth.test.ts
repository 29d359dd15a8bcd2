import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { beginSasl, type SaslStep, usableMechanisms } from "./auth.ts";
import { decodeBase64, encodeBase64 } from "../base64.ts";
import type { ClientCredentials } from "./options.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

const pencil: ClientCredentials = {
  kind: "password",
  user: "user",
  password: "pencil",
  nonce: "rOprNGfwEbeRWgbNEkqO",
};
const token: ClientCredentials = { kind: "token", user: "u", token: "t" };

/** The arithmetic that an adapter does, with WebCrypto. */
async function prove(step: SaslStep) {
  if (step.kind !== "ask") throw new Error(`not a question: ${step.kind}`);
  const { authMessage, iterations, password, salt } = step.question;
  const owned = (bytes: Uint8Array) => new Uint8Array(bytes);
  const hmac = async (key: Uint8Array, data: Uint8Array) => {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const imported = await crypto.subtle.importKey("raw", owned(key), algorithm, false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("HMAC", imported, owned(data)));
  };
  const raw = encoder.encode(password);
  const base = await crypto.subtle.importKey("raw", raw, "PBKDF2", false, ["deriveBits"]);
  const parameters = { name: "PBKDF2", hash: "SHA-256", salt: owned(salt), iterations };
  const salted = new Uint8Array(await crypto.subtle.deriveBits(parameters, base, 256));
  const clientKey = await hmac(salted, encoder.encode("Client Key"));
  const storedKey = new Uint8Array(await crypto.subtle.digest("SHA-256", clientKey));
  const signature = await hmac(storedKey, authMessage);
  const serverKey = await hmac(salted, encoder.encode("Server Key"));
  return {
    clientProof: clientKey.map((byte, at) => byte ^ signature[at]!),
    serverSignature: await hmac(serverKey, authMessage),
  };
}

const said = (step: SaslStep) => step.kind === "respond" ? decoder.decode(step.bytes) : step;

describe("SCRAM-SHA-256", () => {
  test("the exchange of RFC 7677 §3", async () => {
    const exchange = beginSasl("SCRAM-SHA-256", pencil);
    expect(decoder.decode(exchange.initial)).toBe("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    const asked = exchange.challenge(encoder.encode(
      "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
    ));
    expect(said(exchange.proof!(await prove(asked)))).toBe(
      "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0," +
        "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    );
    expect(exchange.complete()).toBeDefined();
    const final = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
    expect(said(exchange.challenge(encoder.encode(final)))).toBe("");
    expect(exchange.complete()).toBeUndefined();
  });

  test("names and authorization identities are escaped", () => {
    const exchange = beginSasl("SCRAM-SHA-256", {
      ...pencil,
      user: "a=b,c",
      authorizationId: "x,y",
    });
    expect(decoder.decode(exchange.initial)).toBe(
      "n,a=x=2Cy,n=a=3Db=2Cc,r=rOprNGfwEbeRWgbNEkqO",
    );
  });

  test.each([
    ["", "bad SCRAM challenge"],
    ["m=x,r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096", "bad SCRAM challenge"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=A,i=4096", "bad SCRAM challenge"],
    ["r=rOprNGfwEbeRWgbNEkqO,s=AAAA,i=4096", "SCRAM nonce does not match"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=1", "SCRAM iteration count 1"],
    ["r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=999999999", "SCRAM iteration count 999999999"],
  ])("the server's first message %j fails: %s", (text, detail) => {
    const step = beginSasl("SCRAM-SHA-256", pencil).challenge(encoder.encode(text));
    expect(step).toEqual({ kind: "fail", detail });
  });

  test("the password is normalised", () => {
    const exchange = beginSasl("SCRAM-SHA-256", { ...pencil, password: "\u2168\u00a0a\u00adb" });
    const asked = exchange.challenge(encoder.encode("r=rOprNGfwEbeRWgbNEkqOx,s=AAAA,i=4096"));
    expect(asked).toMatchObject({ question: { password: "IX ab" } });
  });
});

describe("which mechanisms are used", () => {
  const all = ["LOGIN", "PLAIN", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "CRAM-MD5"];
  test.each(
    [
      [pencil, all, true, ["SCRAM-SHA-256", "PLAIN", "LOGIN"]],
      [pencil, all, false, ["SCRAM-SHA-256"]],
      [pencil, ["LOGIN", "PLAIN"], false, []],
      [token, all, true, ["OAUTHBEARER", "XOAUTH2"]],
      [token, all, false, []],
      [{ ...pencil, mechanisms: ["LOGIN", "PLAIN"] }, all, true, ["LOGIN", "PLAIN"]],
    ] as const,
  )("%#", (credentials, offered, revealing, used) => {
    expect(usableMechanisms(credentials, offered, revealing)).toEqual(used);
  });
});

describe("base64", () => {
  test.each([["", ""], ["f", "Zg=="], ["fo", "Zm8="], ["foo", "Zm9v"], ["foobar", "Zm9vYmFy"]])(
    "%j of RFC 4648 §10",
    (text, encoded) => {
      expect(encodeBase64(encoder.encode(text))).toBe(encoded);
      expect(decoder.decode(decodeBase64(encoded))).toBe(text);
    },
  );

  test.each(["=", "A", "AA", "AAA", "AA=A", "A===", "AAAA=", "AA A", "AA\n=", "AA--"])(
    "%j is not base64",
    (text) => expect(decodeBase64(text)).toBeUndefined(),
  );

  test("any bytes come back", () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
      }),
      { seed: 4648 },
    );
  });
});
