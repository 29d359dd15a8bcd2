/**
 * The server side of SMTP as one sans-IO state machine (RFC 5321): bytes and answers in, actions
 * out. This file joins lines, commands, content and replies; it must not know sockets, clocks,
 * promises or policy.
 */
import type { Envelope, EnvelopeRecipient, MailParameters } from "./envelope.ts";
import { DataReader } from "./framing/data-reader.ts";
import { type ParsedPath, parseForwardPath, parseReversePath } from "./path.ts";
import { isPositive, type Reply, reply } from "./reply.ts";
import type { ScramVerifier, ServerAction, ServerQuestion } from "./server/actions.ts";
import {
  defaultServerExtensions,
  defaultServerLimits,
  type ServerExtensions,
  type ServerLimits,
  type ServerSessionOptions,
  type TlsInformation,
} from "./server/options.ts";
import { readMailParameters, readRcptParameters } from "./server/basic-parameters.ts";
import type { ServerTimeout } from "./server/timeouts.ts";
import { decodeUtf8, encodeUtf8 } from "./wire-text.ts";

/** The transaction under way: MAIL was accepted. */
interface Transaction {
  readonly reversePath: string;
  readonly parameters: MailParameters;
  readonly recipients: EnvelopeRecipient[];
}

/** The content being received. */
interface Content {
  readonly reader: DataReader;
  readonly envelope: Envelope;
  size: number;
  eightBit: boolean;
  /** Set once the message cannot be taken: the rest is drained, then this is the answer. */
  refusal: Reply | undefined;
}

const LF = 10;

/** One session, server side. */
export class ServerSession {
  readonly #options: ServerSessionOptions;
  #limits: ServerLimits;
  #extensions: ServerExtensions;
  #input: Uint8Array = new Uint8Array();
  #actions: ServerAction[] = [];
  #out = "";
  #question:
    | { readonly asked: ServerQuestion; readonly answered: (reply?: Reply) => void }
    | undefined;
  #greeted: "no" | "yes" | "refused" = "no";
  #hello: "HELO" | "EHLO" | undefined;
  #transaction: Transaction | undefined;
  #content: Content | undefined;
  /** An overlong command line is being skipped. */
  #skipping = false;
  #errors = 0;
  #ending: "no" | "afterReplies" | "done" = "no";
  #inputEnded = false;
  #stopping = false;

  constructor(options: ServerSessionOptions) {
    this.#options = options;
    this.#limits = { ...defaultServerLimits, ...options.limits };
    this.#extensions = { ...defaultServerExtensions, ...options.extensions };
  }

