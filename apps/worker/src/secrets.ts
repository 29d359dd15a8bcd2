/** The secrets of the configuration, and what else is made with the key that seals them. */
import { createHmac } from "node:crypto";
import type { Secret } from "@postern/config";
import type { Delivering } from "./delivering.ts";

/** Makes what deliveries need of the secret key. */
export function secretsUnder(key: Uint8Array): Pick<Delivering, "openSecret" | "signSender"> {
  const senderKey = createHmac("sha256", key).update("postern sender rewriting").digest();
  return {
    openSecret: (secret: Secret) => {
      if (typeof secret === "string") return Promise.resolve(secret);
      return Promise.reject(new Error("sealed secrets cannot be opened yet"));
    },
    signSender: (text) => createHmac("sha256", senderKey).update(text).digest(),
  };
}
