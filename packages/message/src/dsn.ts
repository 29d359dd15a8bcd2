/**
 * What a delivery status notification is made of (RFC 3461, RFC 3464, RFC 6533): the facts that
 * the worker hands in. How they are put in words and octets is the business of the files beside.
 *
 * This file must not know why a notification is owed or where it goes.
 */

/** What became of a recipient (RFC 3464 §2.3.3). */
export type DsnAction = "failed" | "delayed" | "delivered" | "relayed" | "expanded";

/** One recipient the notification is about. */
export interface DsnRecipient {
  /** The address that was delivered to: Final-Recipient. */
  readonly forwardPath: string;
  /** ORCPT as the sender gave it, decoded (RFC 3461 §4.2). */
  readonly originalRecipient?: { readonly type: string; readonly address: string };
  /** The address that it was accepted for here, where aliases or rules made it another. */
  readonly acceptedAs?: string;
  readonly action: DsnAction;
  /** The enhanced status code, such as `5.1.1` (RFC 3463). */
  readonly status: string;
  /** What the next hop said, lines separated by `\n`; the type is `smtp` for its replies. */
  readonly diagnostic?: { readonly type: string; readonly text: string };
  /** Why, in our own words, where the next hop said nothing. */
  readonly detail?: string;
  /** The next hop that said it, by name or address. */
  readonly remoteHost?: string;
  readonly lastAttempt?: Date;
  /** Until when it will be tried: for `delayed`. */
  readonly willRetryUntil?: Date;
}

/**
 * What of the message goes back (RFC 3461 §4.3):
 * - `full`: its content, whole in memory;
 * - `stream`: its content, put in by the caller where {@link DsnFrame} has its hole. `header` is
 *   its header, `encoding` what a survey of the content found;
 * - `headers`: its header only. Octets after the empty line are left out, so the front of the
 *   content will do;
 * - `nothing`: of what it says nothing, for what must not travel as the notification may: of
 *   `header` only the Message-ID is told, which says which message it was.
 */
export type ReturnContent =
  | { readonly kind: "full"; readonly content: Uint8Array }
  | {
    readonly kind: "stream";
    readonly header: Uint8Array;
    readonly encoding: "7bit" | "8bit";
  }
  | { readonly kind: "headers" | "nothing"; readonly header: Uint8Array };

/** A notification to be written. */
export interface Dsn {
  /** Our name: Reporting-MTA. */
  readonly reportingHost: string;
  /** ENVID as the sender gave it, decoded (RFC 3461 §4.4). */
  readonly originalEnvelopeId?: string;
  /** When the message came to us. */
  readonly arrivalDate: Date;
  /** Who is told, the reverse-path of the message as a rule: it becomes To. It is never null. */
  readonly reversePath: string;
  /** Given where the postmaster is told instead of this sender; `""` where the message has none. */
  readonly notReturnedTo?: string;
  /** The address of From, such as `mailer-daemon@mx.example.com`. */
  readonly from: string;
  /** At least one; one notification may tell of several actions. */
  readonly recipients: readonly DsnRecipient[];
  readonly returnContent: ReturnContent;
  /** The Message-ID of the notification, without angle brackets. */
  readonly messageId: string;
  readonly date: Date;
  /**
   * Letters and digits, unpredictable to outsiders (20 or more), that boundaries are made of. For
   * a `stream` this is all that keeps the content from holding the boundary.
   */
  readonly boundarySeed: string;
  /** Whether the message came with SMTPUTF8, so that the way back may use it (RFC 6533). */
  readonly utf8: boolean;
  /** The message's own id here, for the reader who asks the postmaster. */
  readonly queueId?: string;
}

/** What the way of a notification must offer. */
export interface DsnNeeds {
  readonly body: "7BIT" | "8BITMIME";
  /** The header of the notification, or a header in it, holds UTF-8 (RFC 6531). */
  readonly smtpUtf8: boolean;
}

/** A whole notification. */
export interface BuiltDsn extends DsnNeeds {
  readonly content: Uint8Array;
}

/**
 * A notification around a hole: the octets before and after the original content. `hole` says
 * whether the original goes between them: it does for `stream` only.
 */
export interface DsnFrame extends DsnNeeds {
  readonly before: Uint8Array;
  readonly after: Uint8Array;
  readonly hole: boolean;
}
