/** Recipients of one copy offered to a next hop over an open session, and what that came to. */
import {
  type EnvelopeRecipient,
  type MailParameters,
  type RcptParameters,
  type RecipientOutcome,
  replyOfCause,
} from "@postern/smtp";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import type { Content } from "./content.ts";
import { whileHeld } from "./content-sender.ts";
import { routedPath } from "./copies.ts";
import { fit } from "./fitting.ts";
import type { NextHopSession } from "./next-hop-session.ts";
import { replyText, TOO_LATE, type Verdict } from "./verdict.ts";

/** One transaction's worth of a delivery. */
export interface Offered {
  readonly reversePath: string;
  readonly recipients: readonly ClaimedRecipient[];
  readonly content: Content;
  /** Whether this is LMTP: what is accepted has arrived. */
  readonly isFinal: boolean;
  readonly now: Date;
  /** Whether the claim is still this worker's. */
  readonly isHeld: () => boolean;
}

/** What became of a recipient that was offered. */
export interface OfferVerdict extends Omit<Verdict, "status"> {
  /** `elsewhere`: it belongs in another transaction. */
  readonly status: Verdict["status"] | "elsewhere";
  /** It is about this host, or about now: another host may take it. */
  readonly isForNextHost?: true;
  /** It was decided here, without a word to the next hop. */
  readonly isUnoffered?: true;
}

/** Offers recipients to a next hop: one verdict for each, in their order. */
export async function offer(
  delivery: ClaimedDelivery,
  { reversePath, recipients, content, isFinal, now, isHeld }: Offered,
  session: NextHopSession,
): Promise<OfferVerdict[]> {
  const parameters = parametersFor(delivery, isFinal, now);
  const never = (reply: string) =>
    recipients.map(({ ordinal }): OfferVerdict => ({
      ordinal,
      status: "never",
      reply,
      isOurs: true,
      isUnoffered: true,
    }));
  const { deliverBy } = parameters;
  // RFC 2852 §4: mode R asks for a second at least.
  if (deliverBy?.mode === "return" && deliverBy.seconds <= 0) return never(TOO_LATE);
  const fitted = await fit(content, parameters, session.capabilities);
  if (fitted.status === "cannot") {
    return never(fitted.reply).map((verdict) => ({ ...verdict, isForNextHost: true }));
  }
  const outcome = await session.deliver({
    envelope: {
      reversePath,
      parameters,
      recipients: recipients.map((recipient): EnvelopeRecipient => ({
        forwardPath: routedPath(recipient),
        parameters: recipient.parameters as RcptParameters,
      })),
    },
    ...fitted.about,
  }, {
    open: () => whileHeld(fitted.content.open(), isHeld),
    passing: fitted.content.passing,
  });
  return outcome.recipients.map((one, index) =>
    verdictOf(one, recipients[index]!.ordinal, isFinal ? "delivered" : "relayed", parameters)
  );
}

/** The parameters of MAIL as they are now: the whole seconds left of BY (RFC 2852). */
function parametersFor(
  { parameters, receivedAt }: ClaimedDelivery,
  isFinal: boolean,
  now: Date,
): MailParameters {
  const { deliverBy, ...others } = parameters as MailParameters;
  // A final delivery is in time or it is not; the next hop has nothing left to do for it.
  if (deliverBy === undefined || isFinal) return others;
  const passed = (now.getTime() - receivedAt.getTime()) / 1000;
  return {
    ...others,
    deliverBy: { ...deliverBy, seconds: Math.floor(deliverBy.seconds - passed) },
  };
}

function verdictOf(
  { status, cause, command, dsnTakenOver }: RecipientOutcome,
  ordinal: number,
  accepted: "delivered" | "relayed",
  { deliverBy }: MailParameters,
): OfferVerdict {
  const reply = replyText(replyOfCause(cause));
  const isUnoffered = cause.kind !== "reply" && cause.kind !== "failure";
  const isOurs = isUnoffered || (cause.kind === "failure" && cause.failure.kind !== "refused");
  const ours = { ...(isOurs ? { isOurs } : {}), ...(isUnoffered ? { isUnoffered } : {}) };
  switch (status) {
    case "accepted": {
      const owed = dsnTakenOver === true || deliverBy?.trace === true;
      return { ordinal, status: "delivered", reply, ...(owed ? { owed: accepted } : {}) };
    }
    case "permanent":
      return {
        ordinal,
        status: "never",
        reply,
        ...ours,
        ...(cause.kind === "lacking" ? { isForNextHost: true } : {}),
      };
    case "tooMany":
      return { ordinal, status: "elsewhere", reply, ...ours };
    case "notAttempted":
      return { ordinal, status: "later", reply, ...ours, unheard: true };
    case "inDoubt": {
      const doubtful = `${reply} (in doubt: it may have been accepted)`;
      return { ordinal, status: "later", reply: doubtful, ...ours };
    }
    case "transient": {
      const unheard = cause.kind === "failure" && command === "MAIL";
      return {
        ordinal,
        status: "later",
        reply,
        ...ours,
        ...(unheard ? { unheard } : {}),
        isForNextHost: true,
      };
    }
  }
}
