/**
 * What a decision says: what becomes of a recipient, and the way to it. Plain JSON, so that it can
 * be stored with the recipient and shown to people as it is.
 */

/** A refusal for good (5yz) or for now (4yz), as the client is told. */
export interface Refusal {
  readonly action: "reject" | "defer";
  readonly code: number;
  /** An enhanced status code (RFC 3463). */
  readonly enhanced: string;
  readonly text: string;
}

/** One change to the header of a copy. */
export type HeaderEdit =
  | { readonly remove: string }
  | { readonly add: string; readonly value: string };

/** What is different about a copy on its way out. */
export interface CopyTreatment {
  /** Goes out in place of the message's reverse-path; may carry a source route. */
  readonly reversePath?: string;
  /** Hosts of a source route still to be gone, the next one first. */
  readonly sourceRoute?: readonly string[];
  readonly edits?: readonly HeaderEdit[];
}

/** One copy of the message to one mailbox. */
export interface Copy {
  readonly forwardPath: string;
  /** The relay it goes to; never one of kind `split` or `reject`. */
  readonly relay: string;
  /** The domain to look up for an `mx` relay; `""` where the relay names its hosts. */
  readonly nextHop: string;
  readonly treatment: CopyTreatment;
  /** Given: held for an administrator, for this reason. */
  readonly hold?: string;
  readonly tags: readonly string[];
  /** A rule added it: its sender knows nothing of it. */
  readonly added?: true;
}

/** What must be found out before it can be decided: whether a recipient exists. */
export interface Question {
  readonly kind: "list" | "callout";
  /** The name of the domain in the configuration. */
  readonly domain: string;
  /** In lower case: the key of the answer in {@link RecipientFacts.known}. */
  readonly address: string;
  /** Where a callout goes. */
  readonly relay: string;
  readonly nextHop: string;
}

/** What becomes of a recipient. */
export type Outcome =
  | Refusal
  | {
    readonly action: "deliver";
    /** The content may change it: it is to be decided again when that is there. */
    readonly provisional: boolean;
    readonly copies: readonly Copy[];
  }
  /** Nothing can be said before the question is answered; ask again with the answer. */
  | { readonly action: "ask"; readonly question: Question };

/** One condition of a rule as it was met. */
export interface ConditionTrace {
  /** A JSON pointer into the rule's `match`: `/all/0/domain`. */
  readonly path: string;
  /** Null: not known before the content is there. */
  readonly matched: boolean | null;
  /** The value that was looked at; null when there was none. */
  readonly seen: string | number | boolean | null;
}

/** One step of the way to a decision. */
export type Reason =
  | {
    readonly kind: "domain";
    readonly name: string;
    readonly matched: boolean;
    /** The name in the configuration, where it is a `*.` above. */
    readonly by?: string;
  }
  | { readonly kind: "client"; readonly name: string | null; readonly matched: boolean }
  | { readonly kind: "user"; readonly name: string | null; readonly matched: boolean }
  /** A message of the gateway's own, such as a bounce, may go anywhere. */
  | { readonly kind: "gateway"; readonly matched: true }
  /** `<postmaster>`, or the way back of a rewritten sender, or a source route, led to `to`. */
  | {
    readonly kind: "postmaster" | "senderRewriting" | "sourceRoute";
    readonly to: string;
  }
  /** A check of sender or domain that was made. */
  | { readonly kind: "check"; readonly name: string; readonly passed: boolean }
  | {
    readonly kind: "rule";
    readonly name: string;
    /** Null: undecided before the content is there; no rule behind it was tried. */
    readonly matched: boolean | null;
    /** What it did. */
    readonly actions?: readonly string[];
    readonly conditions?: readonly ConditionTrace[];
  }
  | { readonly kind: "recipient"; readonly address: string; readonly known: boolean }
  | {
    readonly kind: "alias" | "catchAll";
    readonly address: string;
    readonly to: readonly string[];
  }
  | {
    readonly kind: "relay";
    readonly address: string;
    readonly relay: string;
    /** The splits it was chosen by. */
    readonly by?: string;
    readonly hosts?: readonly string[];
  }
  | {
    readonly kind: "limits";
    readonly messageSize: number;
    readonly recipients: number;
  };

/** A decision for one recipient. */
export type Decision = Outcome & {
  /** The rule that decided: refused, or said where it goes; null when none did. */
  readonly rule: string | null;
  /** The configuration's version. */
  readonly version: number;
  readonly reasons: readonly Reason[];
};
