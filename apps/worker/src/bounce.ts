/** The report to the reverse-path about recipients that are given up (RFC 5321 §6.1, RFC 3461). */
import { buildDsn } from "@postern/message";
import { decide, type Snapshot } from "@postern/routing";
import type { AcceptedMessage, ClaimedDelivery, RecipientOutcome } from "@postern/store";

/** Content that goes back whole; of what is longer the header goes back. */
const RETURN_BYTES = 50_000;

/** What a report is made with. */
export interface BounceContext {
  readonly snapshot: Snapshot;
  readonly hostname: string;
  readonly now: Date;
  readonly newQueueId: () => string;
  readonly remoteHost: string | undefined;
}

/**
 * The report that is owed for these outcomes, with its routing; undefined where none is: nothing
 * bounced, nobody to tell (null reverse-path), or the sender wanted none (NOTIFY=NEVER).
 */
export function bounceFor(
  delivery: ClaimedDelivery,
  outcomes: readonly RecipientOutcome[],
  content: Uint8Array,
  { snapshot, hostname, now, newQueueId, remoteHost }: BounceContext,
): { readonly message: AcceptedMessage; readonly content: Uint8Array } | undefined {
  if (delivery.reversePath === "") return undefined;
  const failed = outcomes.flatMap(({ ordinal, state, reply }) => {
    const recipient = delivery.recipients.find((one) => one.ordinal === ordinal);
    const parameters = (recipient?.parameters ?? {}) as RecipientParameters;
    const wanted = parameters.notify === undefined ||
      (parameters.notify !== "NEVER" && parameters.notify.includes("FAILURE"));
    if (state !== "bounced" || recipient === undefined || !wanted) return [];
    return [{
      forwardPath: recipient.forwardPath,
      ...(parameters.originalRecipient ? { originalRecipient: parameters.originalRecipient } : {}),
      action: "failed" as const,
      status: /\b5\.\d{1,3}\.\d{1,3}\b/.exec(reply)?.[0] ?? "5.0.0",
      diagnostic: { type: "smtp", text: reply },
      ...(remoteHost === undefined ? {} : { remoteHost }),
      lastAttempt: now,
    }];
  });
  if (failed.length === 0) return undefined;
  const decision = decide(snapshot, "gateway", delivery.reversePath);
  if (decision.action === "reject") return undefined;

  const id = newQueueId();
  const { ret, envelopeId, smtpUtf8 } = delivery.parameters as MessageParameters;
  const messageId = `${id}@${hostname}`;
  const whole = ret !== "HDRS" && delivery.size <= RETURN_BYTES && content.length === delivery.size;
  const built = buildDsn({
    reportingHost: hostname,
    ...(envelopeId === undefined ? {} : { originalEnvelopeId: envelopeId }),
    arrivalDate: delivery.receivedAt,
    reversePath: delivery.reversePath,
    from: `mailer-daemon@${hostname}`,
    recipients: failed,
    returnContent: whole ? { kind: "full", content } : { kind: "headers", header: content },
    messageId,
    date: now,
    boundarySeed: crypto.randomUUID().replaceAll("-", ""),
    utf8: smtpUtf8 ?? false,
    queueId: delivery.messageId,
  });
  const { relay, nextHop, reasons } = decision;
  return {
    content: built.content,
    message: {
      id,
      receivedAt: now,
      reversePath: "",
      parameters: { body: built.body, ...(built.smtpUtf8 ? { smtpUtf8: true } : {}) },
      session: { gateway: hostname, reportOn: delivery.messageId },
      size: built.content.length,
      messageId,
      configurationVersion: snapshot.version,
      recipients: [{
        forwardPath: delivery.reversePath,
        parameters: { notify: "NEVER" },
        destination: { relay, nextHop },
        decision: { relay, reasons },
      }],
    },
  };
}

interface RecipientParameters {
  readonly notify?: "NEVER" | readonly string[];
  readonly originalRecipient?: { readonly type: string; readonly address: string };
}

interface MessageParameters {
  readonly ret?: "FULL" | "HDRS";
  readonly envelopeId?: string;
  readonly smtpUtf8?: true;
}
