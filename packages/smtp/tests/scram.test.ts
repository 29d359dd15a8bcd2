/** SCRAM with channel binding, against a client written out from RFC 5802. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { describe, expect, test } from "vitest";
import { type ServerAction, ServerSession } from "../src/index.ts";

const salt = Buffer.from("some salt");
const salted = pbkdf2Sync("pencil", salt, 4096, 32, "sha256");
const hmac = (key: Uint8Array, data: string | Uint8Array) =>
  createHmac("sha256", key).update(data).digest();
const hash = (data: Uint8Array) => createHash("sha256").update(data).digest();
const clientKey = hmac(salted, "Client Key");
const verifier = {
  nonce: "servernonce",
  salt,
  iterations: 4096,
  storedKey: hash(clientKey),
  serverKey: hmac(salted, "Server Key"),
};
const exporter = Buffer.from("0123456789abcdef0123456789abcdef");

interface Attempt {
  readonly mechanism: string;
  readonly header: string;
  readonly binding?: Uint8Array;
  readonly user?: string;
  readonly mechanisms?: readonly ("SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS")[];
}

/** Runs an exchange; returns the reply at its end and the credentials that were asked about. */
function attempt({ mechanism, header, binding, user = "user", mechanisms }: Attempt) {
  const session = new ServerSession({
    hostname: "mx.example",
    tls: "active",
    tlsInformation: { channelBindings: [{ type: "tls-exporter", data: exporter }] },
    auth: { mechanisms: mechanisms ?? ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"] },
  });
  const asked: ServerAction[] = [];
  const say = (text: string): string => {
    session.receive(new TextEncoder().encode(`${text}\r\n`));
    let said = "";
    for (let action = session.next(); action !== undefined; action = session.next()) {
      if (action.type === "send") said += new TextDecoder().decode(action.bytes);
      if (action.type === "auth") asked.push(action);
      if (action.type === "scram") session.answerScram(verifier);
      else if (action.type === "digest") {
        session.answerDigest(
          action.algorithm === "SHA-256" ? hash(action.data) : hmac(action.key, action.data),
        );
      } else if (action === session.question) session.accept();
    }
    return said;
  };
  session.start();
  say("EHLO a.example");
  const bare = `n=${user},r=clientnonce`;
  const first = say(`AUTH ${mechanism} ${Buffer.from(header + bare).toString("base64")}`);
  if (!first.startsWith("334 ")) return { end: first, asked };
  const challenge = Buffer.from(first.slice(4), "base64").toString();
  const bound = Buffer.concat([Buffer.from(header), binding ?? Buffer.alloc(0)]).toString("base64");
  const nonce = /r=([^,]*)/.exec(challenge)![1]!;
  const withoutProof = `c=${bound},r=${nonce}`;
  const authMessage = `${bare},${challenge},${withoutProof}`;
  const signature = hmac(verifier.storedKey, authMessage);
  const proof = Buffer.from(clientKey.map((byte, index) => byte ^ signature[index]!));
  const final = say(
    Buffer.from(`${withoutProof},p=${proof.toString("base64")}`).toString("base64"),
  );
  if (!final.startsWith("334 ")) return { end: final, asked };
  expect(Buffer.from(final.slice(4), "base64").toString())
    .toBe(`v=${hmac(verifier.serverKey, authMessage).toString("base64")}`);
  return { end: say(""), asked };
}

describe("SCRAM-SHA-256-PLUS", () => {
  test("with the binding of this TLS session", () => {
    const { end, asked } = attempt({
      mechanism: "SCRAM-SHA-256-PLUS",
      header: "p=tls-exporter,a=boss,",
      binding: exporter,
      user: "a=3Db=2Cc",
    });
    expect(end).toBe("235 2.7.0 Authentication successful\r\n");
    expect(asked).toEqual([{
      type: "auth",
      credentials: {
        kind: "scram",
        mechanism: "SCRAM-SHA-256-PLUS",
        user: "a=b,c",
        authorizationId: "boss",
      },
    }]);
  });

  test("with the binding of another TLS session, as a man in the middle would have", () => {
    const { end, asked } = attempt({
      mechanism: "SCRAM-SHA-256-PLUS",
      header: "p=tls-exporter,,",
      binding: Buffer.from("another session's exported bytes"),
    });
    expect(end).toMatch(/^535 5\.7\.8 Channel binding/);
    expect(asked).toEqual([]);
  });

  test.each([
    ["a binding that is not to be had", "SCRAM-SHA-256-PLUS", "p=tls-unique,,", /^535 /],
    ["no binding", "SCRAM-SHA-256-PLUS", "n,,", /^501 5\.5\.2/],
    ["a binding without PLUS", "SCRAM-SHA-256", "p=tls-exporter,,", /^501 5\.5\.2/],
    ["PLUS was taken out of the offer on its way", "SCRAM-SHA-256", "y,,", /^535 /],
  ])("%s", (_name, mechanism, header, end) => {
    expect(attempt({ mechanism, header, binding: exporter }).end).toMatch(end);
  });

  test("a client that could bind, where PLUS is not offered", () => {
    const mechanisms = ["SCRAM-SHA-256"] as const;
    expect(attempt({ mechanism: "SCRAM-SHA-256", header: "y,,", mechanisms }).end).toMatch(/^235 /);
  });
});
