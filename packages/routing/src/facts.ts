/**
 * What a decision is made from besides the snapshot: plain data about the session, the envelope
 * and, once it is there, the content. Whoever asks hands all of it in, the time included.
 */
import type { AuthenticationResult } from "@postern/config";

/** The session a recipient was named in. */
export interface SessionFacts {
  /** The client's IP address. */
  readonly address: string;
  /** The client of the configuration that it is; see {@link identifyClient}. */
  readonly client?: string | undefined;
  /** Who authenticated. */
  readonly user?: string | undefined;
  /** Whether the session is in TLS. */
  readonly tls: boolean;
  /** SHA-256 of the client's certificate in hex. */
  readonly certificate?: string | undefined;
  /** The name of its EHLO, HELO or LHLO. */
  readonly helo: string;
}

/** One header field: its name, and its value unfolded and decoded. */
export interface HeaderFact {
  readonly name: string;
  readonly value: string;
}

/** The methods of authentication that rules may ask for. */
export type AuthenticationMethod = "spf" | "dkim" | "dmarc" | "arc";

/** What is known once the content was received. */
export interface ContentFacts {
  /** Bytes. */
  readonly size: number;
  readonly header: readonly HeaderFact[];
  /** What is absent counts as `none`. */
  readonly authentication?: { readonly [method in AuthenticationMethod]?: AuthenticationResult };
}

/** The recipients of the message accepted before this one. */
export interface AcceptedSoFar {
  readonly total: number;
  /** Those in the domain of this one. */
  readonly ofDomain: number;
}

/** The sender's side of an envelope. */
export interface SenderFacts {
  readonly session: SessionFacts;
  /** `local-part@domain`, or `""` for the null reverse-path. */
  readonly reversePath: string;
  /** SIZE= of MAIL. */
  readonly declaredSize?: number | undefined;
}

/** All that is known about one recipient of a message. */
export interface RecipientFacts extends SenderFacts {
  /** `local-part@domain`, or `postmaster` for `<postmaster>`. */
  readonly forwardPath: string;
  /** The hosts of its source route as they were given. */
  readonly sourceRoute?: readonly string[];
  /** Undefined while the content is not known: at RCPT. */
  readonly content?: ContentFacts | undefined;
  readonly time: Date;
  /** Our own name: what is taken off a source route, and where `<postmaster>` is. */
  readonly hostname: string;
  readonly accepted?: AcceptedSoFar | undefined;
  /** Answers to questions of former decisions, by address in lower case. */
  readonly known?: ReadonlyMap<string, boolean> | undefined;
  /** Finds the way back of a rewritten sender (SRS); absent where there is no key. */
  readonly reverseOf?: ((address: string, domain: string) => ReversedAddress) | undefined;
}

/** What a forward-path in a domain of sender rewriting is; see `reverseOf` of @postern/message. */
export type ReversedAddress =
  | { readonly status: "reversed"; readonly address: string }
  | { readonly status: "notRewritten" | "forged" | "expired" };
