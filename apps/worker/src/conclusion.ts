/** What is to be recorded of an attempt: ends, times of the next attempt, reports that are owed. */
import type { Relay } from "@postern/config";
import {
  type ClaimedDelivery,
  type DeliveryOutcome,
  isUnavailable,
  type Queue,
  type RecipientOutcome,
} from "@postern/store";
import { bounceFor } from "./bounce.ts";
import type { Delivering } from "./delivering.ts";
import { nextAttempt } from "./retry.ts";
import type { Attempt } from "./verdict.ts";

/** Milliseconds until content is asked for again while Postgres is away. */
const UNAVAILABLE_PAUSE = 500;

/** Turns verdicts into what is recorded: delivered, deferred until when, or bounced with a report. */
export async function conclude(
  delivery: ClaimedDelivery,
  relay: Relay | undefined,
  { verdicts, facts }: Attempt,
  { queue, snapshot, hostname, now, random, newQueueId, log }: Delivering,
): Promise<DeliveryOutcome> {
  const at = now();
  const later = nextAttempt(relay, {
    attempts: delivery.attempts + 1,
    receivedAt: delivery.receivedAt,
    now: at,
    random,
  });
  const recipients = verdicts.map(({ ordinal, status, reply }): RecipientOutcome => {
    if (status === "delivered") return { ordinal, state: "delivered", reply };
    if (status === "never") return { ordinal, state: "bounced", reply };
    if (status === "later" && later === undefined) {
      return {
        ordinal,
        state: "bounced",
        reply: `554 5.4.7 Given up after retries; last: ${reply}`,
      };
    }
    return { ordinal, state: "deferred", reply };
  });
  const deferred = verdicts.filter((_, index) => recipients[index]!.state === "deferred");
  const dueAt = deferred.length === 0
    ? undefined
    : deferred.some(({ status }) => status === "again")
    ? at
    : later;
  for (const { ordinal, state, reply } of recipients) {
    log.info(`recipient ${state}`, {
      id: delivery.messageId,
      recipient: delivery.recipients.find((one) => one.ordinal === ordinal)?.forwardPath,
      host: facts.host ?? facts.relay,
      reply,
    });
  }
  const outcome = {
    messageId: delivery.messageId,
    destinationId: delivery.destinationId,
    at,
    recipients,
    dueAt,
    attempt: facts,
  };
  if (recipients.every(({ state }) => state !== "bounced")) return outcome;
  const front = await frontOf(delivery, queue);
  const context = { snapshot: snapshot(), hostname, now: at, newQueueId, remoteHost: facts.host };
  const report = bounceFor(delivery, recipients, front, context);
  return report === undefined ? outcome : { ...outcome, report };
}

/** The front of the content. The verdicts must not be lost: while Postgres is away, this waits. */
async function frontOf({ content, messageId }: ClaimedDelivery, queue: Queue): Promise<Uint8Array> {
  if (content !== undefined) return content;
  for (;;) {
    try {
      for await (const piece of queue.readContent(messageId)) return piece;
      return new Uint8Array();
    } catch (error) {
      if (!isUnavailable(error)) return new Uint8Array();
      await new Promise((resolve) => setTimeout(resolve, UNAVAILABLE_PAUSE));
    }
  }
}
