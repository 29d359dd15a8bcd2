/** The secrets of the configuration, and what else is made with the key that seals them. */
import { isSealed, type Secret } from "@postern/config";
import { senderSigning } from "@postern/process";
import { importSecretKey, openSecret } from "@postern/secrets";
import type { Delivering } from "./delivering.ts";

/** Makes what deliveries need of the secret key; without one, what needs it waits. */
export async function secretsUnder(
  bytes: Uint8Array<ArrayBuffer> | undefined,
): Promise<Pick<Delivering, "openSecret" | "signSender">> {
  const key = bytes && await importSecretKey(bytes);
  return {
    openSecret: async (secret: Secret) => {
      if (typeof secret === "string") return secret;
      if (key === undefined) throw new Error("this worker has no POSTERN_SECRET_KEY");
      const text = isSealed(secret) ? await openSecret(key, secret) : undefined;
      if (text === undefined) throw new Error("it was sealed with another POSTERN_SECRET_KEY");
      return text;
    },
    signSender: bytes && senderSigning(bytes),
  };
}
