/**
 * A certificate with its key, checked before anybody uses it: the runtime takes garbage without a
 * word and fails each handshake later.
 */
import { Buffer } from "node:buffer";
import { createHash, createPrivateKey, X509Certificate } from "node:crypto";

/** A certificate that can be shown: its chain and its private key, both in PEM. */
export interface Certificate {
  /** The certificate and those that lead to its authority, in this order. */
  readonly cert: string;
  readonly key: string;
  readonly subject: string;
  readonly validTo: Date;
  /** The channel binding `tls-server-end-point` of sessions that show it (RFC 5929 §4.1). */
  readonly serverEndPoint: Uint8Array;
}

/** Why a certificate cannot be used; its message is a sentence without its subject. */
export class CertificateError extends Error {
  override readonly name = "CertificateError";
}

/**
 * Checks that the PEM texts hold a certificate and the key that belongs to it.
 *
 * @throws {CertificateError}
 */
export function checkCertificate(cert: string, key: string): Certificate {
  const chain = cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  const parsed = attempt(
    "the certificate cannot be read",
    () => new X509Certificate(chain[0] ?? ""),
  );
  for (const above of chain.slice(1)) {
    attempt("a certificate of the chain cannot be read", () => new X509Certificate(above));
  }
  const [pem = ""] = /-----BEGIN (\w+ )*PRIVATE KEY-----[^-]+-----END (\w+ )*PRIVATE KEY-----/
    .exec(key) ?? [];
  const privateKey = attempt("the key cannot be read", () => createPrivateKey(pem));
  const fits = attempt("the key cannot be read", () => parsed.checkPrivateKey(privateKey));
  if (!fits) throw new CertificateError("the key does not belong to the certificate");
  return {
    cert: `${chain.join("\n")}\n`,
    key: `${pem}\n`,
    subject: parsed.subject.replaceAll("\n", ", "),
    validTo: new Date(parsed.validTo),
    serverEndPoint: createHash(bindingHash(parsed.raw)).update(parsed.raw).digest(),
  };
}

function attempt<T>(problem: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new CertificateError(`${problem} (${error instanceof Error ? error.message : error})`);
  }
}

/** DER of the object identifiers of signatures whose hash is not SHA-256. */
const SIGNATURES: readonly { readonly oid: string; readonly hash: "sha384" | "sha512" }[] = [
  { oid: "06082a8648ce3d040303", hash: "sha384" },
  { oid: "06092a864886f70d01010c", hash: "sha384" },
  { oid: "06082a8648ce3d040304", hash: "sha512" },
  { oid: "06092a864886f70d01010d", hash: "sha512" },
];

/** RFC 5929 §4.1: the hash of the certificate's signature, SHA-256 in place of weaker ones. */
function bindingHash(der: Uint8Array): string {
  const text = Buffer.from(der).toString("hex");
  return SIGNATURES.find(({ oid }) => text.includes(oid))?.hash ?? "sha256";
}
