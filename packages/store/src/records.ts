/**
 * What the store takes and gives: messages as they are accepted, deliveries as they are claimed,
 * outcomes as they are recorded. Plain data; JSON goes into the database as it stands here.
 */

/** Where a delivery goes: a relay, and for MX lookup the domain whose mail hosts are looked up. */
export interface Destination {
  readonly relay: string;
  /** The domain to look up; `""` where the relay names its hosts itself. */
  readonly nextHop: string;
}

/** How far a recipient has come. The last four are ends. */
export type RecipientState = "queued" | "deferred" | "delivered" | "bounced" | "held" | "deleted";

/** One change to the header of a recipient's copy. */
export type HeaderEdit =
  | { readonly remove: string }
  | { readonly add: string; readonly value: string };

/** What is different about a recipient's copy on its way out. */
export interface Treatment {
  /** Goes out in place of the message's reverse-path; may carry a source route. */
  readonly reversePath?: string;
  /** Hosts of a source route still to be gone, the next one first (RFC 821 §3.6). */
  readonly sourceRoute?: readonly string[];
  readonly edits?: readonly HeaderEdit[];
  /** It was refused after its message was accepted for others: it bounces with this reply. */
  readonly refusal?: string;
}

/** The relay of recipients with a refusal. No relay of the configuration can have this name. */
export const REFUSED_RELAY = "(refused)";

/** A recipient of a message that is to be stored. */
export interface AcceptedRecipient {
  readonly forwardPath: string;
  /** The ESMTP parameters of its RCPT. */
  readonly parameters: object;
  /** What is different about its copy; nothing when absent. */
  readonly treatment?: Treatment;
  readonly destination: Destination;
  /** Why it goes there, as routing said. */
  readonly decision: object;
  /** Given: it is held for an administrator, for this reason, and not delivered. */
  readonly hold?: string;
}

/** A message that is to be stored: its envelope, where it came from and where it goes. */
export interface AcceptedMessage {
  /** The queue id: a UUID of version 7. */
  readonly id: string;
  readonly receivedAt: Date;
  /** Not to be delivered before this time (HOLDFOR, HOLDUNTIL: RFC 4865); at once when absent. */
  readonly dueAt?: Date;
  readonly reversePath: string;
  /** The ESMTP parameters of MAIL; its `priority` (RFC 6710) is the queue's. */
  readonly parameters: object;
  /** The session it came by: client address, HELO name, TLS, user. */
  readonly session: object;
  /** Bytes of content. */
  readonly size: number;
  /** The Message-ID field's value without brackets. */
  readonly messageId: string | undefined;
  readonly configurationVersion: number;
  readonly recipients: readonly AcceptedRecipient[];
}

/**
 * What is over for a delivery that waits: its lifetime, the time that its sender set for delivery
 * (RFC 2852), or the time after which its sender is told that it is late.
 */
export type Overdue = "lifetime" | "deliverBy" | "notice";

/** A recipient of a claimed delivery. */
export interface ClaimedRecipient {
  readonly ordinal: number;
  readonly forwardPath: string;
  /** The address as the sender named it, before aliases and rules; null where it is not known. */
  readonly acceptedAs: string | null;
  readonly parameters: object;
  readonly treatment: Treatment;
  /** Its sender was told already that it is late. */
  readonly delayReported: boolean;
  /** What the last attempt ended with; null before the first. */
  readonly lastReply: string | null;
}

/** A delivery that this worker, and no other, now has in hand. */
export interface ClaimedDelivery {
  readonly messageId: string;
  readonly destinationId: number;
  readonly destination: Destination;
  /** Attempts made before this one. */
  readonly attempts: number;
  readonly receivedAt: Date;
  /**
   * When its lifetime began: when it was received or, later, released for delivery, and moved on by
   * the time for which its destination was paused since. One for all recipients of a delivery.
   */
  readonly lifetimeFrom: Date;
  readonly reversePath: string;
  readonly parameters: object;
  readonly size: number;
  readonly configurationVersion: number;
  readonly recipients: readonly ClaimedRecipient[];
  /** It has waited too long without having its turn: it is to be seen to, not tried. */
  readonly overdue?: Overdue;
  /** The whole content when it is small, else undefined: read it with `readContent`. */
  readonly content: Uint8Array | undefined;
}

/** What became of one recipient in an attempt. */
export interface RecipientOutcome {
  readonly ordinal: number;
  /** `held`: given up with nobody to tell, a dead letter for the administrator. */
  readonly state: "deferred" | "delivered" | "bounced" | "held";
  /** The next hop's reply, or what kept us from getting one; shown to people. */
  readonly reply: string;
  /** Where it was had, if the attempt had it elsewhere than it says; shown with the event. */
  readonly session?: object;
  /** The outcome's report tells the sender that this recipient is late. */
  readonly delayReported?: true;
}

/** What an attempt says of its destination as a whole. */
export type DestinationOutcome =
  /** It was there, whatever it said of the message. */
  | { readonly status: "reached" }
  /** It could not be reached, or would not talk: its whole queue waits. */
  | {
    readonly status: "failed";
    /** What it said, or what kept us from hearing anything; shown to people. */
    readonly reply: string;
    /** Seconds for which its queue waits after the first, second, … failure in a row. */
    readonly delays: readonly number[];
  };

/** What became of a claimed delivery. */
export interface DeliveryOutcome {
  readonly messageId: string;
  readonly destinationId: number;
  /**
   * Attempts made before this one, as the claim said: an outcome is taken once only, even if the
   * same worker has claimed the delivery again since. Absent: whatever they are.
   */
  readonly attempts?: number;
  readonly at: Date;
  readonly recipients: readonly RecipientOutcome[];
  /**
   * When to try the deferred ones again, by the same clock as `at`: the time between them counts.
   * Undefined when none is left.
   */
  readonly dueAt: Date | undefined;
  /**
   * Given: it was overdue in this way and not tried; it goes on waiting as before. Recipients are
   * those whose sender is told.
   */
  readonly waitsOn?: Exclude<Overdue, "lifetime">;
  /** Absent where the attempt says nothing of the destination. */
  readonly destination?: DestinationOutcome;
  /** The attempt as the event tells it: host, address, TLS, replies. */
  readonly attempt: object;
  /** A message that this outcome gives rise to, stored with it or not at all: the report. */
  readonly report?: { readonly message: AcceptedMessage; readonly content: Uint8Array };
}
