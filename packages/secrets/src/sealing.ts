/**
 * Sealing: AES-256-GCM under a key of the gateway, and a fingerprint that tells one secret from
 * another without telling what it is. Both keys are derived (HKDF-SHA-256, RFC 5869) from one key
 * of 32 bytes, which must not be lost: what it sealed cannot be opened without it.
 */
import { fromBase64, toBase64, utf8 } from "./bytes.ts";

/** The bytes of a gateway's key. */
export const SECRET_KEY_BYTES = 32;

/** A gateway's key, ready for use. Made by {@link importSecretKey}. */
export interface SecretKey {
  readonly encryption: CryptoKey;
  readonly fingerprints: CryptoKey;
}

/** A secret as it lies in the store. */
export interface Sealed {
  /** The fingerprint: equal for equal secrets under one key. */
  readonly sealed: string;
  /** The secret, encrypted. */
  readonly box: string;
}

const FORM = "A256GCM:";
const NONCE_BYTES = 12;
const FINGERPRINT_BYTES = 12;

/**
 * Makes a key ready for use.
 *
 * @throws {RangeError} when it does not have 32 bytes
 */
export async function importSecretKey(bytes: Uint8Array<ArrayBuffer>): Promise<SecretKey> {
  if (bytes.length !== SECRET_KEY_BYTES) {
    throw new RangeError(`a secret key has ${SECRET_KEY_BYTES} bytes, not ${bytes.length}`);
  }
  const root = await crypto.subtle.importKey("raw", bytes, "HKDF", false, ["deriveKey"]);
  const derivation = (purpose: string) => ({
    name: "HKDF",
    hash: "SHA-256",
    salt: new Uint8Array(),
    info: utf8(`postern ${purpose}`),
  });
  const [encryption, fingerprints] = await Promise.all([
    crypto.subtle.deriveKey(
      derivation("sealing"),
      root,
      { name: "AES-GCM", length: 256 },
      false,
      ["encrypt", "decrypt"],
    ),
    crypto.subtle.deriveKey(
      derivation("fingerprints"),
      root,
      { name: "HMAC", hash: "SHA-256", length: 256 },
      false,
      ["sign"],
    ),
  ]);
  return { encryption, fingerprints };
}

/** Seals a text. The box differs each time, the fingerprint does not. */
export async function sealSecret(key: SecretKey, text: string): Promise<Sealed> {
  const iv = crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
  const [sealed, encrypted] = await Promise.all([
    fingerprintOf(key, text),
    crypto.subtle.encrypt({ name: "AES-GCM", iv }, key.encryption, utf8(text)),
  ]);
  const box = new Uint8Array(NONCE_BYTES + encrypted.byteLength);
  box.set(iv);
  box.set(new Uint8Array(encrypted), NONCE_BYTES);
  return { sealed, box: FORM + toBase64(box) };
}

/** The text of a box; undefined when this key did not seal it, or it was tampered with. */
export async function openSecret(
  key: SecretKey,
  { box }: Pick<Sealed, "box">,
): Promise<string | undefined> {
  const bytes = box.startsWith(FORM) ? fromBase64(box.slice(FORM.length)) : undefined;
  if (bytes === undefined || bytes.length < NONCE_BYTES) return undefined;
  try {
    const text = await crypto.subtle.decrypt(
      { name: "AES-GCM", iv: bytes.subarray(0, NONCE_BYTES) },
      key.encryption,
      bytes.subarray(NONCE_BYTES),
    );
    return new TextDecoder("utf-8", { fatal: true }).decode(text);
  } catch {
    // WebCrypto says only that it failed: another key, or another box.
    return undefined;
  }
}

/** What tells this secret from another: a truncated HMAC, useless without the key. */
export async function fingerprintOf(key: SecretKey, text: string): Promise<string> {
  const mac = await crypto.subtle.sign("HMAC", key.fingerprints, utf8(text));
  return toBase64(new Uint8Array(mac).subarray(0, FINGERPRINT_BYTES))
    .replaceAll("+", "-").replaceAll("/", "_");
}
