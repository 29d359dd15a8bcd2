/**
 * The client side of SMTP and LMTP as one sans-IO state machine (RFC 5321, RFC 2033).
 *
 * The adapter feeds bytes and events and then performs what `next()` returns, until it returns
 * `undefined`:
 *
 *     session.receive(bytes);
 *     for (let action = session.next(); action !== undefined; action = session.next()) perform(action);
 *
 * What may happen in which state is the table in `client/states.ts`; the steps are in
 * `client/opening.ts` and `client/delivery.ts`; this file joins them and knows how sessions end.
 * It must not know sockets, clocks, promises or MIME.
 */
import type { ClientAction, ScramProof, Transaction } from "./client/actions.ts";
import type { Capabilities } from "./client/capabilities.ts";
import { type Awaited, Conversation } from "./client/conversation.ts";
import { Delivery } from "./client/delivery.ts";
import { Opening } from "./client/opening.ts";
import type { ClientSessionOptions, ClientTlsInformation } from "./client/options.ts";
import { type AnsweredCommand, outcomeOfFailure, type SessionFailure } from "./client/outcome.ts";
import { commandOf, eventOf, type Step, timeoutOf, transitions } from "./client/states.ts";
import { type ClientTimeout, clientTimeoutSeconds } from "./client/timeouts.ts";
import { ReplyParser } from "./reply-parser.ts";
import type { Reply } from "./reply.ts";