  /** Begins: the first action is the `connect` question. */
  start(): void {
    this.#ask({ type: "connect" }, (refusal) => {
      this.#greeted = refusal === undefined ? "yes" : "refused";
      const { hostname, banner } = this.#options;
      this.#say(refusal ?? reply(220, undefined, `${hostname} ESMTP${banner ? ` ${banner}` : ""}`));
      if (refusal?.code === 421) this.#ending = "afterReplies";
    });
  }

  /** Takes bytes from the peer. The session keeps views on them until they are used up. */
  receive(bytes: Uint8Array): void {
    if (this.#ending !== "no") return;
    if (this.#input.length === 0) this.#input = bytes;
    else {
      const joined = new Uint8Array(this.#input.length + bytes.length);
      joined.set(this.#input);
      joined.set(bytes, this.#input.length);
      this.#input = joined;
    }
  }

  /** The peer will send no more (half-close or a lost connection). */
  inputEnded(): void {
    this.#inputEnded = true;
  }

  /** The next thing to do, or `undefined`: then input, an answer or an event is needed. */
  next(): ServerAction | undefined {
    for (;;) {
      const action = this.#actions.shift();
      if (action !== undefined) return action;
      if (this.#question === undefined && this.#ending === "no" && this.#step()) continue;
      if (this.#out !== "") {
        const bytes = encodeUtf8(this.#out);
        this.#out = "";
        return { type: "send", bytes };
      }
      if (this.#question !== undefined) return undefined;
      if (this.#ending === "no" && this.#inputEnded) {
        this.#drop("ended");
        this.#ending = "afterReplies";
        continue;
      }
      if (this.#ending !== "afterReplies") return undefined;
      this.#ending = "done";
      return { type: "close" };
    }
  }

  /** The open question, or `undefined`. */
  get question(): ServerQuestion | undefined {
    return this.#question?.asked;
  }

  /** Whether the adapter should read from the socket; false: pause it. */
  get wantsInput(): boolean {
    return this.#ending === "no" &&
      (this.#question === undefined || this.#input.length < this.#limits.pendingInput);
  }

  /** Which time-out applies now. */
  get timeout(): ServerTimeout {
    if (this.#question !== undefined) return "none";
    return this.#content === undefined ? "command" : "data";
  }

  /** Changes limits and extensions from now on. */
  configure({ limits, extensions }: Partial<ServerSessionOptions>): void {
    this.#limits = { ...this.#limits, ...limits };
    this.#extensions = { ...this.#extensions, ...extensions };
  }

  /** Answers the open question with yes and the standard reply. */
  accept(): void {
    this.answer(undefined);
  }

  /** Answers the open question with no and this 4yz or 5yz reply (421 also closes). */
  refuse(refusal: Reply): void {
    this.answer(refusal);
  }

  /** Answers the open question: the reply's class says yes or no; `undefined` is {@link accept}. */
  answer(given: Reply | undefined): void {
    const question = this.#question;
    if (question === undefined) throw new Error("no question is open");
    this.#question = undefined;
    question.answered(given);
    if (given?.code === 421) this.#ending = "afterReplies";
  }

  /** The time-out of {@link timeout} ran out: 421 4.4.2 and close. */
  timedOut(): void {
    if (this.#question !== undefined || this.#ending !== "no") return;
    this.#drop("ended");
    this.#say(reply(421, "4.4.2", `${this.#options.hostname} Timed out waiting for you`));
    this.#ending = "afterReplies";
  }

  /** The server stops: 421 4.3.2 at the next command border; at once when idle. */
  shutDown(): void {
    this.#stopping = true;
  }

  /** LMTP, SCRAM and TLS are not spoken yet: nothing of the session asks for these. */
  answerEach(_replies: readonly Reply[]): void {
    throw new Error("no LMTP session");
  }

  /** See {@link answerEach}. */
  answerScram(_verifier: ScramVerifier | undefined): void {
    throw new Error("no AUTH");
  }

  /** See {@link answerEach}. */
  answerDigest(_digest: Uint8Array): void {
    throw new Error("no AUTH");
  }

  /** See {@link answerEach}. */
  tlsStarted(_information?: TlsInformation): void {
    throw new Error("no STARTTLS");
  }

  // ── Input ────────────────────────────────────────────────────────────────────────────────────

  /** Uses up some input; false when that needs more of it. */
  #step(): boolean {
    if (this.#greeted === "no") return false;
    if (this.#content !== undefined) return this.#readContent(this.#content);
    if (this.#stopping) {
      this.#drop("ended");
      this.#say(reply(421, "4.3.2", `${this.#options.hostname} is shutting down`));
      this.#ending = "afterReplies";
      return true;
    }
    return this.#readLine();
  }

  #readLine(): boolean {
    const end = this.#input.indexOf(LF);
    if (end < 0) {
      if (this.#input.length <= this.#limits.commandLine) return false;
      this.#skipping = true;
      this.#input = new Uint8Array();
      return false;
    }
    const line = this.#input.subarray(0, end + 1);
    this.#input = this.#input.subarray(end + 1);
    if (this.#skipping || line.length > this.#limits.commandLine) {
      this.#skipping = false;
      this.#error(reply(500, "5.5.2", "Line too long"));
      return true;
    }
    const text = decodeUtf8(line);
    // deno-lint-ignore no-control-regex
    const command = text === undefined ? null : /^([^\x00-\x1f\x7f]*)\r\n$/.exec(text);
    if (command === null) {
      this.#error(reply(500, "5.5.2", "A command is one line of text that ends with CRLF"));
    } else this.#command(command[1]!);
    return true;
  }

  #readContent(content: Content): boolean {
    if (this.#input.length === 0) return false;
    const views: Uint8Array[] = [];
    const rest = content.reader.push(this.#input, views);
    this.#input = rest ?? new Uint8Array();
    for (const bytes of views) {
      content.size += bytes.length;
      if (content.size > this.#limits.messageSize) {
        content.refusal ??= reply(552, "5.3.4", "The message is too large");
      }
      content.eightBit ||= bytes.some((byte) => byte > 127);
      if (content.refusal === undefined) this.#actions.push({ type: "content", bytes });
    }
    if (content.reader.defect !== undefined) {
      content.refusal ??= reply(550, "5.5.2", "Lines of content must end with CRLF, without NUL");
    }
    if (rest !== undefined) this.#endContent(content);
    return true;
  }

  #endContent({ envelope, size, eightBit, refusal }: Content): void {
    this.#content = undefined;
    this.#transaction = undefined;
    if (refusal !== undefined) {
      this.#actions.push({ type: "reset", reason: "content" });
      this.#error(refusal);
      return;
    }
    this.#ask({ type: "message", envelope, size, eightBit, receivedFields: 0 }, (given) => {
      this.#say(given ?? reply(250, "2.0.0", "Ok"));
    });
  }

  // ── Commands ─────────────────────────────────────────────────────────────────────────────────

  #command(line: string): void {
    const space = line.indexOf(" ");
    const verb = (space < 0 ? line : line.slice(0, space)).toUpperCase();
    const argument = space < 0 ? "" : line.slice(space + 1).trim();
    if (this.#greeted === "refused" && verb !== "QUIT") {
      return this.#error(reply(503, "5.5.1", "You may only QUIT"));
    }
    switch (verb) {
      case "EHLO":
      case "HELO":
        return this.#sayHello(verb, argument);
      case "MAIL":
        return this.#mail(argument);
      case "RCPT":
        return this.#rcpt(argument);
      case "DATA":
        return this.#data(argument);
      case "RSET":
        if (argument !== "") return this.#error(reply(501, "5.5.4", "RSET takes no argument"));
        this.#drop("rset");
        return this.#say(reply(250, "2.0.0", "Ok"));
      case "NOOP":
        return this.#say(reply(250, "2.0.0", "Ok"));
      case "HELP":
        return this.#say(reply(214, "2.0.0", "See RFC 5321"));
      case "VRFY":
        if (argument === "") return this.#error(reply(501, "5.5.4", "VRFY takes an address"));
        return this.#say(reply(252, "2.5.2", "Send mail to find out"));
      case "QUIT":
        if (argument !== "") return this.#error(reply(501, "5.5.4", "QUIT takes no argument"));
        this.#drop("ended");
        this.#say(reply(221, "2.0.0", `${this.#options.hostname} Goodbye`));
        this.#ending = "afterReplies";
        return;
      case "EXPN":
      case "STARTTLS":
      case "AUTH":
      case "BDAT":
      case "ETRN":
      case "TURN":
        return this.#error(reply(502, "5.5.1", "Command not implemented"));
      default:
        return this.#error(reply(500, "5.5.2", "Command not recognised"));
    }
  }

  #sayHello(verb: "EHLO" | "HELO", name: string): void {
    if (name === "" || name.length > 255 || name.includes(" ")) {
      return this.#error(reply(501, "5.5.4", `${verb} takes your name`));
    }
    const wellFormed = /^([A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[^\s\[\]]+\])$/.test(name);
    this.#ask({ type: "hello", verb, name, wellFormed }, (refusal) => {
      if (refusal !== undefined) return this.#error(refusal);
      this.#drop("hello");
      this.#hello = verb;
      const lines = verb === "EHLO" ? this.#offers() : [];
      this.#say({ code: 250, lines: [this.#options.hostname, ...lines] });
    });
  }

  #offers(): string[] {
    const { pipelining, size, eightBitMime, smtpUtf8, dsn } = this.#extensions;
    return [
      ...(pipelining ? ["PIPELINING"] : []),
      ...(size ? [`SIZE ${this.#limits.messageSize}`] : []),
      ...(eightBitMime ? ["8BITMIME"] : []),
      ...(smtpUtf8 ? ["SMTPUTF8"] : []),
      ...(dsn ? ["DSN"] : []),
      "ENHANCEDSTATUSCODES",
    ];
  }

  #mail(argument: string): void {
    if (this.#hello === undefined) {
      return this.#error(reply(503, "5.5.1", "Say EHLO or HELO first"));
    }
    if (this.#transaction !== undefined) return this.#error(reply(503, "5.5.1", "MAIL was given"));
    const read = readPath(argument, "FROM:", parseReversePath);
    if (read === undefined) return this.#error(reply(501, "5.1.7", "Syntax: MAIL FROM:<address>"));
    const { parameters, refusal } = readMailParameters(read.rest) as
      & ReturnType<typeof readMailParameters>
      & { parameters: MailParameters };
    if (refusal !== undefined) return this.#error(refusal);
    if ((parameters.size ?? 0) > this.#limits.messageSize) {
      return this.#error(reply(552, "5.3.4", `The limit is ${this.#limits.messageSize} bytes`));
    }
    const { path } = read;
    if (path.kind === "mailbox" && path.internationalized && !parameters.smtpUtf8) {
      return this.#error(reply(553, "5.6.7", "This address needs SMTPUTF8"));
    }
    this.#ask({ type: "mail", reversePath: path, parameters }, (given) => {
      if (given !== undefined && !isPositive(given)) return this.#error(given);
      this.#transaction = { reversePath: path.address, parameters, recipients: [] };
      this.#say(given ?? reply(250, "2.1.0", "Sender ok"));
    });
  }

  #rcpt(argument: string): void {
    const transaction = this.#transaction;
    if (transaction === undefined) return this.#error(reply(503, "5.5.1", "MAIL comes first"));
    const read = readPath(argument, "TO:", parseForwardPath);
    if (read === undefined) return this.#error(reply(501, "5.1.3", "Syntax: RCPT TO:<address>"));
    const { parameters, refusal } = readRcptParameters(read.rest) as
      & ReturnType<typeof readRcptParameters>
      & { parameters: EnvelopeRecipient["parameters"] };
    if (refusal !== undefined) return this.#error(refusal);
    const { path } = read;
    if (path.kind === "mailbox" && path.internationalized && !transaction.parameters.smtpUtf8) {
      return this.#error(reply(553, "5.6.7", "This address needs SMTPUTF8"));
    }
    if (transaction.recipients.length >= this.#limits.recipients) {
      return this.#say(reply(452, "4.5.3", "Too many recipients: send the rest separately"));
    }
    this.#ask({ type: "rcpt", forwardPath: path, parameters }, (given) => {
      if (given !== undefined && !isPositive(given)) return this.#error(given);
      transaction.recipients.push({ forwardPath: path.address, parameters });
      this.#say(given ?? reply(250, "2.1.5", "Recipient ok"));
    });
  }

  #data(argument: string): void {
    const transaction = this.#transaction;
    if (argument !== "") return this.#error(reply(501, "5.5.4", "DATA takes no argument"));
    if (transaction === undefined) return this.#error(reply(503, "5.5.1", "MAIL comes first"));
    if (transaction.recipients.length === 0) {
      return this.#error(reply(554, "5.5.1", "No valid recipients"));
    }
    const envelope: Envelope = transaction;
    this.#ask({ type: "data", verb: "DATA", envelope }, (given) => {
      if (given !== undefined && !isPositive(given)) return this.#error(given);
      const reader = new DataReader();
      this.#content = { reader, envelope, size: 0, eightBit: false, refusal: undefined };
      this.#say(reply(354, undefined, "Go on, end with a line of one dot"));
    });
  }

  // ── Answers ──────────────────────────────────────────────────────────────────────────────────

  #ask(asked: ServerQuestion, answered: (reply?: Reply) => void): void {
    this.#question = { asked, answered };
    this.#actions.push(asked);
  }

  /** Drops the transaction; tells the adapter if there was one. */
  #drop(reason: "rset" | "hello" | "ended"): void {
    if (this.#transaction !== undefined) this.#actions.push({ type: "reset", reason });
    this.#transaction = undefined;
    this.#content = undefined;
  }

  #error(refusal: Reply): void {
    this.#errors += 1;
    this.#say(refusal);
    if (this.#errors <= this.#limits.errors) return;
    this.#drop("ended");
    this.#say(reply(421, "4.7.0", `${this.#options.hostname} Too many errors`));
    this.#ending = "afterReplies";
  }

  #say({ code, enhanced, lines }: Reply): void {
    lines.forEach((line, index) => {
      const mark = index < lines.length - 1 ? "-" : " ";
      this.#out += `${code}${mark}${enhanced === undefined ? "" : `${enhanced} `}${line}\r\n`;
    });
  }
}

/** The path after `FROM:` or `TO:`; a space after the colon is let pass, as many clients send it. */
function readPath<P>(
  argument: string,
  keyword: string,
  parse: (text: string) => ParsedPath<P>,
): { readonly path: P; readonly rest: string } | undefined {
  if (argument.slice(0, keyword.length).toUpperCase() !== keyword) return undefined;
  const text = argument.slice(keyword.length).trimStart();
  const parsed = parse(text);
  if ("fault" in parsed) return undefined;
  const rest = text.slice(parsed.end);
  return rest === "" || rest.startsWith(" ") ? { path: parsed.path, rest } : undefined;
}
