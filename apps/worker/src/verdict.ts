/**
 * What an attempt comes to: a verdict for each recipient, the facts about the session, and whether
 * the destination as a whole failed. The vocabulary between transports, lanes and conclusions.
 *
 * This file must not know how deliveries are made, scheduled or recorded.
 */
import type { Reply } from "@postern/smtp";
import type { ClaimedDelivery } from "@postern/store";
import type { SessionPlace } from "./next-hop-session.ts";
import type { Tried } from "./smtp-sessions.ts";

/** What became of each recipient, before retries and lifetimes are thought of. */
export interface Verdict {
  readonly ordinal: number;
  readonly status: "delivered" | "later" | "never";
  readonly reply: string;
  /**
   * With `delivered`: nobody after us will report to the sender, so that a report of this kind is
   * ours to send, if it was asked for (RFC 3461 §5.2).
   */
  readonly owed?: "delivered" | "relayed";
  /** The session was over before the next hop said anything about this message. */
  readonly unheard?: true;
  /** The reply is in our own words, not the next hop's. */
  readonly isOurs?: true;
  /** Who said so, where a session came about. */
  readonly place?: SessionPlace;
}

/** The session that was used last, as the event tells it, and the hosts tried in vain before it. */
export interface AttemptFacts extends Partial<SessionPlace> {
  readonly relay: string;
  readonly seconds: number;
  readonly tried?: readonly Tried[];
}

/** One attempt at a delivery. */
export interface Attempt {
  /** One for each recipient of the delivery; where an error ended it, for as many as it came to. */
  readonly verdicts: readonly Verdict[];
  readonly facts: AttemptFacts;
  /**
   * Set when the destination as a whole failed, so that no other delivery to it would fare better
   * now: no connection, no session, no address found. What was said then.
   */
  readonly destinationFailure?: string;
  /** Nothing was tried: it was decided without a word to anybody. */
  readonly isUntried?: true;
  /** The next hop asked not to be tried before this time. */
  readonly notBefore?: Date;
  /** What ended it before all recipients had a verdict; nothing that the next hop said or did. */
  readonly error?: unknown;
}

/** What is said of mail that was not delivered by the time its sender set. */
export const TOO_LATE = "554 5.4.7 The time that the sender set for delivery has passed";

/** The same verdict for all recipients of a delivery. */
export function verdictForAll(
  { recipients }: ClaimedDelivery,
  status: Verdict["status"],
  reply: string,
  owed?: Verdict["owed"],
): Verdict[] {
  return recipients.map(({ ordinal }) => ({
    ordinal,
    status,
    reply,
    ...(owed === undefined ? {} : { owed }),
  }));
}

/** A reply on one line, as people read it: `550 5.1.1 No such user`. */
export function replyText({ code, enhanced, lines }: Reply): string {
  return [code, enhanced, lines.join(" ")].filter((part) => part !== undefined && part !== "").join(
    " ",
  );
}
