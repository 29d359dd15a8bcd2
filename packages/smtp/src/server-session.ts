/**
 * The server side of SMTP, submission and LMTP as one sans-IO state machine (RFC 5321, RFC 2033).
 *
 * The adapter hands bytes to `receive()` and then performs what `next()` returns until it returns
 * `undefined`. A question stops the session until it is answered, at once or later; after a late
 * answer, and after every other event, the adapter calls `next()` again:
 *
 * ```ts
 * session.receive(bytes);
 * for (let action = session.next(); action !== undefined; action = session.next()) {
 *   if (action.type === "send") socket.write(action.bytes);
 *   else if (action.type === "rcpt") session.refuse(reply(550, "5.1.1", "No such user"));
 *   …
 * }
 * ```
 *
 * Replies to pipelined commands leave in one `send`: when the input is used up, or a question is
 * open with no input behind it; or at `flush()`, when an answer takes long. This file must not know sockets, clocks, promises or policy; what
 * commands do is in `server/`.
 */
import type { Reply } from "./reply.ts";
import type {
  ContentAction,
  ScramVerifier,
  SendAction,
  ServerAction,
  ServerQuestion,
} from "./server/actions.ts";
import { answered } from "./server/authentication.ts";
import { endOfChunk, finalReplies, readContent } from "./server/content-phase.ts";
import { ServerCore } from "./server/core.ts";
import { takeCommand, takeResponse } from "./server/dispatch.ts";
import type { ServerSessionOptions, TlsInformation } from "./server/options.ts";
import { readPreamble } from "./server/preamble-phase.ts";
import { replies } from "./server/replies.ts";
import { changeOptions, resolveOptions } from "./server/resolved-options.ts";
import type { ServerTimeout } from "./server/timeouts.ts";
import { timeoutOf } from "./server/states.ts";

/** One session, server side. */
export class ServerSession {
  readonly #core: ServerCore;

  constructor(options: ServerSessionOptions) {
    this.#core = new ServerCore(resolveOptions(options));
  }

  /** Begins: the first action is the `connect` question, or the wait for a PROXY preamble. */
  start(): void {
    const core = this.#core;
    if (core.state !== "start") throw new Error("the session was started before");
    if (core.options.proxy) core.state = "proxy";
    else core.greet();
  }

  /**
   * Takes bytes from the peer. The session keeps views on them, and hands out views as content, so
   * they must not be overwritten before `next()` has returned `undefined` with no question open.
   */
  receive(bytes: Uint8Array): void {
    const core = this.#core;
    if (core.state === "closed" || bytes.length === 0) return;
    if (core.state === "tls") {
      core.reply(replies.pipelinedBehindTls);
      return core.end();
    }
    // An adapter that heeds `wantsInput` does not come here; one that does not costs no memory.
    const waiting = core.input.size;
    if (waiting > 0 && waiting + bytes.length > core.options.limits.pendingInput * 4) {
      return core.reply(replies.tooMuchInput);
    }
    core.input.push(bytes);
  }

  /** The peer will send no more (half-close or a lost connection). */
  inputEnded(): void {
    this.#core.inputOver = true;
  }

  /** The next thing to do, or `undefined`: then input, an answer or an event is needed. */
  next(): ServerAction | undefined {
    const core = this.#core;
    for (;;) {
      if (core.actions.length > 0) {
        const type = core.actions[0]!.type;
        if ((type === "close" || type === "startTls") && core.output.length > 0) {
          return this.#send();
        }
        return core.actions.shift();
      }
      if (core.delaySeconds > 0) return this.#send();
      if (core.question !== undefined) {
        // Before a message is committed, all that is owed for earlier ones must be on its way.
        const due = core.question.type === "message" || core.input.size === 0;
        return due ? this.#send() : undefined;
      }
      const step = this.#step();
      if (typeof step === "object") return step;
      if (step) continue;
      if (!core.inputOver || core.state === "closed") return this.#send();
      core.end();
    }
  }

  /**
   * The replies that wait for that to the open question, or `undefined`: for an adapter whose answer
   * takes long. A client counts the time of each reply by itself (RFC 5321 §4.5.3.2).
   */
  flush(): SendAction | undefined {
    return this.#core.question === undefined ? undefined : this.#send();
  }

  /** The open question, or `undefined`. */
  get question(): ServerQuestion | undefined {
    return this.#core.question;
  }

  /** Whether the adapter should read from the socket; false: pause it. */
  get wantsInput(): boolean {
    const { state, input, options, inputOver } = this.#core;
    if (state === "closed" || state === "tls" || inputOver) return false;
    return input.size <= options.limits.pendingInput;
  }

