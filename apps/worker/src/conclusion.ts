/** What is to be recorded of an attempt: ends, times of the next attempt, reports that are owed. */
import type { Relay } from "@postern/config";
import { senderReversal } from "@postern/message";
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
import { type ReportContext, reportOn } from "./report.ts";
import { nextAttempt, scheduleOf } from "./retry.ts";
import type { SessionPlace } from "./next-hop-session.ts";
import type { Attempt, AttemptFacts } from "./verdict.ts";

/** Milliseconds until content is asked for again while Postgres is away. */
const UNAVAILABLE_PAUSE = 500;

/** Turns verdicts into what is recorded: delivered, deferred until when, or given up; and reports. */
export async function conclude(
  delivery: ClaimedDelivery,
  relay: Relay | undefined,
  { verdicts, facts, notBefore, isUntried }: Attempt,
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
  const ends = verdicts.map(({ ordinal, status, reply, place }): RecipientOutcome => {
    const isElsewhere = place !== undefined && !isSamePlace(place, facts);
    const where = { ordinal, ...(isElsewhere ? { session: place } : {}) };
    if (status === "delivered") return { ...where, state: "delivered", reply };
    if (status === "never") return { ...where, state: "bounced", reply };
    if (later !== undefined) return { ...where, state: "deferred", reply };
    return {
      ...where,
      state: "bounced",
      reply: `554 5.4.7 Given up after retries; last: ${reply}`,
    };
  });
  const concerns = ends.flatMap((end, index) => {
    const recipient = delivery.recipients.find(({ ordinal }) => ordinal === end.ordinal);
    if (recipient === undefined) return [];
    const { owed, isOurs, place, reply } = verdicts[index]!;
    // Without a session there was nobody to say anything.
    const said = isOurs || place === undefined ? undefined : { host: place.host, text: reply };
    return concern(delivery, recipient, end, {
      schedule,
      now: at,
      ...(owed === undefined ? {} : { owed }),
      ...(said === undefined ? {} : { said }),
    });
  });
  const lastAttempt = isUntried ? undefined : at;
  const times = { now: at, lastAttempt };
  const { recipients, report } = await withReport(delivery, ends, concerns, times, delivering);
  recipients.forEach(({ ordinal, state, reply }, index) => {
    const host = verdicts[index]?.place?.host ?? facts.host;
    log.info(`recipient ${state}`, {
      id: delivery.messageId,
      recipient: delivery.recipients.find((one) => one.ordinal === ordinal)?.forwardPath,
      ...(host === undefined ? { relay: facts.relay } : { host }),
      reply,
    });
  });
  const isDeferred = recipients.some(({ state }) => state === "deferred");
  return {
    messageId: delivery.messageId,
    destinationId: delivery.destinationId,
    at,
    recipients,
    dueAt: isDeferred ? later : undefined,
    attempt: {
      ...facts,
      ...(isDeferred ? { nextAttemptAt: later?.toISOString() } : {}),
      ...(report === undefined ? {} : { report: report.message.id }),
    },
    ...(report === undefined ? {} : { report }),
  };
}

function isSamePlace(place: SessionPlace, facts: AttemptFacts): boolean {
  const { host, address, port, tls } = facts;
  return place.host === host && place.address === address && place.port === port &&
    (place.tls === undefined) === (tls === undefined);
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
  { now, lastAttempt }: Pick<ReportContext, "now" | "lastAttempt">,
  { queue, snapshot, hostname, newQueueId, signSender }: Delivering,
): Promise<Pick<DeliveryOutcome, "recipients" | "report">> {
  if (concerns.length === 0) return { recipients: ends };
  const front = await frontOf(delivery, queue);
  const reverseOf = signSender && senderReversal(signSender, () => now);
  const context = { snapshot: snapshot(), hostname, now, lastAttempt, newQueueId, reverseOf };
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
