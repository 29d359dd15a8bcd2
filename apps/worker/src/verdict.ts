/**
 * What an attempt comes to: a verdict for each recipient, the facts about the session, and whether
 * the destination as a whole failed. The vocabulary between transports, lanes and conclusions.
 *
 * This file must not know how deliveries are made, scheduled or recorded.
 */
import type { Reply } from "@postern/smtp";
import type { ClaimedDelivery } from "@postern/store";

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

/** One attempt at a delivery. */
export interface Attempt {
  /** One for each recipient of the delivery. */
  readonly verdicts: readonly Verdict[];
  readonly facts: AttemptFacts;
  /**
   * Set when the destination as a whole failed, so that no other delivery to it would fare better
   * now: no connection, no session, no address found. What was said then.
   */
  readonly destinationFailure?: string;
}

/** The same verdict for all recipients of a delivery. */
export function verdictForAll(
  { recipients }: ClaimedDelivery,
  status: Verdict["status"],
  reply: string,
): Verdict[] {
  return recipients.map(({ ordinal }) => ({ ordinal, status, reply }));
}

/** A reply on one line, as people read it: `550 5.1.1 No such user`. */
export function replyText({ code, enhanced, lines }: Reply): string {
  return [code, enhanced, lines.join(" ")].filter((part) => part !== undefined && part !== "").join(
    " ",
  );
}
