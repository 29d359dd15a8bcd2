/**
 * The client's state machine as one table: in each state, what a reply of each class makes happen.
 *
 * A state is either that the reply to a command is awaited, or that it is the caller's turn. With
 * PIPELINING several replies are awaited; the state is then that of the first of them. This file
 * holds all that affects transitions; what a step does is written in `opening.ts`, `delivery.ts`
 * and `client-session.ts`.
 */
import type { Reply } from "../reply.ts";
import type { AnsweredCommand } from "./outcome.ts";
import type { TimeoutName } from "./timeouts.ts";

/** The reply to something is awaited. */
export type AwaitingState =
  | "greeting"
  | "ehlo"
  | "helo"
  | "startTls"
  | "auth"
  | "mail"
  | "rcpt"
  | "data"
  | "chunk"
  | "endOfContent"
  | "loneDot"
  | "reset"
  | "quit";

/** It is the turn of the caller or the adapter. */
export type RestingState = "handshake" | "proof" | "ready" | "content" | "ended";

export type ClientState = AwaitingState | RestingState;

/** 2yz, 3yz, 4yz, 5yz, and 421, after which the peer closes (RFC 5321 §3.8). */
export type ReplyEvent = "positive" | "intermediate" | "transient" | "permanent" | "shutdown";

/** `broken`: no reply will come, because the connection, the patience or the syntax gave way. */
type ClientEvent = ReplyEvent | "broken";

/** What happens. */
export type Step =
  // The opening.
  | "sayHello"
  | "readCapabilities"
  | "sayHelo"
  | "goWithoutExtensions"
  | "beginTls"
  | "goOnInClear"
  | "answerChallenge"
  | "authenticated"
  | "tryNextMechanism"
  // A transaction.
  | "goOn"
  | "mailRefused"
  | "recipientAccepted"
  | "recipientRefused"
  | "contentInvited"
  | "dataRefused"
  | "chunkTaken"
  | "chunkRefused"
  | "contentRefused"
  | "verdict"
  // The session.
  | "becomeReady"
  | "refuse"
  | "shutDown"
  | "unexpected"
  | "break"
  | "finish"
  | "ignore";

function row(
  positive: Step,
  intermediate: Step,
  transient: Step,
  permanent: Step,
  shutdown: Step = "shutDown",
  broken: Step = "break",
): { readonly [event in ClientEvent]: Step } {
  return { positive, intermediate, transient, permanent, shutdown, broken };
}

// deno-fmt-ignore
export const transitions: { readonly [state in ClientState]: ReturnType<typeof row> } = {
  //                2yz                    3yz                4yz                 5yz
  greeting:     row("sayHello",            "unexpected",      "refuse",           "refuse"),
  ehlo:         row("readCapabilities",    "unexpected",      "refuse",           "sayHelo"),
  helo:         row("goWithoutExtensions", "unexpected",      "refuse",           "refuse"),
  startTls:     row("beginTls",            "unexpected",      "goOnInClear",      "goOnInClear"),
  handshake:    row("unexpected",          "unexpected",      "unexpected",       "unexpected"),
  auth:         row("authenticated",       "answerChallenge", "refuse",           "tryNextMechanism"),
  proof:        row("unexpected",          "unexpected",      "unexpected",       "unexpected"),
  ready:        row("unexpected",          "unexpected",      "unexpected",       "unexpected"),
  mail:         row("goOn",                "unexpected",      "mailRefused",      "mailRefused"),
  rcpt:         row("recipientAccepted",   "unexpected",      "recipientRefused", "recipientRefused"),
  data:         row("unexpected",          "contentInvited",  "dataRefused",      "dataRefused"),
  content:      row("unexpected",          "unexpected",      "contentRefused",   "contentRefused"),
  chunk:        row("chunkTaken",          "unexpected",      "chunkRefused",     "chunkRefused"),
  endOfContent: row("verdict",             "unexpected",      "verdict",          "verdict"),
  loneDot:      row("goOn",                "unexpected",      "goOn",             "goOn"),
  reset:        row("becomeReady",         "unexpected",      "refuse",           "refuse"),
  quit:         row("finish",              "finish",          "finish",           "finish", "finish", "finish"),
  ended:        row("ignore",              "ignore",          "ignore",           "ignore", "ignore", "ignore"),
};

/** Which event a reply is. */
export function eventOf(reply: Reply): ReplyEvent {
  if (reply.code === 421) return "shutdown";
  if (reply.code < 300) return "positive";
  if (reply.code < 400) return "intermediate";
  return reply.code < 500 ? "transient" : "permanent";
}

/** The command that a state belongs to, for outcomes. In LMTP `EHLO` reads `LHLO`. */
export const commandOf: { readonly [state in ClientState]: AnsweredCommand } = {
  greeting: "connect",
  ehlo: "EHLO",
  helo: "HELO",
  startTls: "STARTTLS",
  handshake: "STARTTLS",
  auth: "AUTH",
  proof: "AUTH",
  ready: "idle",
  mail: "MAIL",
  rcpt: "RCPT",
  data: "DATA",
  content: "content",
  chunk: "BDAT",
  endOfContent: "endOfContent",
  loneDot: "DATA",
  reset: "RSET",
  quit: "QUIT",
  ended: "idle",
};

/** The time-out of each state; where there is none, it is the caller's turn. */
export const timeoutOf: { readonly [state in ClientState]: TimeoutName | undefined } = {
  greeting: "greeting",
  ehlo: "hello",
  helo: "hello",
  startTls: "hello",
  handshake: "tls",
  auth: "hello",
  proof: undefined,
  ready: undefined,
  mail: "mail",
  rcpt: "rcpt",
  data: "data",
  content: "content",
  chunk: "content",
  endOfContent: "endOfContent",
  loneDot: "endOfContent",
  reset: "reset",
  quit: "quit",
  ended: undefined,
};