  /** Which time-out applies now, counted from the last byte received or sent. */
  get timeout(): ServerTimeout {
    const { state, question, drainLeft } = this.#core;
    if (question !== undefined) return "none";
    return drainLeft > 0 ? "data" : timeoutOf[state];
  }

  /** Whether the session is over: after `close` there is nothing more to come. */
  get closed(): boolean {
    return this.#core.state === "closed";
  }

  /** Whether the client has authenticated. */
  get authenticated(): boolean {
    return this.#core.authenticated;
  }

  /**
   * Changes options from now on, for example trust after `connect`. Limits of lines stay. Changes
   * that many sessions share are worked out once.
   */
  configure(changes: Partial<ServerSessionOptions>): void {
    const core = this.#core;
    const options = changeOptions(core.options, changes);
    if (options === core.options) return;
    core.options = options;
    core.refreshOffer();
  }

  /** Answers the open question with yes and the standard reply. */
  accept(): void {
    this.answer(undefined);
  }

  /** Answers the open question with no and this 4yz or 5yz reply (421 also closes). */
  refuse(reply: Reply): void {
    this.answer(reply);
  }

  /**
   * Answers the open question: the reply's class says yes or no; `undefined` is {@link accept}.
   * Nothing happens once the session is closed; it is a bug to answer when no question is open.
   */
  answer(reply: Reply | undefined): void {
    if (this.closed) return;
    this.#core.answered(reply);
  }

  /** Answers a `message` question in LMTP: a reply for each accepted recipient, in their order. */
  answerEach(given: readonly Reply[]): void {
    if (this.closed) return;
    this.#close("message");
    finalReplies(this.#core, given);
  }

  /** Answers a `scram` question; `undefined` refuses with 535 5.7.8. */
  answerScram(verifier: ScramVerifier | undefined): void {
    if (this.closed) return;
    this.#close("scram");
    answered(this.#core, { kind: "verifier", verifier });
  }

  /** Answers a `digest` question. */
  answerDigest(digest: Uint8Array): void {
    if (this.closed) return;
    this.#close("digest");
    answered(this.#core, { kind: "digest", digest });
  }

  /** The TLS handshake that `startTls` asked for is done: the session begins anew before EHLO. */
  tlsStarted(information: TlsInformation = {}): void {
    const core = this.#core;
    if (core.state !== "tls") return;
    core.options = changeOptions(core.options, { tls: "active", tlsInformation: information });
    core.startAnew();
    core.state = "greeted";
  }

  /** The time-out of {@link timeout} ran out: 421 4.4.2 and close. */
  timedOut(): void {
    const core = this.#core;
    // Nobody who waits for a preamble or a handshake reads replies in clear.
    if (core.state === "proxy" || core.state === "tls") core.end();
    else core.reply(replies.timedOut);
  }

  /**
   * The server stops: 421 4.3.2 at the next command boundary and close; at once when the session
   * waits for a command. An open question and content on its way are seen through.
   */
  shutDown(): void {
    this.#core.stopping = true;
  }

  #send(): SendAction | undefined {
    const core = this.#core;
    if (core.output.length === 0) return undefined;
    const bytes = core.output.take();
    const { delaySeconds } = core;
    if (delaySeconds === 0) return { type: "send", bytes };
    core.delaySeconds = 0;
    return { type: "send", bytes, delaySeconds };
  }

  /** Does one thing with the input; false: there is not enough of it. */
  #step(): ContentAction | boolean {
    const core = this.#core;
    switch (core.state) {
      case "start":
      case "tls":
      case "closed":
        return false;
      case "proxy":
        return readPreamble(core);
      case "content":
        return readContent(core);
      default:
        return core.drainLeft > 0 ? this.#drain() : this.#readLine();
    }
  }

  #drain(): boolean {
    const core = this.#core;
    if (!core.input.advance()) return false;
    const { chunk, position } = core.input;
    const size = Math.min(core.drainLeft, chunk.length - position);
    core.input.position += size;
    core.drainLeft -= size;
    if (core.drainLeft === 0) endOfChunk(core);
    return true;
  }

  #readLine(): boolean {
    const core = this.#core;
    const { input, lines } = core;
    if (core.stopping) {
      core.reply(replies.shutDown);
      return true;
    }
    if (!input.advance()) return false;
    const end = lines.take(input.chunk, input.position);
    input.position = end === -1 ? input.chunk.length : end;
    if (end === -1) return true;
    if (core.state === "auth") takeResponse(core, lines.line);
    else takeCommand(core, lines.line);
    return true;
  }

  #close(type: ServerQuestion["type"]): void {
    const core = this.#core;
    if (core.question?.type !== type) throw new Error(`no ${type} question is open`);
    core.question = undefined;
    core.resume = undefined;
  }
}
