/**
 * Plays a server transcript: what the client sends, what the adapter decides, and what must come out.
 *
 *     @ {"flavour":"lmtp"}      options of the session, at the top; @whole: must not be cut up
 *     ; a remark, which also ends a write
 *     C: EHLO a.test            a line from the client, with CRLF; several in a row are one write
 *     C~ raw bytes\r\n\x00      bytes from the client as they stand, with escapes
 *     ! timeout                 an event: timeout, shutdown, eof, tls JSON, configure JSON,
 *                               answer DECISION (to a question left open)
 *     S: 250 a.test             a reply line that must come
 *     # rcpt <b@c.test> {} → 550 5.1.1 No such user      what must be asked, and the decision
 *
 * The lines behind a write or an event, up to the next, say what it leads to: the replies in their
 * order, and the actions in theirs. Decisions: accept (also where nothing is said), later, a reply.
 * Questions of the usual flow and content need no line; every other action does.
 */
import { createHash, createHmac } from "node:crypto";
import {
  formatPath,
  type Reply,
  reply,
  type ScramVerifier,
  type ServerAction,
  type ServerQuestion,
  ServerSession,
  type ServerSessionOptions,
} from "../src/index.ts";

/** A transcript, read. */
export interface Transcript {
  readonly options: Partial<ServerSessionOptions>;
  /** False where the outcome depends on what comes in one write. */
  readonly divisible: boolean;
  readonly blocks: readonly Block[];
}

/** One write or event with all that it leads to. */
export interface Block {
  readonly input: { readonly bytes: Uint8Array } | { readonly event: string };
  readonly replies: readonly string[];
  readonly actions: readonly { readonly expected: string; readonly decision: string }[];
}

type Mutable<T> = { -readonly [key in keyof T]: T[key] };

/** Reads a transcript. */
export function parseTranscript(text: string): Transcript {
  let options: Partial<ServerSessionOptions> = {};
  let divisible = true;
  const blocks: {
    input: Mutable<Block>["input"];
    replies: string[];
    actions: Block["actions"][number][];
  }[] = [
    { input: { bytes: new Uint8Array(0) }, replies: [], actions: [] },
  ];
  let writing = false;
  for (const line of text.split("\n")) {
    const block = blocks.at(-1)!;
    if (line === "" || line.startsWith(";")) {
      writing = false;
      continue;
    }
    if (line === "@whole") divisible = false;
    else if (line.startsWith("@ ")) options = JSON.parse(line.slice(2), revive);
    else if (/^C[:~]/.test(line)) {
      const bytes = unescape(line.slice(3) + (line[1] === ":" ? "\\r\\n" : ""));
      if (writing && "bytes" in block.input) {
        block.input = { bytes: join(block.input.bytes, bytes) };
      } else blocks.push({ input: { bytes }, replies: [], actions: [] });
    } else if (line.startsWith("! ")) {
      blocks.push({ input: { event: line.slice(2) }, replies: [], actions: [] });
    } else if (/^S: /.test(line)) block.replies.push(line.slice(3));
    else if (line.startsWith("# ")) {
      const [expected, decision] = line.slice(2).split(" → ") as [string, string?];
      block.actions.push({ expected, decision: decision ?? "accept" });
    } else throw new Error(`what is this line? ${line}`);
    writing = /^C[:~]/.test(line);
  }
  return { options, divisible, blocks };
}

