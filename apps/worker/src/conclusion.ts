/** What is to be recorded of an attempt: ends, times of the next attempt, reports that are owed. */
import type { Relay } from "@postern/config";
import type { MailParameters } from "@postern/smtp";
import {
  type ClaimedDelivery,
  type DeliveryOutcome,
  isUnavailable,
  type Queue,
  type RecipientOutcome,
} from "@postern/store";
import type { Delivering } from "./delivering.ts";
import { type Concern, concern } from "./concern.ts";
import { reportOn } from "./report.ts";
import { nextAttempt, scheduleOf } from "./retry.ts";
import type { Attempt } from "./verdict.ts";

/** Milliseconds until content is asked for again while Postgres is away. */
const UNAVAILABLE_PAUSE = 500;

/** Turns verdicts into what is recorded: delivered, deferred until when, or given up; and reports. */
export async function conclude(
  delivery: ClaimedDelivery,
  relay: Relay | undefined,
  { verdicts, facts, notBefore }: Attempt,
  delivering: Delivering,
): Promise<DeliveryOutcome> {
  const { now, random, log } = delivering;
  const at = now();
  const schedule = scheduleOf(relay);
  const later = nextAttempt(schedule, {
    attempts: delivery.attempts + 1,
    lifetimeFrom: delivery.lifetimeFrom,
    now: at,
    random,
    notBefore,
    deliverBy: deliverByOf(delivery),
  });
  const ends = verdicts.map(({ ordinal, status, reply }): RecipientOutcome => {
    if (status === "delivered") return { ordinal, state: "delivered", reply };
    if (status === "never") return { ordinal, state: "bounced", reply };
    if (later !== undefined) return { ordinal, state: "deferred", reply };
    return { ordinal, state: "bounced", reply: `554 5.4.7 Given up after retries; last: ${reply}` };
  });
  const concerns = ends.flatMap((end, index) => {
    const recipient = delivery.recipients.find(({ ordinal }) => ordinal === end.ordinal);
    if (recipient === undefined) return [];
    const { owed } = verdicts[index]!;
    return concern(delivery, recipient, end, {
      schedule,
      now: at,
      ...(owed === undefined ? {} : { owed }),
    });
  });
  const { recipients, report } = await withReport(
    delivery,
    ends,
    concerns,
    at,
    facts.host,
    delivering,
  );
  for (const { ordinal, state, reply } of recipients) {
    log.info(`recipient ${state}`, {
      id: delivery.messageId,
      recipient: delivery.recipients.find((one) => one.ordinal === ordinal)?.forwardPath,
      host: facts.host ?? facts.relay,
      reply,
    });
  }
  return {
    messageId: delivery.messageId,
    destinationId: delivery.destinationId,
    at,
    recipients,
    dueAt: recipients.some(({ state }) => state === "deferred") ? later : undefined,
    attempt: facts,
    ...(report === undefined ? {} : { report }),
  };
}

/** When the time is over that the sender set for delivery (RFC 2852 §4). */
export function deliverByOf({ parameters, receivedAt }: ClaimedDelivery): Date | undefined {
  const { deliverBy } = parameters as MailParameters;
  if (deliverBy === undefined) return undefined;
  return new Date(receivedAt.getTime() + deliverBy.seconds * 1000);
}

/** The outcomes with the report they owe; what failed and can be reported to nobody is held. */
export async function withReport(
  delivery: ClaimedDelivery,
  ends: readonly RecipientOutcome[],
  concerns: readonly Concern[],
  now: Date,
  remoteHost: string | undefined,
  { queue, snapshot, hostname, newQueueId }: Delivering,
): Promise<Pick<DeliveryOutcome, "recipients" | "report">> {
  if (concerns.length === 0) return { recipients: ends };
  const front = await frontOf(delivery, queue);
  const context = { snapshot: snapshot(), hostname, now, newQueueId, remoteHost };
  const report = reportOn(delivery, concerns, front, context);
  const about = new Map(concerns.map((one) => [one.recipient.ordinal, one]));
  const recipients = ends.map((end): RecipientOutcome => {
    const action = about.get(end.ordinal)?.action;
    if (report === undefined) return action === "failed" ? { ...end, state: "held" } : end;
    return action === "delayed" ? { ...end, delayReported: true } : end;
  });
  return report === undefined ? { recipients } : { recipients, report };
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
