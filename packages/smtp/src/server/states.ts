/**
 * The states of a server session between commands, and what each command is answered there: the order
 * of commands of RFC 5321 §4.1.4 as one table of states × verbs.
 *
 * `run` hands the command to its handler; a reply refuses it, whatever its argument. Everything that
 * affects the order of commands is here; whether an extension is offered at all is not.
 */
import type { Verb } from "../command.ts";
import type { Reply } from "../reply.ts";
import { replies } from "./replies.ts";
import type { ServerTimeout } from "./timeouts.ts";

/** A state in which the next thing is a command line. */
export type CommandState =
  /** The connection was refused with 554: only QUIT is left (RFC 5321 §3.1). */
  | "refused"
  /** Greeted; no EHLO, HELO or LHLO yet. */
  | "greeted"
  /** No transaction is open. */
  | "ready"
  /** MAIL was accepted, but no recipient yet. */
  | "mail"
  /** At least one recipient was accepted. */
  | "rcpt"
  /** At least one BDAT was accepted, but not the last one. */
  | "chunking"
  /** A BDAT failed: what follows of the content is drained (RFC 3030 §2). */
  | "failed";

/** All states: those of commands, and those in which something else is awaited. */
export type ServerState =
  | CommandState
  /** Not started, or waiting for the PROXY preamble. */
  | "start"
  | "proxy"
  /** The next bytes are content, after DATA or BDAT. */
  | "content"
  /** The next line is a response of an AUTH exchange. */
  | "auth"
  /** The adapter makes the TLS handshake. */
  | "tls"
  /** Over: nothing is read any more. */
  | "closed";

/** What a command is answered in a state. */
export type Verdict = "run" | Reply;

type Row = { readonly [verb in Verb]: Verdict };

/** What may be said at any time in a session (RFC 5321 §4.1.4). */
const always = {
  HELO: "run",
  EHLO: "run",
  LHLO: "run",
  RSET: "run",
  NOOP: "run",
  QUIT: "run",
  VRFY: "run",
  EXPN: "run",
  HELP: "run",
} as const;

function everything<V extends Verb>(verbs: readonly V[], verdict: Verdict) {
  return Object.fromEntries(verbs.map((verb) => [verb, verdict])) as {
    readonly [verb in V]: Verdict;
  };
}

const all = [
  "HELO",
  "EHLO",
  "LHLO",
  "MAIL",
  "RCPT",
  "DATA",
  "BDAT",
  "RSET",
  "NOOP",
  "QUIT",
  "VRFY",
  "EXPN",
  "HELP",
  "STARTTLS",
  "AUTH",
  "ETRN",
  "XCLIENT",
  "XFORWARD",
] as const satisfies readonly Verb[];

const mailVerbs = ["MAIL", "RCPT", "DATA", "BDAT"] as const;
const sessionVerbs = ["STARTTLS", "AUTH", "ETRN", "XCLIENT", "XFORWARD"] as const;

/** The table. */
export const order: { readonly [state in CommandState]: Row } = {
  refused: { ...everything(all, replies.noSession), QUIT: "run" },
  greeted: {
    ...always,
    ...everything(mailVerbs, replies.helloFirst),
    ...everything(sessionVerbs, replies.helloFirst),
  },
  ready: {
    ...always,
    ...everything(mailVerbs, replies.mailFirst),
    ...everything(sessionVerbs, "run"),
    MAIL: "run",
  },
  mail: {
    ...always,
    ...everything(sessionVerbs, replies.inTransaction),
    MAIL: replies.nestedMail,
    RCPT: "run",
    DATA: replies.noRecipients,
    BDAT: replies.noRecipients,
  },
  rcpt: {
    ...always,
    ...everything(sessionVerbs, replies.inTransaction),
    MAIL: replies.nestedMail,
    RCPT: "run",
    DATA: "run",
    BDAT: "run",
  },
  chunking: {
    ...always,
    ...everything(mailVerbs, replies.chunking),
    ...everything(sessionVerbs, replies.inTransaction),
    BDAT: "run",
  },
  failed: {
    ...everything(all, replies.transactionFailed),
    HELO: "run",
    EHLO: "run",
    LHLO: "run",
    RSET: "run",
    NOOP: "run",
    QUIT: "run",
  },
};

/** The time-out that applies in each state while no question is open. */
export const timeoutOf: { readonly [state in ServerState]: ServerTimeout } = {
  start: "none",
  proxy: "proxy",
  refused: "command",
  greeted: "command",
  ready: "command",
  mail: "command",
  rcpt: "command",
  chunking: "command",
  failed: "command",
  content: "data",
  auth: "auth",
  tls: "tls",
  closed: "none",
};