/** JSON has no bytes and no Infinity: `"hex:…"` and `"Infinity"` stand for them. */
function revive(_key: string, value: unknown): unknown {
  if (value === "Infinity") return Infinity;
  if (typeof value !== "string" || !value.startsWith("hex:")) return value;
  return Uint8Array.from(value.slice(4).match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

/** The bytes of a client's line: UTF-8, with \r \n \t \0 \\ and \xHH, and {N*c} for c repeated. */
function unescape(text: string): Uint8Array {
  const long = text.replace(/\{(\d+)\*(.)\}/g, (_, count, character) => character.repeat(count));
  const bytes: number[] = [];
  const plain = /\\x([0-9a-f]{2})|\\(.)|([^\\]+)/gs;
  for (const [, hex, escape, rest] of long.matchAll(plain)) {
    if (hex !== undefined) bytes.push(parseInt(hex, 16));
    else if (escape !== undefined) {
      bytes.push({ r: 13, n: 10, t: 9, "0": 0 }[escape] ?? escape.charCodeAt(0));
    } else for (const byte of new TextEncoder().encode(rest)) bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

function join(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}

const usual = new Set(["connect", "hello", "mail", "rcpt", "data", "message", "content"]);

/** What a block led to. */
export interface Outcome {
  readonly replies: string[];
  readonly actions: string[];
}

/** The transcript's words for an action. */
export function describe(action: Exclude<ServerAction, { type: "send" }>): string {
  switch (action.type) {
    case "mail":
      return `mail <${formatPath(action.reversePath)}> ${JSON.stringify(action.parameters)}`;
    case "rcpt":
      return `rcpt <${formatPath(action.forwardPath)}> ${JSON.stringify(action.parameters)}`;
    case "content":
      return `content ${JSON.stringify(String.fromCharCode(...action.bytes))}`;
    case "digest":
      return `digest ${action.algorithm}`;
    default: {
      const { type, ...rest } = action;
      return Object.keys(rest).length === 0 ? type : `${type} ${JSON.stringify(rest)}`;
    }
  }
}

/** How a write is cut into chunks. */
export type Cut = (bytes: Uint8Array) => Iterable<Uint8Array>;

/** Plays a transcript and returns what each block led to, in the transcript's words. */
export function play(transcript: Transcript, cut: Cut = (bytes) => [bytes]): Outcome[] {
  const session = new ServerSession({ hostname: "mx.example", ...transcript.options });
  const outcomes: Outcome[] = [];
  for (const [index, block] of transcript.blocks.entries()) {
    const outcome: Outcome = { replies: [], actions: [] };
    outcomes.push(outcome);
    const decisions = [...block.actions];
    let sent = "";
    const perform = () => {
      for (let action = session.next(); action !== undefined; action = session.next()) {
        if (action.type === "send") {
          sent += String.fromCharCode(...action.bytes);
          if (action.delaySeconds) note(outcome, `delay ${action.delaySeconds}`, decisions);
          continue;
        }
        const decision = note(outcome, describe(action), decisions);
        if (action === session.question) decide(session, action as ServerQuestion, decision);
      }
    };
    if (index === 0) session.start();
    if ("event" in block.input) happen(session, block.input.event);
    else {
      for (const chunk of cut(block.input.bytes)) {
        session.receive(chunk.slice());
        perform();
      }
    }
    perform();
    outcome.replies.push(...sent.split("\r\n").slice(0, -1));
  }
  return outcomes;
}

/** Notes an action where it must be told, and finds the decision about it. */
function note(outcome: Outcome, text: string, decisions: Block["actions"][number][]): string {
  const type = text.split(" ")[0]!;
  const previous = outcome.actions.at(-1);
  if (type === "content" && previous?.startsWith("content ")) {
    const joined = JSON.parse(previous.slice(8)) + JSON.parse(text.slice(8));
    outcome.actions[outcome.actions.length - 1] = `content ${JSON.stringify(joined)}`;
    return "accept";
  }
  outcome.actions.push(text);
  const wanted = decisions[0];
  if (wanted === undefined) return "accept";
  if (wanted.expected.split(" ")[0] !== type) return "accept";
  decisions.shift();
  return wanted.decision;
}

/** The actions that a block expects against those that came: unmentioned usual ones do not count. */
export function compare(block: Block, outcome: Outcome): { expected: string[]; actual: string[] } {
  const expected: string[] = [];
  const actual: string[] = [];
  const wanted = [...block.actions];
  for (const text of outcome.actions) {
    const type = text.split(" ")[0]!;
    const next = wanted[0];
    if (next !== undefined && next.expected.split(" ")[0] === type) {
      expected.push(next.expected);
      actual.push(next.expected === type ? type : text);
      wanted.shift();
    } else if (!usual.has(type)) actual.push(text);
  }
  return { expected: [...expected, ...wanted.map(({ expected }) => expected)], actual };
}

function happen(session: ServerSession, event: string): void {
  const [name, ...rest] = event.split(" ");
  const argument = rest.join(" ");
  if (name === "timeout") session.timedOut();
  else if (name === "shutdown") session.shutDown();
  else if (name === "eof") session.inputEnded();
  else if (name === "tls") session.tlsStarted(JSON.parse(argument || "{}", revive));
  else if (name === "configure") session.configure(JSON.parse(argument, revive));
  else if (name === "answer") decide(session, session.question!, argument);
  else throw new Error(`what is this event? ${event}`);
}

/** The user of RFC 7677 §3. */
const salt = Buffer.from("W22ZaJ0SNY7soEsUEjb6gQ==", "base64");

function verifier(): ScramVerifier {
  const hmac = (key: Uint8Array, data: string) => createHmac("sha256", key).update(data).digest();
  // PBKDF2 of "pencil" with this salt and 4096 rounds.
  const salted = Buffer.from(
    "c4a49510323ab4f952cac1fa99441939e78ea74d6be81ddf7096e87513dc615d",
    "hex",
  );
  const clientKey = hmac(salted, "Client Key");
  return {
    nonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    salt,
    iterations: 4096,
    storedKey: createHash("sha256").update(clientKey).digest(),
    serverKey: hmac(salted, "Server Key"),
  };
}

function decide(session: ServerSession, question: ServerQuestion, decision: string): void {
  if (decision === "later") return;
  if (question.type === "digest") {
    const digest = question.algorithm === "SHA-256"
      ? createHash("sha256").update(question.data).digest()
      : createHmac("sha256", question.key).update(question.data).digest();
    return session.answerDigest(digest);
  }
  if (question.type === "scram" && (decision === "accept" || decision === "unknown")) {
    return session.answerScram(decision === "accept" ? verifier() : undefined);
  }
  if (decision === "accept") return session.accept();
  const replies = decision.split(" | ").map(readReply);
  if (replies.length > 1) return session.answerEach(replies);
  if (replies[0]!.code >= 400) session.refuse(replies[0]!);
  else session.answer(replies[0]!);
}

function readReply(text: string): Reply {
  const parts = /^(\d{3}) (?:([245]\.\d+\.\d+) )?(.*)$/.exec(text);
  if (parts === null) throw new Error(`what is this decision? ${text}`);
  return reply(Number(parts[1]), parts[2] as Reply["enhanced"], ...parts[3]!.split("/"));
}
