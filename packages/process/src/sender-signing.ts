/**
 * The keyed hash of rewritten senders (SRS), made with the key that seals secrets: workers sign with
 * it, and the ingress knows what they signed when reports come back.
 */
import { createHmac } from "node:crypto";

/** Makes the hash under a secret key. All processes that share the key make the same. */
export function senderSigning(secretKey: Uint8Array): (text: string) => Uint8Array {
  const key = createHmac("sha256", secretKey).update("postern sender rewriting").digest();
  return (text) => createHmac("sha256", key).update(text).digest();
}
