/**
 * Plays a transcript against a client session: the golden files of `transcripts/client`.
 *
 * A transcript is text. Lines that make something happen:
 *
 *     S: text               the server sends this line (S~ raw text with escapes, no line end)
 *     options {json}        how the session is made (first line)
 *     deliver a@b -> c@d e@f {json}   a transaction; the JSON has its other fields, `mail` and `rcpt`
 *                           being the parameters of the envelope and of each of its recipients
 *     content text          hands in content, with the escapes \r \n \t \\ \xHH;  `content* N` N bytes of x
 *     end, abort, quit, disconnect, tls, tls verified, tls failed TEXT, proof, proof wrong
 *     timeout NAME          the time-out of this name runs out
 *
 * Lines that say what must have come out, in order, before the next thing happens:
 *
 *     C: text               the client sends this line (C~ without a line end)
 *     = text                an action or an outcome
 *
 * This file must not know sockets or files.
 */
import type { EnvelopeRecipient, MailParameters, RcptParameters } from "../../envelope.ts";
import { ClientSession } from "../../client-session.ts";
import type { ClientAction, Transaction } from "../actions.ts";
import type { ClientSessionOptions } from "../options.ts";
import { type RecipientOutcome, replyOfCause } from "../outcome.ts";

/** How bytes of the server are cut: into the pieces in which the session receives them. */
export type Cut = (bytes: Uint8Array) => readonly Uint8Array[];

/** What a session sent and asked for, as the lines of a transcript. */
class Recorder {
  readonly lines: string[] = [];
  #sent = "";

  record(action: ClientAction): void {
    if (action.type === "send") {
      if (action.bytes.length === 0) throw new Error("empty send");
      for (const byte of action.bytes) this.#sent += String.fromCharCode(byte);
      return;
    }
    this.flush();
    this.lines.push(...describe(action));
  }

  flush(): void {
    const lines = this.#sent.split("\r\n");
    const rest = lines.pop()!;
    for (const line of lines) this.lines.push(`C: ${escape(line)}`.trimEnd());
    if (rest !== "") this.lines.push(`C~ ${escape(rest)}`);
    this.#sent = "";
  }
}

function describe(action: Exclude<ClientAction, { type: "send" }>): string[] {
  switch (action.type) {
    case "needContent":
      return [`= needContent ${action.form}${action.first ? "" : " again"}`];
    case "scramProof":
      return [`= scramProof ${action.iterations} ${text(action.authMessage)}`];
    case "outcome":
      return ["= outcome", ...action.outcome.recipients.map(describeRecipient)];
    case "close": {
      const { failure } = action;
      return [failure === undefined ? "= close" : `= close ${failure.kind} ${failure.command}`];
    }
    default:
      return [`= ${action.type}`];
  }
}

