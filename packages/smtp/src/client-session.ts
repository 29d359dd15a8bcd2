/**
 * The client side of SMTP and LMTP as one sans-IO state machine (RFC 5321, RFC 2033).
 *
 * The adapter feeds bytes and events and then performs what `next()` returns, until it returns
 * `undefined`:
 *
 *     session.receive(bytes);
 *     for (let action = session.next(); action !== undefined; action = session.next()) perform(action);
 *
 * This file must not know sockets, clocks, promises or MIME.
 */
import type { ClientAction, ScramProof, Transaction } from "./client/actions.ts";
import type { Capabilities } from "./client/capabilities.ts";
import type { ClientSessionOptions, ClientTlsInformation } from "./client/options.ts";
import type { ClientTimeout } from "./client/timeouts.ts";

/** One session, client side. It waits for the greeting from the beginning. */
export class ClientSession {
  /** Throws a RangeError for options that make no sense: a name that cannot be said in EHLO. */
  constructor(_options: ClientSessionOptions) {}

  /** Takes bytes from the peer, cut anywhere. They are used up when it returns. */
  receive(_bytes: Uint8Array): void {
    throw new Error("not written yet");
  }

  /** The next thing to do, or `undefined`: then bytes, content, an answer or an event is needed. */
  next(): ClientAction | undefined {
    throw new Error("not written yet");
  }

  /**
   * Starts a transaction, or keeps it until the session is ready (one at most; a second one before the
   * first one's `outcome` is a mistake of the caller and throws). On a session that has ended the
   * outcome is there at once.
   */
  deliver(_transaction: Transaction): void {
    throw new Error("not written yet");
  }

  /**
   * Hands in a piece of content. Returns whether more may be handed in now; if not, wait for
   * `needContent` or `outcome`. The session may hand the same bytes out to be sent: they must not be
   * overwritten before that. Ignored when no content is wanted (any more).
   */
  content(_chunk: Uint8Array): boolean {
    throw new Error("not written yet");
  }

  /** All content was handed in. */
  endOfContent(): void {
    throw new Error("not written yet");
  }

  /** The rest of the content cannot be had: ends the session without an end of data. */
  abortContent(): void {
    throw new Error("not written yet");
  }

  /** Says QUIT as soon as the session is idle. */
  quit(): void {
    throw new Error("not written yet");
  }

  /** The TLS handshake that `startTls` asked for is done. */
  tlsStarted(_information?: ClientTlsInformation): void {
    throw new Error("not written yet");
  }

  /** The TLS handshake failed, or its certificate does not do. */
  tlsFailed(_detail: string): void {
    throw new Error("not written yet");
  }

  /** Answers a `scramProof` question. */
  answerScram(_proof: ScramProof): void {
    throw new Error("not written yet");
  }

  /** The peer closed the connection, or it broke, or it never came about. */
  disconnected(): void {
    throw new Error("not written yet");
  }

  /** The time-out of {@link timeout} ran out. */
  timedOut(): void {
    throw new Error("not written yet");
  }

  /** The time-out that applies now; `undefined` when it is the caller's turn. */
  get timeout(): ClientTimeout | undefined {
    throw new Error("not written yet");
  }

  /** Whether the session has ended: `next()` returns what is left, up to `close`. */
  get ended(): boolean {
    throw new Error("not written yet");
  }

  /** What the next hop offers; `undefined` before its reply to EHLO. */
  get capabilities(): Capabilities | undefined {
    throw new Error("not written yet");
  }
}
