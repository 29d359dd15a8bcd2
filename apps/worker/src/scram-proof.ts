/** The cryptography of SCRAM-SHA-256 (RFC 5802 §3, RFC 7677), which the protocol core asks for. */
import type { ScramProof, ScramProofQuestion } from "@postern/smtp";

const utf8 = new TextEncoder();

/** Answers the core's question. PBKDF2 runs off the main thread. */
export async function scramProof(question: ScramProofQuestion): Promise<ScramProof> {
  const { password, salt, iterations, authMessage } = question;
  const secret = await crypto.subtle.importKey("raw", utf8.encode(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const salted = new Uint8Array(
    await crypto.subtle.deriveBits(
      { name: "PBKDF2", hash: "SHA-256", salt: salt.slice(), iterations },
      secret,
      256,
    ),
  );
  const clientKey = await hmac(salted, utf8.encode("Client Key"));
  const storedKey = new Uint8Array(await crypto.subtle.digest("SHA-256", clientKey.slice()));
  const clientSignature = await hmac(storedKey, authMessage);
  const serverKey = await hmac(salted, utf8.encode("Server Key"));
  return {
    clientProof: clientKey.map((byte, at) => byte ^ clientSignature[at]!),
    serverSignature: await hmac(serverKey, authMessage),
  };
}

async function hmac(key: Uint8Array, text: Uint8Array): Promise<Uint8Array> {
  const algorithm = { name: "HMAC", hash: "SHA-256" };
  const imported = await crypto.subtle.importKey("raw", key.slice(), algorithm, false, ["sign"]);
  return new Uint8Array(await crypto.subtle.sign("HMAC", imported, text.slice()));
}
