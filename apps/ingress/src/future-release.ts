/** Mail that its sender wants to go out later (FUTURERELEASE, RFC 4865). */
import { instantOf, type MailParameters } from "@postern/smtp";

/** When the message may go out at the earliest; undefined for at once. */
export function heldUntil(
  { holdFor, holdUntil }: MailParameters,
  receivedAt: Date,
): Date | undefined {
  if (holdFor !== undefined) return new Date(receivedAt.getTime() + holdFor * 1000);
  // Not by `Date`, which knows no leap seconds.
  const instant = holdUntil === undefined ? undefined : instantOf(holdUntil);
  return instant === undefined ? undefined : new Date(instant * 1000);
}
