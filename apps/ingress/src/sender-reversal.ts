/** The way back of senders that workers rewrote (SRS), under the key that both share. */
import { reverseOf } from "@postern/message";
import { senderSigning } from "@postern/process";
import type { RecipientFacts } from "@postern/routing";

const DAY_MILLISECONDS = 86_400_000;

/** Makes the function that routing asks; undefined where the key is not known. */
export function senderReversal(
  secretKey: Uint8Array | undefined,
  now: () => Date,
): RecipientFacts["reverseOf"] {
  if (secretKey === undefined) return undefined;
  const sign = senderSigning(secretKey);
  return (address, domain) =>
    reverseOf(address, { domain, sign, day: Math.floor(now().getTime() / DAY_MILLISECONDS) });
}