/**
 * One session, client side. It waits for the greeting from the beginning.
 *
 * @example Deliver one message over a socket.
 * ```ts
 * const session = new ClientSession({ ehloName: "mail.example.com" });
 * session.deliver({ envelope });
 * session.quit();
 * // Then, for each chunk read from the socket: session.receive(chunk), and perform its actions.
 * ```
 */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  readonly #conversation = new Conversation();
  readonly #opening: Opening;
  #parser: ReplyParser;
  /** The transaction under way. */
  #delivery: Delivery | undefined;
  /** A transaction handed in before the session was ready for it. */
  #pending: Transaction | undefined;
  /** The opening is done. */
  #opened = false;
  #quitAsked = false;
  /** MAIL commands said, against MAILMAX of RFC 9422. */
  #transactions = 0;
  #replies = 0;
  /** The session is ending or has ended: by QUIT, or by a failure. */
  #ending: { readonly failure?: SessionFailure } | undefined;

  /** Throws a RangeError if the name, the user or the nonce cannot be said on the wire. */
  constructor(options: ClientSessionOptions) {
    checkOptions(options);
    this.#options = options;
    this.#parser = new ReplyParser(options.replyLimits);
    this.#opening = new Opening(options, this.#conversation, {
      opened: () => {
        this.#opened = true;
        this.#idle();
      },
      failed: (failure) => this.#fail(failure),
    });
  }

  /** Takes bytes from the peer, cut anywhere. They are used up when it returns. */
  receive(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.#inHandshake) return this.#failAs("tlsInjection");
    const parser = this.#parser;
    parser.push(bytes);
    while (this.#conversation.state !== "ended") {
      const parsed = parser.next();
      if (parsed === undefined) return;
      if (parsed.kind === "problem") {
        const { problem } = parsed;
        return this.#break({ kind: "malformedReply", command: this.#command, problem });
      }
      this.#replies++;
      if (this.#conversation.awaitsUnsaid) this.#refuseEarly(parsed.reply);
      else this.#take(parsed.reply);
      if (this.#inHandshake && parser.kept > 0) return this.#failAs("tlsInjection");
    }
  }

  /** The next thing to do, or `undefined`: then bytes, content, an answer or an event is needed. */
  next(): ClientAction | undefined {
    return this.#conversation.next();
  }

  /**
   * Starts a transaction, or keeps it until the session is ready (one at most; a second one before the
   * first one's `outcome` is a mistake of the caller and throws). On a session that is ending the
   * outcome is there at once, and may be returned after `close`.
   */
  deliver(transaction: Transaction): void {
    if (this.#delivery !== undefined || this.#pending !== undefined) {
      throw new Error("deliver() before the outcome of the transaction before");
    }
    this.#pending = transaction;
    if (this.#ending !== undefined) this.#decidePending(this.#ending.failure);
    else if (this.#conversation.state === "ready") this.#idle();
  }

  /**
   * Hands in a piece of content. Returns whether more may be handed in now; if not, wait for
   * `needContent` or `outcome`. The session may hand the same bytes out to be sent: they must not be
   * overwritten before that. Ignored when no content is wanted (any more).
   */
  content(chunk: Uint8Array): boolean {
    if (this.#conversation.resting !== "content") return false;
    return this.#delivery!.content(chunk);
  }

  /** Whether content that was handed in is kept for later: `next()` has not given all of it out. */
  get holdsContent(): boolean {
    return this.#delivery?.holdsContent ?? false;
  }

  /** All content was handed in. Ignored when no content is wanted (any more). */
  endOfContent(): void {
    if (this.#conversation.resting === "content") this.#delivery!.endOfContent();
  }

  /** The rest of the content cannot be had: ends the session without an end of data. */
  abortContent(): void {
    if (this.#conversation.resting === "content") this.#failAs("contentAborted");
  }

  /** Says QUIT as soon as the session is idle and no transaction waits. */
  quit(): void {
    this.#quitAsked = true;
    if (this.#conversation.state === "ready") this.#idle();
  }

  /** The TLS handshake that `startTls` asked for is done. */
  tlsStarted(information: ClientTlsInformation = {}): void {
    if (this.#conversation.state !== "handshake") return;
    this.#parser = new ReplyParser(this.#options.replyLimits);
    this.#opening.tlsStarted(information);
  }

  /** The TLS handshake failed, or its certificate does not do. */
  tlsFailed(detail: string): void {
    if (this.#conversation.state !== "handshake") return;
    this.#fail({ kind: "tlsFailed", command: "STARTTLS", detail });
  }

  /** Answers a `scramProof` question. */
  answerScram(proof: ScramProof): void {
    if (this.#conversation.state === "proof") this.#opening.answerScram(proof);
  }

  /** The peer closed the connection, or it broke, or it never came about. */
  disconnected(): void {
    this.#break({ kind: "disconnected", command: this.#command });
  }

  /** The time-out of {@link timeout} ran out. */
  timedOut(): void {
    this.#break({ kind: "timedOut", command: this.#command });
  }

  /**
   * The time-out that applies now, counted from when the last reply was whole or content was last
   * handed in; `undefined`: the caller's turn. Bytes of a reply that is not whole must not put it off,
   * or a peer that drips them has all the time in the world.
   */
  get timeout(): ClientTimeout | undefined {
    const name = timeoutOf[this.#conversation.state];
    if (name === undefined) return undefined;
    return { name, seconds: this.#options.timeouts?.[name] ?? clientTimeoutSeconds[name] };
  }

  /** Replies that came so far: when it grows, time-outs count anew. */
  get replies(): number {
    return this.#replies;
  }

  /** Whether the session takes no transaction any more: it is ending, as after QUIT, or has ended. */
  get ending(): boolean {
    return this.#ending !== undefined;
  }

  /** Whether the session has ended: `next()` returns what is left, up to `close`. */
  get ended(): boolean {
    return this.#conversation.state === "ended";
  }

  /** What the next hop offers; before its reply to EHLO, and to HELO: nothing. */
  get capabilities(): Capabilities {
    return this.#conversation.capabilities;
  }

  get #inHandshake(): boolean {
    return this.#conversation.state === "handshake";
  }

  get #command(): AnsweredCommand {
    const command = commandOf[this.#conversation.state];
    return command === "EHLO" && this.#options.flavour === "lmtp" ? "LHLO" : command;
  }

  /** One reply: the table says what happens. */
  #take(reply: Reply): void {
    const command = this.#command;
    const step = transitions[this.#conversation.state][eventOf(reply)];
    const awaited = this.#conversation.answered();
    this.#perform(step, reply, command, awaited);
    if (this.#delivery?.advance()) this.#decided();
  }

  /** A reply to what was not said yet answers nothing: taken for one, it would shift all that follow. */
  #refuseEarly(reply: Reply): void {
    this.#break({ kind: "unexpectedReply", command: this.#command, reply });
  }

  #break(failure: SessionFailure): void {
    const step = transitions[this.#conversation.state].broken;
    if (step === "finish") this.#close();
    else if (step === "break") this.#fail(failure);
  }

  #perform(step: Step, reply: Reply, command: AnsweredCommand, awaited: Awaited | undefined): void {
    const opening = this.#opening;
    switch (step) {
      case "sayHello":
      case "beginTls":
      case "authenticated":
        return opening[step]();
      case "readCapabilities":
      case "sayHelo":
      case "goWithoutExtensions":
      case "goOnInClear":
      case "answerChallenge":
      case "tryNextMechanism":
        return opening[step](reply);
      case "contentInvited":
      case "chunkTaken":
        return this.#delivery![step]();
      case "mailRefused":
      case "dataRefused":
      case "chunkRefused":
        return this.#delivery![step](reply);
      case "recipientAccepted":
        return this.#delivery![step](awaited!);
      case "recipientRefused":
      case "verdict":
        return this.#delivery![step](reply, awaited!);
      case "contentRefused":
        this.#delivery!.contentRefused(reply);
        return this.#fail({ kind: "refused", command, reply });
      case "becomeReady":
        return this.#idle();
      case "refuse":
      case "shutDown":
        return this.#fail({ kind: "refused", command, reply });
      case "unexpected":
        return this.#fail({ kind: "unexpectedReply", command, reply });
      case "finish":
        return this.#close();
      case "goOn":
      case "break":
      case "ignore":
        return;
    }
  }

  /** The transaction is decided. RSET after a failed one (RFC 5321 §4.1.1.5). */
  #decided(): void {
    const { outcomes: recipients, begun, delivered } = this.#delivery!;
    this.#delivery = undefined;
    this.#conversation.emit({ type: "outcome", outcome: { recipients } });
    if (!begun || delivered) return this.#idle();
    this.#conversation.say("RSET\r\n");
    this.#conversation.expect("reset");
  }

  /** Nothing is under way: the next transaction, QUIT, or the caller's turn. */
  #idle(): void {
    const { capabilities } = this.#conversation;
    this.#conversation.resting = "ready";
    if (this.#transactions >= (capabilities.limits.mailMax ?? Infinity)) return this.#sayQuit({});
    if (this.#pending !== undefined) {
      const delivery = new Delivery(this.#pending, this.#options, this.#conversation);
      this.#pending = undefined;
      this.#delivery = delivery;
      if (delivery.advance()) this.#decided();
      else this.#transactions++;
    } else if (this.#quitAsked) {
      this.#sayQuit({});
    } else {
      this.#conversation.emit({ type: "ready", capabilities });
    }
  }

  /** RFC 5321 §4.1.1.10: QUIT before closing, also where the peer refused us. */
  #sayQuit(ending: { readonly failure?: SessionFailure }): void {
    this.#ending = ending;
    this.#decidePending(ending.failure);
    this.#conversation.say("QUIT\r\n");
    this.#conversation.expect("quit");
  }

  #failAs(kind: "tlsInjection" | "contentAborted"): void {
    this.#fail(
      kind === "tlsInjection" ? { kind, command: "STARTTLS" } : { kind, command: "content" },
    );
  }

  /** The session cannot go on: decides what is open, then QUIT where that still makes sense. */
  #fail(failure: SessionFailure): void {
    const delivery = this.#delivery;
    if (delivery !== undefined) {
      delivery.fail(failure);
      this.#delivery = undefined;
      const { outcomes: recipients } = delivery;
      this.#conversation.emit({ type: "outcome", outcome: { recipients } });
    }
    if (listens(failure)) return this.#sayQuit({ failure });
    this.#ending = { failure };
    this.#decidePending(failure);
    this.#close();
  }

  #close(): void {
    this.#ending ??= {};
    this.#conversation.end(this.#ending.failure);
  }

  /** A transaction that was handed in but never begun. */
  #decidePending(failure: SessionFailure | undefined): void {
    const transaction = this.#pending;
    if (transaction === undefined) return;
    this.#pending = undefined;
    // Once the session was open, its end says nothing about a message that was never offered.
    const ended: SessionFailure = this.#opened || failure === undefined
      ? { kind: "ended", command: "idle" }
      : failure;
    const recipients = transaction.envelope.recipients.map((recipient) =>
      outcomeOfFailure(recipient, ended)
    );
    this.#conversation.emit({ type: "outcome", outcome: { recipients } });
  }
}

/** Whether the peer still listens after this failure, so that QUIT is in order. */
function listens(failure: SessionFailure): boolean {
  switch (failure.kind) {
    case "refused":
      return failure.reply.code !== 421 && failure.command !== "content";
    case "tlsUnavailable":
    case "authUnavailable":
      return true;
    default:
      return false;
  }
}

function checkOptions({ credentials, ehloName }: ClientSessionOptions): void {
  if (!/^[\x21-\x7e]+$/.test(ehloName)) throw new RangeError("ehloName is not a name");
  if (credentials === undefined) return;
  // NUL separates the fields of PLAIN, 1 those of OAUTHBEARER and XOAUTH2.
  for (const [name, value] of Object.entries(credentials)) {
    if (typeof value === "string" && (value.includes("\0") || value.includes("\x01"))) {
      throw new RangeError(`credentials.${name} holds a control character`);
    }
  }
  if (credentials.kind === "token") {
    if (!/^[\x21-\x7e]+$/.test(credentials.token)) throw new RangeError("credentials.token");
  } else if (!/^[\x21-\x2b\x2d-\x7e]{18,}$/.test(credentials.nonce)) {
    throw new RangeError("credentials.nonce is not 18 or more printable characters");
  }
}
