/**
 * Verifiers of passwords for SCRAM-SHA-256 (RFC 5802 §3, RFC 7677), in PostgreSQL's form:
 * `SCRAM-SHA-256$iterations:salt$storedKey:serverKey`. From a verifier nobody gets the password
 * back, but whoever has one may try passwords on it.
 */
import { equalBytes, fromBase64, toBase64, utf8 } from "./bytes.ts";

/** What a server must know of a password. */
export interface Verifier {
  readonly iterations: number;
  readonly salt: Uint8Array<ArrayBuffer>;
  readonly storedKey: Uint8Array<ArrayBuffer>;
  readonly serverKey: Uint8Array<ArrayBuffer>;
}

/** RFC 7677 asks for 4096 at least; more makes each authentication by PLAIN dearer. */
const ITERATIONS = 4096;
const SALT_BYTES = 16;
const FORM =
  /^SCRAM-SHA-256\$(\d{4,7}):([A-Za-z0-9+/]+=*)\$([A-Za-z0-9+/]{43}=):([A-Za-z0-9+/]{43}=)$/;

/** A verifier for a password, as text, with a new salt. */
export async function makeVerifier(
  password: string,
  { iterations = ITERATIONS }: { readonly iterations?: number } = {},
): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES));
  const { storedKey, serverKey } = await derive(password, salt, iterations);
  return `SCRAM-SHA-256$${iterations}:${toBase64(salt)}$${toBase64(storedKey)}:` +
    toBase64(serverKey);
}

/** A verifier read from its text; undefined for what is none. */
export function parseVerifier(text: string): Verifier | undefined {
  const [, iterations, ...encoded] = FORM.exec(text) ?? [];
  const [salt, storedKey, serverKey] = encoded.map(fromBase64);
  if (salt === undefined || storedKey === undefined || serverKey === undefined) return undefined;
  return { iterations: Number(iterations), salt, storedKey, serverKey };
}

/** Whether this is the password that the verifier, as text or parsed, was made from. */
export async function verifyPassword(
  verifier: string | Verifier,
  password: string,
): Promise<boolean> {
  const parsed = typeof verifier === "string" ? parseVerifier(verifier) : verifier;
  if (parsed === undefined) return false;
  const { storedKey } = await derive(password, parsed.salt, parsed.iterations);
  return equalBytes(storedKey, parsed.storedKey);
}

async function derive(password: string, salt: Uint8Array<ArrayBuffer>, iterations: number) {
  const material = await crypto.subtle.importKey("raw", prepared(password), "PBKDF2", false, [
    "deriveBits",
  ]);
  const salted = await crypto.subtle.deriveBits(
    { name: "PBKDF2", hash: "SHA-256", salt, iterations },
    material,
    256,
  );
  const key = await crypto.subtle.importKey(
    "raw",
    salted,
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign"],
  );
  const clientKey = await crypto.subtle.sign("HMAC", key, utf8("Client Key"));
  const [storedKey, serverKey] = await Promise.all([
    crypto.subtle.digest("SHA-256", clientKey),
    crypto.subtle.sign("HMAC", key, utf8("Server Key")),
  ]);
  return { storedKey: new Uint8Array(storedKey), serverKey: new Uint8Array(serverKey) };
}

/**
 * The password as the digest takes it. SASLprep (RFC 4013) in what matters: odd spaces become
 * spaces, what is mapped to nothing goes, then NFKC. What SASLprep prohibits stays as it is, as in
 * PostgreSQL.
 */
function prepared(password: string): Uint8Array<ArrayBuffer> {
  return utf8(
    password.replace(/[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g, " ")
      .replace(/[\u00ad\u034f\u1806\u180b-\u180d\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]/g, "")
      .normalize("NFKC"),
  );
}
