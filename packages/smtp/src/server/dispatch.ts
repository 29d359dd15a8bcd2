/**
 * A line from the client: what stands against it, in order, and else its command's handler.
 *
 * This file must not know what commands do.
 */
import { parseCommand, type Verb, verbOf } from "../command.ts";
import type { Line } from "../lines.ts";
import type { Reply } from "../reply.ts";
import { over, respond } from "./authentication.ts";
import { refuseChunk } from "./content-phase.ts";
import type { ServerCore } from "./core.ts";
import { handle } from "./handlers.ts";
import { replies } from "./replies.ts";
import { type CommandState, order } from "./states.ts";

/** Takes a command line, in a state that waits for one. */
export function takeCommand(core: ServerCore, line: Line): void {
  const { limits } = core.options;
  if (core.errors >= limits.errors) return core.reply(replies.tooManyErrors);
  if (++core.commands > limits.commands) return core.reply(replies.tooManyCommands);
  const bad = lineRefusal(core, line);
  if (bad !== undefined) return core.reply(bad);
  const { text } = line;
  const verb = verbOf(text);
  if (verb === undefined) {
    if (foreign.test(text)) return core.reply(replies.foreign);
    const tooLong = line.length > limits.commandLine;
    return core.reply(tooLong ? replies.lineTooLong : replies.unknown);
  }
  if (line.length > (verb === "AUTH" ? limits.authLine : limits.commandLine)) {
    return core.reply(replies.lineTooLong);
  }
  if (core.options.pipelining === "strict" && core.input.size > 0 && !mayBeFollowed(core, verb)) {
    core.reply(replies.outOfTurn);
    return core.end();
  }
  const state = core.state as CommandState;
  const verdict = order[state][verb];
  if (verdict !== "run" && verb !== "BDAT") return core.reply(inFlavour(core, verdict));
  const parsed = parseCommand(text, verb, {
    localPart: limits.localPart,
    domain: 255,
    path: limits.path,
  });
  if ("refusal" in parsed) {
    core.reply(parsed.refusal);
    // Where the chunk ends is not known: what follows cannot be told from commands any more.
    if (verb === "BDAT") core.end();
    return;
  }
  const { command } = parsed;
  if (verdict !== "run" && command.verb === "BDAT") {
    return refuseChunk(core, command.size, command.last, inFlavour(core, verdict as Reply));
  }
  handle(core, command);
}

/** Whether more may come before the reply (RFC 2920 §3.1, RFC 3030 §4.2). Behind QUIT nothing is read. */
function mayBeFollowed({ extended, options }: ServerCore, verb: Verb): boolean {
  return verb === "QUIT" || extended && options.extensions.pipelining && grouped.has(verb);
}

/** The first line of HTTP: a browser led to this port by a page, whose next lines may be SMTP. */
const foreign = /^(CONNECT|DELETE|GET|HEAD|OPTIONS|PATCH|POST|PUT) /;

const grouped: ReadonlySet<Verb> = new Set(["MAIL", "RCPT", "RSET", "BDAT"]);

/** Takes a line of an AUTH exchange. */
export function takeResponse(core: ServerCore, line: Line): void {
  if (line.fault === "too long" || line.length > core.options.limits.authLine) {
    return over(core, replies.authLineTooLong);
  }
  const bad = lineRefusal(core, line);
  if (bad !== undefined) return over(core, bad);
  respond(core, line.text);
}

function lineRefusal(core: ServerCore, line: Line): Reply | undefined {
  switch (line.fault) {
    case "none":
      return undefined;
    case "too long":
      return replies.lineTooLong;
    case "bare LF":
      return core.options.lineEnds === "normalise" ? undefined : replies.lineEnd;
    case "control":
      return replies.lineEnd;
    case "not utf-8":
      return replies.notUtf8;
  }
}

/** LMTP says LHLO where SMTP says EHLO, and 503 where there is no recipient (RFC 2033 §4.2). */
function inFlavour(core: ServerCore, verdict: Reply): Reply {
  if (core.options.flavour !== "lmtp") return verdict;
  if (verdict === replies.helloFirst) return replies.lhloFirst;
  return verdict === replies.noRecipients ? replies.noRecipientsLmtp : verdict;
}
