/**
 * The state of a server session and the few things that every command does with it: answer, ask,
 * notify, change state, end. Handlers of commands are functions over this.
 *
 * This file must not know any command.
 */
import { LineReader } from "../lines.ts";
import { type Reply, reply } from "../reply.ts";
import type { ResetAction, ServerAction, ServerQuestion } from "./actions.ts";
import type { ContentIntake } from "./content-intake.ts";
import { InputQueue } from "./input-queue.ts";
import { nothingOffered, type Offer, offerOf } from "./offer.ts";
import type { ResolvedOptions } from "./resolved-options.ts";
import { ReplyBuffer } from "./reply-buffer.ts";
import type { SaslExchange } from "./sasl.ts";
import type { ServerState } from "./states.ts";
import type { Transaction } from "./transaction.ts";

/** What an answer to a question leads to. */
export type Resume = (answer: Reply | undefined) => void;

/** Shared by all sessions: thousands may be idle. */
const nothing = new Uint8Array(0);

/** The state of one session. */
export class ServerCore {
  options: ResolvedOptions;
  state: ServerState = "start";
  readonly input = new InputQueue();
  readonly output = new ReplyBuffer();
  readonly lines: LineReader;
  /** Actions that are due, before any input is read. */
  readonly actions: ServerAction[] = [];
  /** The open question with what its answer leads to. */
  question: ServerQuestion | undefined;
  resume: Resume | undefined;

  /** What was said at EHLO; `nothingOffered` before it and after HELO. */
  offer: Offer = nothingOffered;
  /** Whether EHLO or LHLO was accepted, so that extensions may be used. */
  extended = false;
  authenticated = false;
  transaction: Transaction | undefined;
  content: ContentIntake | undefined;
  sasl: SaslExchange | undefined;
  /** Octets of a BDAT chunk that nobody takes, still to be drained. */
  drainLeft = 0;
  /** What to do once the BDAT chunk that is being read or drained is over. */
  afterChunk: (() => void) | undefined;
  /** What came of a PROXY preamble so far. */
  preamble: Uint8Array = nothing;
  stopping = false;
  inputOver = false;

  errors = 0;
  commands = 0;
  transactions = 0;
  /** Seconds that the replies that wait are to be held back, and that they are to leave now. */
  delaySeconds = 0;

  constructor(options: ResolvedOptions) {
    this.options = options;
    this.lines = new LineReader(Math.max(options.limits.commandLine, options.limits.authLine));
  }

  /** Answers the client. A 5yz reply counts as an error; 421 ends the session. */
  reply(given: Reply): void {
    if (this.state === "closed") return;
    this.output.add(given);
    if (given.code === 421) return this.end();
    if (given.code < 500) return;
    this.errors++;
    const { afterErrors, seconds } = this.options.tarpit;
    if (this.errors > afterErrors && seconds > 0) this.delaySeconds += seconds;
  }

  /** Asks the adapter; `resume` gets the answer, `undefined` for yes. */
  ask(question: ServerQuestion, resume: Resume): void {
    this.question = question;
    this.resume = resume;
    this.actions.push(question);
  }

  /** Takes the answer to the open question. */
  answered(answer: Reply | undefined): void {
    const resume = this.resume;
    if (resume === undefined) throw new Error("there is no open question");
    this.question = undefined;
    this.resume = undefined;
    resume(answer);
    if (answer?.code === 421) this.end();
  }

  /** Tells the adapter, once, that the open transaction is dropped. */
  discard(reason: ResetAction["reason"]): void {
    if (this.transaction === undefined || this.transaction.discarded) return;
    this.transaction.discarded = true;
    this.actions.push({ type: "reset", reason });
  }

  /** Drops the transaction, if there is one. */
  reset(reason: ResetAction["reason"]): void {
    this.discard(reason);
    this.forgetTransaction();
  }

  /** The transaction is over, without a notice. */
  forgetTransaction(): void {
    this.transaction = undefined;
    this.content = undefined;
  }

  /** Works out anew what is offered, after something changed. */
  refreshOffer(): void {
    this.offer = this.extended ? offerOf(this.options, this.authenticated) : nothingOffered;
  }

  /** Back to before EHLO: after TLS, and after XCLIENT. */
  startAnew(): void {
    this.forgetTransaction();
    this.extended = false;
    this.authenticated = false;
    this.sasl = undefined;
    this.offer = nothingOffered;
  }

  /** Ends the session when what waits was sent. */
  end(atRequest = false): void {
    if (this.state === "closed") return;
    // A question that was not handed out yet need not be asked any more.
    if (this.question !== undefined && this.actions.at(-1) === this.question) this.actions.pop();
    this.question = undefined;
    this.resume = undefined;
    this.reset("ended");
    this.state = "closed";
    this.drainLeft = 0;
    this.input.clear();
    this.lines.clear();
    this.actions.push({ type: "close", atRequest });
  }

  /** Says the greeting, or why there is none, and waits for commands (RFC 5321 §3.1). */
  greet(): void {
    this.ask({ type: "connect" }, (answer) => {
      const { options } = this;
      if (answer !== undefined && answer.code >= 300) {
        this.state = "refused";
        this.output.add(answer);
        return;
      }
      this.state = "greeted";
      const protocol = options.flavour === "lmtp" ? "LMTP" : "ESMTP";
      const text = `${options.hostname} ${protocol}${options.banner && ` ${options.banner}`}`;
      this.output.add(answer ?? reply(220, undefined, text));
    });
  }
}
