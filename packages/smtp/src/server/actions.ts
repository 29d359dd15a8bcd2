/**
 * What a server session asks of its adapter: the actions that `ServerSession.next()` returns.
 *
 * Three kinds. Orders (`send`, `close`, `startTls`, `content`) are performed. Notices (`reset`,
 * `proxied`) need nothing. Questions stop the session until one of its `answer…` methods is called,
 * at once or later; `next()` returns `undefined` meanwhile.
 *
 * This file must not know how actions come about.
 */
import type { Envelope, MailParameters, RcptParameters } from "../envelope.ts";
import type { ForwardPath, ReversePath } from "../path-types.ts";

/** Write these bytes to the peer; they are not to be changed, as sessions may share them. */
export interface SendAction {
  readonly type: "send";
  readonly bytes: Uint8Array;
  /**
   * The tarpit: wait so many seconds before writing, and do not call `next()` meanwhile. Absent when
   * there is nothing to wait for.
   */
  readonly delaySeconds?: number;
}

/** Close the connection when all was written. Always the last action of a session. */
export interface CloseAction {
  readonly type: "close";
  /** The client said QUIT: it sends nothing more, and need not be waited for. */
  readonly atRequest: boolean;
}

/**
 * Begin the TLS handshake as server, now: the 220 was in the `send` before. Call
 * `session.tlsStarted()` when it is done, or close the connection when it fails.
 */
export interface StartTlsAction {
  readonly type: "startTls";
}

/**
 * A piece of the message's content, un-dot-stuffed, in order: a view on the bytes handed to
 * `receive()`, so those must not be overwritten until the view was used. Never empty.
 */
export interface ContentAction {
  readonly type: "content";
  readonly bytes: Uint8Array;
}

/** Notice: the open transaction is dropped; discard its envelope and what content it had. */
export interface ResetAction {
  readonly type: "reset";
  /**
   * Why: RSET; a new EHLO, HELO or LHLO; QUIT or the connection's end; or its content broke a rule or
   * a limit (the rest of it is drained without `content` actions and the session answers by itself).
   */
  readonly reason: "rset" | "hello" | "ended" | "content";
}

/** Notice: the PROXY protocol's preamble was read. It comes before `connect`. */
export interface ProxiedAction {
  readonly type: "proxied";
  /** The client's and our own end as the proxy saw them; absent for LOCAL and UNKNOWN. */
  readonly source?: Endpoint;
  readonly destination?: Endpoint;
}

/** One end of a TCP connection. */
export interface Endpoint {
  /** An IPv4 or IPv6 address in text form, without brackets. */
  readonly address: string;
  readonly port: number;
}

/**
 * Question: may this client have a session? `accept()` greets with 220. `refuse()` with 554 lets the
 * client do nothing but QUIT (RFC 5321 §3.1); with 421 the session is closed.
 */
export interface ConnectQuestion {
  readonly type: "connect";
}

/** Question: EHLO, HELO or LHLO. An accepting answer cannot change the reply's text. */
export interface HelloQuestion {
  readonly type: "hello";
  readonly verb: "HELO" | "EHLO" | "LHLO";
  /** The client's name as it was given. */
  readonly name: string;
  /** Whether the name is a domain or an address literal as RFC 5321 §4.1.1.1 asks. */
  readonly wellFormed: boolean;
}

/** Question: MAIL. Accepted gives `250 2.1.0`. */
export interface MailQuestion {
  readonly type: "mail";
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
}

/** Question: RCPT. Accepted gives `250 2.1.5`; a refused recipient leaves the transaction usable. */
export interface RcptQuestion {
  readonly type: "rcpt";
  readonly forwardPath: ForwardPath;
  readonly parameters: RcptParameters;
}

/**
 * Question: DATA, or the first BDAT; at least one recipient was accepted. Accepted gives 354 (for
 * BDAT nothing yet) and the content follows.
 */
export interface DataQuestion {
  readonly type: "data";
  readonly verb: "DATA" | "BDAT";
  readonly envelope: Envelope;
}

/**
 * Question: the content is complete; is the message yours now? `accept()` says `250 2.0.0`;
 * `answer(reply)` with a 2yz reply says the queue id. In LMTP `answerEach()` gives a reply per
 * accepted recipient, in their order; one reply stands for all.
 */
export interface MessageQuestion {
  readonly type: "message";
  readonly envelope: Envelope;
  /** Bytes of content that were handed out. */
  readonly size: number;
  /** Whether any byte of the content was above 127. */
  readonly eightBit: boolean;
  /** Received fields in the header. */
  readonly receivedFields: number;
}

/** The mechanisms of AUTH that the session knows. */
export type AuthMechanism =
  | "PLAIN"
  | "LOGIN"
  | "SCRAM-SHA-256"
  | "SCRAM-SHA-256-PLUS"
  | "OAUTHBEARER"
  | "XOAUTH2";

