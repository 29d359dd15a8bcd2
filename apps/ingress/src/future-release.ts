/** Mail that its sender wants to go out later (FUTURERELEASE, RFC 4865). */
import { instantOf, type MailParameters } from "@postern/smtp";

/** Whether the message is held for so long that it can only be returned (RFC 2852 §4.1.4). */
export function isHeldTooLong(parameters: MailParameters, receivedAt: Date): boolean {
  const { deliverBy } = parameters;
  const until = heldUntil(parameters, receivedAt);
  if (deliverBy?.mode !== "return" || until === undefined) return false;
  return until.getTime() >= receivedAt.getTime() + deliverBy.seconds * 1000;
}

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
