/**
 * Command lines (RFC 5321 §4.1.1 and the extensions'): which verb a line has, and how each verb's
 * argument is read. One table, a row a verb.
 *
 * This file must not know states or policy: it says what a line means, not whether it may be said.
 */
import type { ForwardPath, ReversePath } from "./path-types.ts";
import {
  type ParsedPath,
  parseForwardPath,
  parseReversePath,
  type PathFault,
  type PathLengths,
  standardPathLengths,
} from "./path.ts";
import { parseDomain } from "./domain.ts";
import { type Reply, reply } from "./reply.ts";
import { replies } from "./server/replies.ts";
import { parseAttributes } from "./server/attributes.ts";
import type { EtrnQuestion, XclientQuestion, XforwardQuestion } from "./server/actions.ts";

/** The verbs that the session knows. */
export type Verb = Command["verb"];

/** A command that was understood. */
export type Command =
  | {
    readonly verb: "HELO" | "EHLO" | "LHLO";
    readonly name: string;
    readonly wellFormed: boolean;
  }
  | { readonly verb: "MAIL"; readonly path: ReversePath; readonly parameters: string }
  | { readonly verb: "RCPT"; readonly path: ForwardPath; readonly parameters: string }
  | { readonly verb: "DATA" | "RSET" | "QUIT" | "STARTTLS" }
  | { readonly verb: "NOOP" | "HELP" }
  | { readonly verb: "BDAT"; readonly size: number; readonly last: boolean }
  | { readonly verb: "VRFY" | "EXPN"; readonly argument: string }
  | { readonly verb: "AUTH"; readonly mechanism: string; readonly initial?: string }
  | { readonly verb: "ETRN"; readonly scope: EtrnQuestion["scope"]; readonly name: string }
  | { readonly verb: "XCLIENT"; readonly attributes: XclientQuestion["attributes"] }
  | { readonly verb: "XFORWARD"; readonly attributes: XforwardQuestion["attributes"] };

/** A command, or the reply that says what is wrong with its argument. */
export type ParsedCommand = { readonly command: Command } | { readonly refusal: Reply };

type ArgumentParser = (argument: string, verb: Verb, lengths: PathLengths) => ParsedCommand;

/** How each verb's argument is read. */
const argumentParsers: { readonly [verb in Verb]: ArgumentParser } = {
  HELO: parseHello,
  EHLO: parseHello,
  LHLO: parseHello,
  MAIL: (argument, _verb, lengths) => {
    const start = pathStart(argument, "FROM:");
    if (start === -1) return { refusal: replies.mailSyntax };
    const parsed = parseReversePath(argument, start, lengths);
    const refusal = pathRefusal(parsed, argument, "MAIL");
    if (refusal !== undefined || !("path" in parsed)) return { refusal: refusal! };
    return {
      command: { verb: "MAIL", path: parsed.path, parameters: argument.slice(parsed.end) },
    };
  },
  RCPT: (argument, _verb, lengths) => {
    const start = pathStart(argument, "TO:");
    if (start === -1) return { refusal: replies.rcptSyntax };
    const parsed = parseForwardPath(argument, start, lengths);
    const refusal = pathRefusal(parsed, argument, "RCPT");
    if (refusal !== undefined || !("path" in parsed)) return { refusal: refusal! };
    return {
      command: { verb: "RCPT", path: parsed.path, parameters: argument.slice(parsed.end) },
    };
  },
  DATA: parseNothing,
  RSET: parseNothing,
  QUIT: parseNothing,
  STARTTLS: parseNothing,
  NOOP: parseAnything,
  HELP: parseAnything,
  BDAT: (argument) => {
    const parts = /^(\d{1,15})(?: +(LAST))?$/i.exec(argument);
    if (parts === null) return { refusal: replies.bdatSyntax };
    return { command: { verb: "BDAT", size: Number(parts[1]), last: parts[2] !== undefined } };
  },
  VRFY: parseText,
  EXPN: parseText,
  AUTH: (argument) => {
    const parts = /^([A-Za-z0-9_-]{1,20})(?: +([^ ]+))?$/.exec(argument);
    if (parts === null) return { refusal: replies.authSyntax };
    const mechanism = parts[1]!.toUpperCase();
    const initial = parts[2];
    return {
      command: initial === undefined
        ? { verb: "AUTH", mechanism }
        : { verb: "AUTH", mechanism, initial },
    };
  },
  ETRN: (argument) => {
    const scope = argument.startsWith("@")
      ? "subtree"
      : argument.startsWith("#")
      ? "queue"
      : "domain";
    const name = scope === "domain" ? argument : argument.slice(1);
    const good = scope === "queue" ? /^[!-~]+$/.test(name) : "domain" in parseDomain(name);
    if (!good) return { refusal: replies.etrnSyntax };
    return {
      command: { verb: "ETRN", scope, name: scope === "queue" ? name : name.toLowerCase() },
    };
  },
  XCLIENT: (argument) => {
    const attributes = parseAttributes("XCLIENT", argument);
    if (attributes === undefined) return { refusal: replies.attributeSyntax };
    return { command: { verb: "XCLIENT", attributes } };
  },
  XFORWARD: (argument) => {
    const attributes = parseAttributes("XFORWARD", argument);
    if (attributes === undefined) return { refusal: replies.attributeSyntax };
    return { command: { verb: "XFORWARD", attributes } };
  },
};