function describeRecipient(outcome: RecipientOutcome): string {
  const { cause, command, recipient, status } = outcome;
  const { code, enhanced, lines } = replyOfCause(cause);
  const why = cause.kind === "reply"
    ? ""
    : cause.kind === "failure"
    ? ` (${cause.failure.kind})`
    : ` (${cause.kind})`;
  const said = [code, ...(enhanced === undefined ? [] : [enhanced]), ...lines].join(" ").trimEnd();
  const owed = outcome.dsnTakenOver ? " [report owed]" : "";
  return `= <${escape(recipient.forwardPath)}> ${status} ${command}${why}: ${said}${owed}`;
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

function escape(raw: string): string {
  return [...raw].map((character) => {
    const code = character.charCodeAt(0);
    if (character === "\\") return "\\\\";
    return code < 32 || code > 126 ? `\\x${code.toString(16).padStart(2, "0")}` : character;
  }).join("").replace(/x{64,}/g, (run) => `x*${run.length}`);
}

function unescape(escaped: string): Uint8Array {
  const raw = escaped.replace(
    /\\(?:x([0-9a-f]{2})|(.))/g,
    (_, hex, letter) =>
      hex === undefined
        ? ({ r: "\r", n: "\n", t: "\t" } as Record<string, string>)[letter] ?? letter
        : String.fromCharCode(parseInt(hex, 16)),
  );
  return Uint8Array.from(raw, (character) => character.charCodeAt(0));
}

/** What a line of input does to a session. */
type Input = (session: ClientSession) => void;

/** Plays a transcript's inputs; returns the transcript as it came out, to be compared. */
export function play(transcript: string, cut: Cut = (bytes) => [bytes]): string {
  const recorder = new Recorder();
  const output: string[] = [];
  let options: ClientSessionOptions = { ehloName: "client.example" };
  let session: ClientSession | undefined;
  const take = () => {
    for (let action = session?.next(); action !== undefined; action = session?.next()) {
      recorder.record(action);
    }
  };
  const drain = () => {
    take();
    recorder.flush();
    output.push(...recorder.lines.splice(0));
  };
  // Lines of the server that follow each other are received at once, unless they are cut.
  let received: number[] = [];
  const receive = () => {
    if (received.length === 0) return;
    for (const piece of cut(Uint8Array.from(received))) {
      session!.receive(piece);
      // The bytes are used up: an adapter may reuse its buffer.
      piece.fill(0x58);
      take();
    }
    received = [];
    drain();
  };
  for (const line of transcript.split("\n")) {
    const expected = /^(?:C[:~]|=)/.test(line);
    if (line === "" || line.startsWith("#")) {
      if (!expected) receive();
      output.push(line);
      continue;
    }
    if (expected) {
      receive();
      continue;
    }
    if (line.startsWith("options ")) {
      options = { ...options, ...JSON.parse(line.slice(8)) };
      output.push(line);
      continue;
    }
    session ??= new ClientSession(options);
    if (/^S[:~]/.test(line)) {
      received.push(...unescape(line.slice(3)), ...(line[1] === ":" ? [13, 10] : []));
      output.push(line);
      continue;
    }
    receive();
    output.push(line);
    inputOf(line)(session);
    drain();
  }
  receive();
  return output.join("\n");
}

function inputOf(line: string): Input {
  const [word, ...words] = line.split(" ");
  const rest = words.join(" ");
  switch (word) {
    case "deliver":
      return (session) => session.deliver(transactionOf(rest));
    case "content":
      return (session) => session.content(unescape(rest));
    case "content*":
      return (session) => session.content(new Uint8Array(Number(rest)).fill(0x78));
    case "end":
      return (session) => session.endOfContent();
    case "abort":
      return (session) => session.abortContent();
    case "quit":
      return (session) => session.quit();
    case "disconnect":
      return (session) => session.disconnected();
    case "tls":
      if (words[0] === "failed") return (session) => session.tlsFailed(words.slice(1).join(" "));
      return (session) => session.tlsStarted({ verified: words[0] === "verified" });
    case "proof": {
      // The arithmetic is the adapter's; a session only carries its results.
      const serverSignature = new Uint8Array(32).fill(rest === "wrong" ? 9 : 2);
      const proof = { clientProof: new Uint8Array(32).fill(1), serverSignature };
      return (session) => session.answerScram(proof);
    }
    case "timeout":
      return (session) => {
        const name = session.timeout?.name;
        if (name !== rest) throw new Error(`the time-out is ${name}, not ${rest}`);
        session.timedOut();
      };
    default:
      throw new Error(`not a line of a transcript: ${line}`);
  }
}

function transactionOf(line: string): Transaction {
  const match = /^(\S*) -> ([^{]*?)(?: (\{.*))?$/.exec(line);
  if (match === null) throw new Error(`not a transaction: ${line}`);
  const [, reversePath, paths, json = "{}"] = match;
  const { mail = {}, rcpt = {}, ...others } = JSON.parse(json) as
    & Omit<Transaction, "envelope">
    & { mail?: MailParameters; rcpt?: RcptParameters };
  const recipients: EnvelopeRecipient[] = paths!.split(" ").map((forwardPath) => ({
    forwardPath: JSON.parse(`"${forwardPath}"`),
    parameters: rcpt,
  }));
  return {
    ...others,
    envelope: {
      reversePath: reversePath === "<>" ? "" : JSON.parse(`"${reversePath}"`),
      parameters: mail,
      recipients,
    },
  };
}
