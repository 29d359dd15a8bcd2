/**
 * What becomes of a delivery that has waited too long: for a destination that fails, or for its turn
 * within limits. It is not tried: it is given up, or its sender is told that it is late and it goes on
 * waiting.
 */
import type { Relay } from "@postern/config";
import type { MailParameters } from "@postern/smtp";
import type { ClaimedDelivery, DeliveryOutcome, Overdue, RecipientOutcome } from "@postern/store";
import { concern } from "./concern.ts";
import { conclude, withReport } from "./conclusion.ts";
import type { Delivering } from "./delivering.ts";
import { scheduleOf } from "./retry.ts";
import { TOO_LATE } from "./verdict.ts";

/** The outcome of a delivery that is overdue in this way. */
export async function concludeOverdue(
  delivery: ClaimedDelivery,
  overdue: Overdue,
  relay: Relay | undefined,
  delivering: Delivering,
): Promise<DeliveryOutcome> {
  const { deliverBy } = delivery.parameters as MailParameters;
  if (overdue === "lifetime") {
    return await givenUp(
      "554 5.4.7 Given up: it could not be delivered in time",
      delivery,
      relay,
      delivering,
    );
  }
  // RFC 2852 §4.1.4: in mode R what is late is returned, in mode N its sender is told.
  if (overdue === "deliverBy" && deliverBy?.mode === "return") {
    return await givenUp(TOO_LATE, delivery, relay, delivering);
  }
  return await waitingOn(delivery, overdue, relay, delivering);
}

async function givenUp(
  why: string,
  delivery: ClaimedDelivery,
  relay: Relay | undefined,
  delivering: Delivering,
): Promise<DeliveryOutcome> {
  const verdicts = delivery.recipients.map(({ ordinal, lastReply }) => ({
    ordinal,
    status: "never" as const,
    reply: lastReply === null ? why : `${why}; last: ${lastReply}`,
  }));
  const facts = { relay: delivery.destination.relay, seconds: 0 };
  return await conclude(delivery, relay, { verdicts, facts, isUntried: true }, delivering);
}

async function waitingOn(
  delivery: ClaimedDelivery,
  overdue: Exclude<Overdue, "lifetime">,
  relay: Relay | undefined,
  delivering: Delivering,
): Promise<DeliveryOutcome> {
  const { messageId, destinationId, destination } = delivery;
  const now = delivering.now();
  const schedule = scheduleOf(relay);
  const waiting = delivery.recipients.map((recipient) => {
    const reply = recipient.lastReply ??
      "451 4.4.7 It waits for its destination; it was not tried yet";
    const end: RecipientOutcome = { ordinal: recipient.ordinal, state: "deferred", reply };
    return { end, concerns: concern(delivery, recipient, end, { schedule, now, overdue }) };
  });
  const { recipients, report } = await withReport(
    delivery,
    waiting.map(({ end }) => end),
    waiting.flatMap(({ concerns }) => concerns),
    // The books do not tell when the last attempt was.
    { now, lastAttempt: undefined },
    delivering,
  );
  return {
    messageId,
    destinationId,
    at: now,
    recipients: recipients.filter(({ delayReported }) => delayReported),
    dueAt: undefined,
    waitsOn: overdue,
    attempt: { relay: destination.relay },
    ...(report === undefined ? {} : { report }),
  };
}