/** What a client showed to authenticate. */
export type Credentials =
  | {
    readonly kind: "password";
    readonly mechanism: "PLAIN" | "LOGIN";
    readonly user: string;
    readonly password: string;
    /** Whom to act as, when it was given and is not empty (RFC 4616). */
    readonly authorizationId?: string;
  }
  | {
    readonly kind: "token";
    readonly mechanism: "OAUTHBEARER" | "XOAUTH2";
    /** The user named beside the token; absent when none was. */
    readonly user?: string;
    readonly token: string;
  }
  | {
    /** The proof of SCRAM was right: what remains is whether this user may, as whom. */
    readonly kind: "scram";
    readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";
    readonly user: string;
    readonly authorizationId?: string;
  };

/** Question: are these credentials good? Accepted gives `235 2.7.0`, refused `535 5.7.8`. */
export interface AuthQuestion {
  readonly type: "auth";
  readonly credentials: Credentials;
}

/** What is stored of a user for SCRAM (RFC 5802 §3), with a fresh nonce for this exchange. */
export interface ScramVerifier {
  /** At least 18 random bytes in base64 or other printable characters without comma. */
  readonly nonce: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/**
 * Question: what is stored for this user? Answer with `answerScram()`. For an unknown user answer
 * with a salt derived from the name and random keys, so that names cannot be probed.
 */
export interface ScramQuestion {
  readonly type: "scram";
  readonly mechanism: "SCRAM-SHA-256" | "SCRAM-SHA-256-PLUS";
  readonly user: string;
}

/**
 * Question: the digest of SCRAM's arithmetic, with the runtime's cryptography. Answer with
 * `answerDigest()`: HMAC-SHA-256 of `data` under `key`, or SHA-256 of `data`.
 */
export type DigestQuestion =
  | {
    readonly type: "digest";
    readonly algorithm: "HMAC-SHA-256";
    readonly key: Uint8Array;
    readonly data: Uint8Array;
  }
  | { readonly type: "digest"; readonly algorithm: "SHA-256"; readonly data: Uint8Array };

/** Question: VRFY by a client with `trust.vrfy`. Accepted gives 252; else give the reply (250, 550…). */
export interface VrfyQuestion {
  readonly type: "vrfy";
  readonly argument: string;
}

/** Question: EXPN by a client with `trust.expn`. Give the reply (250 with a line a member); accepted gives 252. */
export interface ExpnQuestion {
  readonly type: "expn";
  readonly argument: string;
}

/** Question: ETRN by a client with `trust.etrn` (RFC 1985). Accepted gives `250 2.0.0`. */
export interface EtrnQuestion {
  readonly type: "etrn";
  /** `domain`: this one; `subtree` (`@`): it and all below it; `queue` (`#`): a queue by name. */
  readonly scope: "domain" | "subtree" | "queue";
  readonly name: string;
}

/**
 * An attribute's value of XCLIENT or XFORWARD, decoded: text, or that it is not known for good
 * (`[UNAVAILABLE]`) or for now (`[TEMPUNAVAIL]`).
 */
export type ForwardedValue = { readonly value: string } | {
  readonly missing: "for good" | "for now";
};

/** The attributes of XCLIENT that the session knows. */
export type XclientName =
  | "NAME"
  | "ADDR"
  | "PORT"
  | "PROTO"
  | "HELO"
  | "LOGIN"
  | "DESTADDR"
  | "DESTPORT";

/** The attributes of XFORWARD that the session knows. */
export type XforwardName = "NAME" | "ADDR" | "PORT" | "PROTO" | "HELO" | "IDENT" | "SOURCE";

/**
 * Question: XCLIENT by a client with `trust.xclient`: from now on take the session as this client's.
 * Accepted gives the greeting again and the session starts anew before EHLO. `ADDR` is an address
 * without the `IPV6:` prefix.
 */
export interface XclientQuestion {
  readonly type: "xclient";
  readonly attributes: { readonly [name in XclientName]?: ForwardedValue };
}

/** Question: XFORWARD by a client with `trust.xforward`: for the log only. Accepted gives `250 2.0.0`. */
export interface XforwardQuestion {
  readonly type: "xforward";
  readonly attributes: { readonly [name in XforwardName]?: ForwardedValue };
}

/** What stops the session until it is answered. */
export type ServerQuestion =
  | ConnectQuestion
  | HelloQuestion
  | MailQuestion
  | RcptQuestion
  | DataQuestion
  | MessageQuestion
  | AuthQuestion
  | ScramQuestion
  | DigestQuestion
  | VrfyQuestion
  | ExpnQuestion
  | EtrnQuestion
  | XclientQuestion
  | XforwardQuestion;

/** All that `ServerSession.next()` returns. */
export type ServerAction =
  | SendAction
  | CloseAction
  | StartTlsAction
  | ContentAction
  | ResetAction
  | ProxiedAction
  | ServerQuestion;
