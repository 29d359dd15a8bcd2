/**
 * The report to the sender about an attempt (RFC 3461, RFC 3464): who it goes to, and the message
 * that carries it. A report that cannot be returned goes to the postmaster, if there is one.
 */
import { buildDsn } from "@postern/message";
import { isSameAddress, type RecipientFacts, routeOwn, type Snapshot } from "@postern/routing";
import type { MailParameters, RcptParameters } from "@postern/smtp";
import type { AcceptedMessage, ClaimedDelivery } from "@postern/store";
import type { Concern } from "./concern.ts";

/** Content that goes back whole; of what is longer the header goes back. */
const RETURN_BYTES = 50_000;

/** What a report is made with. */
export interface ReportContext {
  readonly snapshot: Snapshot;
  readonly hostname: string;
  readonly now: Date;
  /** When it was tried; undefined where what is reported came of no attempt. */
  readonly lastAttempt: Date | undefined;
  readonly newQueueId: () => string;
  readonly reverseOf: RecipientFacts["reverseOf"];
}

/**
 * The report about these recipients, with its routing; undefined where nobody can be told: then
 * what failed is a dead letter.
 */
export function reportOn(
  delivery: ClaimedDelivery,
  concerns: readonly Concern[],
  front: Uint8Array,
  context: ReportContext,
): { readonly message: AcceptedMessage; readonly content: Uint8Array } | undefined {
  const returned = addressed(delivery.reversePath, delivery, concerns, front, context);
  if (returned !== undefined) return returned;
  const failed = concerns.filter(({ action }) => action === "failed");
  const { postmaster } = context.snapshot.settings;
  if (failed.length === 0 || postmaster === undefined) return undefined;
  // What cannot be delivered to the postmaster cannot be reported to the postmaster.
  const copies = routeOwn(context.snapshot, postmaster, context.reverseOf)?.copies ?? [];
  const postmasters = [postmaster, ...copies.map(({ forwardPath }) => forwardPath)];
  const isPostmaster = (path: string) => postmasters.some((one) => isSameAddress(one, path));
  if (failed.some(({ recipient }) => isPostmaster(recipient.forwardPath))) return undefined;
  return addressed(postmaster, delivery, failed, front, context);
}

function addressed(
  to: string,
  delivery: ClaimedDelivery,
  concerns: readonly Concern[],
  front: Uint8Array,
  { snapshot, hostname, now, lastAttempt, newQueueId, reverseOf }: ReportContext,
): { readonly message: AcceptedMessage; readonly content: Uint8Array } | undefined {
  if (to === "") return undefined;
  const route = routeOwn(snapshot, to, reverseOf);
  if (route === undefined) return undefined;

  const id = newQueueId();
  const { ret, envelopeId, smtpUtf8, requireTls } = delivery.parameters as MailParameters;
  const messageId = `${id}@${hostname}`;
  const whole = ret !== "HDRS" && delivery.size <= RETURN_BYTES &&
    front.length === delivery.size && concerns.some(({ action }) => action === "failed");
  const built = buildDsn({
    reportingHost: hostname,
    ...(envelopeId === undefined ? {} : { originalEnvelopeId: envelopeId }),
    arrivalDate: delivery.receivedAt,
    reversePath: to,
    ...(to === delivery.reversePath ? {} : { notReturnedTo: delivery.reversePath }),
    from: `mailer-daemon@${hostname}`,
    recipients: concerns.map(({ recipient, action, reply, said, willRetryUntil }) => {
      const { forwardPath, acceptedAs } = recipient;
      const { originalRecipient } = recipient.parameters as RcptParameters;
      const isOther = acceptedAs !== null && !isSameAddress(acceptedAs, forwardPath);
      return {
        forwardPath,
        ...(originalRecipient === undefined ? {} : { originalRecipient }),
        ...(isOther ? { acceptedAs } : {}),
        action,
        status: statusOf(action, reply),
        // RFC 3464 §2.3.5, §2.3.6: these are for what the next hop itself said.
        ...(said === undefined
          ? { detail: withoutCodes(reply) }
          : { diagnostic: { type: "smtp", text: said.text }, remoteHost: said.host }),
        ...(lastAttempt === undefined ? {} : { lastAttempt }),
        ...(willRetryUntil === undefined ? {} : { willRetryUntil }),
      };
    }),
    // RFC 8689 §5: a report on what requires TLS says REQUIRETLS, or it tells nothing of the message.
    // Few ways back have REQUIRETLS; a report that asks for it would be lost, or go in two forms.
    returnContent: requireTls
      ? { kind: "nothing", header: front }
      : whole
      ? { kind: "full", content: front }
      : { kind: "headers", header: front },
    messageId,
    date: now,
    boundarySeed: crypto.randomUUID().replaceAll("-", ""),
    utf8: smtpUtf8 ?? false,
    queueId: delivery.messageId,
  });
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
      recipients: route.copies.map(({ forwardPath, relay, nextHop }) => ({
        forwardPath,
        parameters: { notify: "NEVER" },
        destination: { relay, nextHop },
        decision: { recipient: to, relay, reasons: route.reasons },
      })),
    },
  };
}

/** Our own words, as people read them. */
function withoutCodes(reply: string): string {
  return reply.replace(/^\d{3} ([245]\.\d{1,3}\.\d{1,3} )?/, "");
}

/** The enhanced code behind the reply code if it is of the action's class, else the general one. */
function statusOf(action: Concern["action"], reply: string): string {
  const digit = action === "failed" ? 5 : action === "delayed" ? 4 : 2;
  const [, found] = /^\d{3} ([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(reply) ?? [];
  return found?.startsWith(`${digit}.`) ? found : `${digit}.0.0`;
}