const verbs = new Map<string, Verb>(
  (Object.keys(argumentParsers) as Verb[]).flatMap((
    verb,
  ) => [[verb, verb], [verb.toLowerCase(), verb]]),
);

/** The verb of a line, in any case of letters; `undefined` where there is none that is known. */
export function verbOf(line: string): Verb | undefined {
  const space = line.indexOf(" ");
  const word = space === -1 ? line : line.slice(0, space);
  return verbs.get(word) ?? verbs.get(word.toUpperCase());
}

/** Reads the argument of a line with this verb; white space at its end is let pass (§4.1.1). */
export function parseCommand(
  line: string,
  verb: Verb,
  lengths: PathLengths = standardPathLengths,
): ParsedCommand {
  const argument = line.length === verb.length ? "" : line.slice(verb.length + 1);
  return argumentParsers[verb](trimEnd(argument), verb, lengths);
}

function trimEnd(text: string): string {
  const code = text.charCodeAt(text.length - 1);
  return code === 32 || code === 9 ? text.replace(/[ \t]+$/, "") : text;
}

function parseHello(argument: string, verb: Verb): ParsedCommand {
  const name = argument.trim();
  if (!/^[!-~]+$/.test(name)) return { refusal: replies.helloName };
  const wellFormed = "domain" in parseDomain(name);
  return { command: { verb: verb as "HELO" | "EHLO" | "LHLO", name, wellFormed } };
}

function parseNothing(argument: string, verb: Verb): ParsedCommand {
  if (argument !== "") return { refusal: replies.noArgument };
  return { command: { verb: verb as "DATA" | "RSET" | "QUIT" | "STARTTLS" } };
}

function parseAnything(_argument: string, verb: Verb): ParsedCommand {
  return { command: { verb: verb as "NOOP" | "HELP" } };
}

function parseText(argument: string, verb: Verb): ParsedCommand {
  // RFC 6531 §3.7.4.2: SMTPUTF8 as the last word says that the client takes UTF-8 in the reply.
  const text = argument.replace(/ +SMTPUTF8$/i, "").trim();
  if (text === "") return { refusal: replies.argumentMissing };
  return { command: { verb: verb as "VRFY" | "EXPN", argument: text } };
}

/** Where the path begins; spaces behind the colon are let pass, as old clients send them. */
function pathStart(argument: string, word: "FROM:" | "TO:"): number {
  if (argument.slice(0, word.length).toUpperCase() !== word) return -1;
  let at = word.length;
  while (argument.charCodeAt(at) === 32) at++;
  return at;
}

const faultTexts: { readonly [fault in PathFault]: string } = {
  brackets: "Address must stand between < and >",
  "source route": "Malformed source route",
  "local part": "Malformed local part",
  "no domain": "Address has no domain",
  domain: "Malformed domain",
  "local part too long": "Local part too long",
  "domain too long": "Domain too long",
  "path too long": "Path too long",
  "null path": "The null path takes no mail",
};

const pathRefusals = new Map<string, Reply>();

/** X.1.7 speaks of the sender's address, X.1.3 of the recipient's (RFC 3463 §3.2). */
function pathRefusal(
  parsed: ParsedPath<ReversePath | ForwardPath>,
  text: string,
  verb: "MAIL" | "RCPT",
): Reply | undefined {
  if (!("fault" in parsed)) {
    if (parsed.end === text.length || text.charCodeAt(parsed.end) === 32) return undefined;
    return verb === "MAIL" ? replies.mailSyntax : replies.rcptSyntax;
  }
  const key = `${verb} ${parsed.fault}`;
  let refusal = pathRefusals.get(key);
  if (refusal === undefined) {
    refusal = reply(501, verb === "MAIL" ? "5.1.7" : "5.1.3", faultTexts[parsed.fault]);
    pathRefusals.set(key, refusal);
  }
  return refusal;
}
