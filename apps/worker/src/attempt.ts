/** One attempt: a claimed delivery over one session, and what is to be recorded of it. */
import type { Relay } from "@postern/config";
import {
  type EnvelopeRecipient,
  type MailParameters,
  type RcptParameters,
  type Reply,
  replyOfCause,
  type Transaction,
} from "@postern/smtp";
import type { ClaimedDelivery, DeliveryOutcome, RecipientOutcome } from "@postern/store";
import { bounceFor } from "./bounce.ts";
import type { Delivering } from "./delivering.ts";
import type { NextHopSession } from "./next-hop-session.ts";
import { nextAttempt } from "./retry.ts";

/** What became of each recipient, before retries and lifetimes are thought of. */
export interface Verdict {
  readonly ordinal: number;
  readonly status: "delivered" | "again" | "later" | "never";
  readonly reply: string;
  /** The session was over before the next hop said anything about this message. */
  readonly unheard?: true;
}

/** The session that was used, as the event tells it. */
export interface AttemptFacts {
  readonly host?: string;
  readonly address?: string;
  readonly port?: number;
  readonly relay: string;
  readonly seconds: number;
}

/** Offers a delivery to a next hop. */
export async function offer(
  delivery: ClaimedDelivery,
  session: NextHopSession,
  { queue }: Delivering,
): Promise<Verdict[]> {
  const recipients = delivery.recipients.map((recipient): EnvelopeRecipient => ({
    forwardPath: recipient.forwardPath,
    parameters: recipient.parameters as RcptParameters,
  }));
  const transaction: Transaction = {
    envelope: {
      reversePath: delivery.reversePath,
      parameters: delivery.parameters as MailParameters,
      recipients,
    },
    contentSize: delivery.size,
  };
  const { content, messageId } = delivery;
  const outcome = await session.deliver(
    transaction,
    () => content === undefined ? queue.readContent(messageId) : [content],
  );
  return outcome.recipients.map(({ status, cause, command }, index): Verdict => {
    const { ordinal } = delivery.recipients[index]!;
    const text = replyText(replyOfCause(cause));
    switch (status) {
      case "accepted":
        return { ordinal, status: "delivered", reply: text };
      case "permanent":
        return { ordinal, status: "never", reply: text };
      case "tooMany":
        return { ordinal, status: "again", reply: text };
      case "notAttempted":
        return { ordinal, status: "again", reply: text, unheard: true };
      case "inDoubt":
        return { ordinal, status: "later", reply: `${text} (in doubt: it may have been accepted)` };
      case "transient": {
        const unheard = cause.kind === "failure" && command === "MAIL";
        return { ordinal, status: "later", reply: text, ...(unheard ? { unheard } : {}) };
      }
    }
  });
}

/** The same verdict for all recipients of a delivery. */
export function verdictForAll(
  { recipients }: ClaimedDelivery,
  status: Verdict["status"],
  reply: string,
): Verdict[] {
  return recipients.map(({ ordinal }) => ({ ordinal, status, reply }));
}

/** Turns verdicts into what is recorded: delivered, deferred until when, or bounced with a report. */
export async function conclude(
  delivery: ClaimedDelivery,
  relay: Relay | undefined,
  verdicts: readonly Verdict[],
  facts: AttemptFacts,
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
  const front = delivery.content ?? await firstPiece(queue.readContent(delivery.messageId));
  const context = { snapshot: snapshot(), hostname, now: at, newQueueId, remoteHost: facts.host };
  const report = bounceFor(delivery, recipients, front, context);
  return report === undefined ? outcome : { ...outcome, report };
}

async function firstPiece(content: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  for await (const piece of content) return piece;
  return new Uint8Array();
}

/** A reply on one line, as people read it: `550 5.1.1 No such user`. */
export function replyText({ code, enhanced, lines }: Reply): string {
  return [code, enhanced, lines.join(" ")].filter((part) => part !== undefined && part !== "").join(
    " ",
  );
}
