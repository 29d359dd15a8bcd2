/**
 * The server side of SMTP, submission and LMTP as one sans-IO state machine (RFC 5321, RFC 2033).
 *
 * This file must not know sockets, clocks, promises or policy.
 */
import type { Reply } from "./reply.ts";
import type { ScramVerifier, ServerAction, ServerQuestion } from "./server/actions.ts";
import type { ServerSessionOptions, TlsInformation } from "./server/options.ts";
import type { ServerTimeout } from "./server/timeouts.ts";

/** One session, server side. */
export class ServerSession {
  constructor(_options: ServerSessionOptions) {}

  /** Begins: the first action is the `connect` question, or the wait for a PROXY preamble. */
  start(): void {
    throw new Error("not written yet");
  }

  /** Takes bytes from the peer. The session keeps views on them until they are used up. */
  receive(_bytes: Uint8Array): void {
    throw new Error("not written yet");
  }

  /** The peer will send no more (half-close or a lost connection). */
  inputEnded(): void {
    throw new Error("not written yet");
  }

  /** The next thing to do, or `undefined`: then input, an answer or an event is needed. */
  next(): ServerAction | undefined {
    throw new Error("not written yet");
  }

  /** The open question, or `undefined`. */
  get question(): ServerQuestion | undefined {
    throw new Error("not written yet");
  }

  /** Whether the adapter should read from the socket; false: pause it. */
  get wantsInput(): boolean {
    throw new Error("not written yet");
  }

  /** Which time-out applies now. */
  get timeout(): ServerTimeout {
    throw new Error("not written yet");
  }

  /** Changes options from now on, for example trust after `connect`. */
  configure(_changes: Partial<ServerSessionOptions>): void {
    throw new Error("not written yet");
  }

  /** Answers the open question with yes and the standard reply. */
  accept(): void {
    this.answer(undefined);
  }

  /** Answers the open question with no and this 4yz or 5yz reply (421 also closes). */
  refuse(reply: Reply): void {
    this.answer(reply);
  }

  /** Answers the open question: the reply's class says yes or no; `undefined` is {@link accept}. */
  answer(_reply: Reply | undefined): void {
    throw new Error("not written yet");
  }

  /** Answers a `message` question in LMTP: a reply for each accepted recipient, in their order. */
  answerEach(_replies: readonly Reply[]): void {
    throw new Error("not written yet");
  }

  /** Answers a `scram` question; `undefined` refuses with 535 5.7.8. */
  answerScram(_verifier: ScramVerifier | undefined): void {
    throw new Error("not written yet");
  }

  /** Answers a `digest` question. */
  answerDigest(_digest: Uint8Array): void {
    throw new Error("not written yet");
  }

  /** The TLS handshake that `startTls` asked for is done. */
  tlsStarted(_information?: TlsInformation): void {
    throw new Error("not written yet");
  }

  /** The time-out of {@link timeout} ran out: 421 4.4.2 and close. */
  timedOut(): void {
    throw new Error("not written yet");
  }

  /** The server stops: 421 4.3.2 at the next command and close; at once when idle. */
  shutDown(): void {
    throw new Error("not written yet");
  }
}
