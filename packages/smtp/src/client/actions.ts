/**
 * What a client session asks of its adapter, the actions that `ClientSession.next()` returns, and
 * what it is given to deliver.
 *
 * This file must not know how actions come about.
 */
import type { Envelope } from "../envelope.ts";
import type { Capabilities } from "./capabilities.ts";
import type { SessionFailure, TransactionOutcome } from "./outcome.ts";

/** Write these bytes to the peer, in order. Never empty; may be a view on handed-in content. */
export interface ClientSendAction {
  readonly type: "send";
  readonly bytes: Uint8Array;
}

/**
 * Begin the TLS handshake as client, now. Then call `session.tlsStarted()` or `session.tlsFailed()`,
 * and `receive()` with decrypted bytes only.
 */
export interface ClientStartTlsAction {
  readonly type: "startTls";
}

/**
 * The session can take a transaction: call `deliver()`, or `quit()`, now or later. Comes after the
 * greetings and after each transaction, but not when a transaction is waiting already.
 */
export interface ReadyAction {
  readonly type: "ready";
  readonly capabilities: Capabilities;
}

/**
 * Content is wanted: hand it in with `session.content(chunk)` as long as that returns true, then
 * wait for the next `needContent`; after the last chunk call `session.endOfContent()`. If `outcome`
 * comes first the rest is not wanted. Content is in the form it has in the store: CRLF line ends,
 * not dot-stuffed.
 */
export interface NeedContentAction {
  readonly type: "needContent";
  /**
   * `asIs`; or `sevenBit`: the next hop takes 7-bit content only, hand it in converted to
   * quoted-printable or base64 (RFC 6152 §3). The same for all the content of a transaction.
   */
  readonly form: "asIs" | "sevenBit";
  /** Whether this is the first request for this transaction's content. */
  readonly first: boolean;
}

/** The transaction is decided. Always exactly one for each `deliver()`. */
export interface OutcomeAction {
  readonly type: "outcome";
  readonly outcome: TransactionOutcome;
}

/**
 * Question: SCRAM's arithmetic (RFC 5802 §3, RFC 7677), with the runtime's cryptography, all with
 * SHA-256; answer with `session.answerScram()`:
 *
 *     salted = PBKDF2(password as UTF-8, salt, iterations, 32 bytes)
 *     clientKey = HMAC(salted, "Client Key")
 *     clientProof = clientKey XOR HMAC(SHA256(clientKey), authMessage)
 *     serverSignature = HMAC(HMAC(salted, "Server Key"), authMessage)
 */
export interface ScramProofQuestion {
  readonly type: "scramProof";
  /** The password, normalised. */
  readonly password: string;
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly authMessage: Uint8Array;
}

/** The answer to a {@link ScramProofQuestion}: 32 bytes each. */
export interface ScramProof {
  readonly clientProof: Uint8Array;
  readonly serverSignature: Uint8Array;
}

/**
 * Close the connection when all was written. Always the last action. Without `failure` the session
 * ended by QUIT.
 */
export interface ClientCloseAction {
  readonly type: "close";
  readonly failure?: SessionFailure;
}

/** All that `ClientSession.next()` returns. */
export type ClientAction =
  | ClientSendAction
  | ClientStartTlsAction
  | ReadyAction
  | NeedContentAction
  | OutcomeAction
  | ScramProofQuestion
  | ClientCloseAction;

/** One message to deliver to one next hop. */
export interface Transaction {
  /** The envelope with the recipients that go this way. At least one recipient. */
  readonly envelope: Envelope;
  /** Bytes of the content, where known: said as SIZE= and checked against the next hop's limit. */
  readonly contentSize?: number;
  /**
   * What bytes the content has: `7bit`; `8bit`: bytes above 127 (in lines as ever); `binary`: NUL,
   * bare CR or LF, or lines above 998 bytes. Default: what the envelope's BODY= says, else `7bit`.
   */
  readonly contentForm?: "7bit" | "8bit" | "binary";
  /** The caller can hand in the content converted to 7-bit MIME if need be. Default false. */
  readonly canConvert?: boolean;
  /**
   * The header is ASCII although the envelope says SMTPUTF8, so that the message may go without it
   * where the paths allow. Default false.
   */
  readonly headerIsAscii?: boolean;
}
