/**
 * Secrets in the configuration. Given as text, they are sealed before they are stored; what is
 * stored is never given out. A reader sees only a fingerprint, and may send it back to say "as it
 * is now".
 */
import { z } from "zod";
import { plainText } from "./names.ts";

/** A secret as it is given: in the clear, or by the fingerprint of the one in force. */
export const secretSchema = z
  .union([
    plainText.min(1).max(8192),
    z.strictObject({
      sealed: plainText.max(64).meta({ description: "The fingerprint of the secret in force" }),
      box: plainText.max(20_000).exactOptional().meta({
        description: "Never answered: how the secret lies in the store",
      }),
    }),
  ], { error: 'expected the secret as text, or {"sealed": …} for the one in force' })
  .meta({
    id: "Secret",
    description: "Given as text, answered as a fingerprint; the fingerprint keeps what is in force",
  });

/** A secret on its way in. */
export type Secret = z.output<typeof secretSchema>;

/** A secret as it lies in the store. */
export interface SealedSecret {
  /** Tells one secret from another without telling what it is. */
  readonly sealed: string;
  /** The secret, encrypted. */
  readonly box: string;
}

/** Whether a secret is sealed with its box, so that it can be opened. */
export function isSealed(secret: Secret): secret is SealedSecret {
  return typeof secret === "object" && "box" in secret;
}
