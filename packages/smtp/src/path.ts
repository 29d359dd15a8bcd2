/**
 * The parser of reverse-paths and forward-paths: all of RFC 5321 §4.1.2, with the extensions of
 * RFC 6531 §3.3 and the lengths of §4.5.3.1; and the way back to text.
 *
 * This file must not know commands, replies or configuration.
 */
import { parseDomain } from "./domain.ts";
import type { Domain, ForwardPath, MailboxPath, ReversePath } from "./path-types.ts";
import { utf8Length } from "./wire-text.ts";

/** What is wrong with a path. */
export type PathFault =
  /** It does not begin with `<`, or the `>` is missing. */
  | "brackets"
  /** The source route in front of the mailbox is malformed. */
  | "source route"
  /** The local part is malformed or missing. */
  | "local part"
  /** There is no `@domain`, and it is not `<postmaster>`. */
  | "no domain"
  /** The domain or literal is malformed. */
  | "domain"
  /** Longer than §4.5.3.1.1 allows. */
  | "local part too long"
  /** Longer than §4.5.3.1.2 allows, or a label above 63 octets. */
  | "domain too long"
  /** Longer than §4.5.3.1.3 allows. */
  | "path too long"
  /** `<>` where a forward-path is due. */
  | "null path";

/** A parsed path with the index behind its `>`, or what is wrong with it. */
export type ParsedPath<P> = { readonly path: P; readonly end: number } | {
  readonly fault: PathFault;
};

/** The lengths of RFC 5321 §4.5.3.1, in octets. */
export interface PathLengths {
  readonly localPart: number;
  readonly domain: number;
  readonly path: number;
}

/** The lengths that RFC 5321 asks every implementation to take. */
export const standardPathLengths: PathLengths = { localPart: 64, domain: 255, path: 256 };

const nullPath: ReversePath = { kind: "null", address: "", sourceRoute: [] };
const noRoute: readonly string[] = [];

const dotString = /^[A-Za-z0-9!#-'*+\-/=?^_`{-~]+(?:\.[A-Za-z0-9!#-'*+\-/=?^_`{-~]+)*$/;
const utf8DotString =
  /^[A-Za-z0-9!#-'*+\-/=?^_`{-~\u00a0-\u{10ffff}]+(?:\.[A-Za-z0-9!#-'*+\-/=?^_`{-~\u00a0-\u{10ffff}]+)*$/u;
const quotedContent = /^(?:[ !#-[\]-~\u00a0-\u{10ffff}]|\\[ -~])*$/u;

/** Parses a reverse-path, `<` and `>` included, at `start`. */
export function parseReversePath(
  text: string,
  start = 0,
  lengths = standardPathLengths,
): ParsedPath<ReversePath> {
  if (text.startsWith("<>", start)) return { path: nullPath, end: start + 2 };
  return parsePath(text, start, lengths);
}

/** Parses a forward-path, `<` and `>` included, at `start`. */
export function parseForwardPath(
  text: string,
  start = 0,
  lengths = standardPathLengths,
): ParsedPath<ForwardPath> {
  const postmaster = /^<(postmaster)>/i.exec(text.slice(start, start + 12));
  if (postmaster !== null) {
    return {
      path: {
        kind: "postmaster",
        localPart: postmaster[1]!,
        address: "postmaster",
        sourceRoute: noRoute,
      },
      end: start + 12,
    };
  }
  if (text.startsWith("<>", start)) return { fault: "null path" };
  return parsePath(text, start, lengths);
}

/** Parses `local-part@domain` without brackets, the whole of `text`. */
export function parseMailbox(
  text: string,
  lengths = standardPathLengths,
): { readonly mailbox: MailboxPath } | { readonly fault: PathFault } {
  const parsed = parsePath(`<${text}>`, 0, lengths);
  if ("fault" in parsed) return parsed;
  if (parsed.end !== text.length + 2) return { fault: "brackets" };
  return parsed.path.sourceRoute.length > 0 ? { fault: "source route" } : { mailbox: parsed.path };
}

function parsePath(text: string, start: number, lengths: PathLengths): ParsedPath<MailboxPath> {
  if (text.charCodeAt(start) !== 60) return { fault: "brackets" };
  let at = start + 1;
  let sourceRoute = noRoute;
  if (text.charCodeAt(at) === 64) {
    const colon = endOfRoute(text, at);
    if (colon === -1) return { fault: "source route" };
    const route = parseRoute(text.slice(at, colon), lengths);
    if ("fault" in route) return route;
    sourceRoute = route.hosts;
    at = colon + 1;
  }
  const localEnd = text.charCodeAt(at) === 34 ? endOfQuoted(text, at) : endOfDotString(text, at);
  if (localEnd === -1) return { fault: "local part" };
  const local = text.slice(at, localEnd);
  const domainEnd = endOfDomain(text, localEnd);
  if (domainEnd === -1) {
    return { fault: text.indexOf(">", localEnd) === -1 ? "brackets" : "domain" };
  }
  const localPart = readLocalPart(local);
  if (localPart === undefined) return { fault: "local part" };
  if (domainEnd === localEnd) return { fault: "no domain" };
  const ascii = isAscii(text, start, domainEnd);
  if ((ascii ? local.length : utf8Length(local)) > lengths.localPart) {
    return { fault: "local part too long" };
  }
  const parsed = parseDomain(text.slice(localEnd + 1, domainEnd), lengths.domain);
  if ("fault" in parsed) {
    return { fault: parsed.fault === "syntax" ? "domain" : "domain too long" };
  }
  const end = domainEnd + 1;
  const length = ascii ? end - start : utf8Length(text.slice(start, end));
  if (length > lengths.path) return { fault: "path too long" };
  return {
    path: {
      kind: "mailbox",
      localPart,
      domain: parsed.domain,
      address: `${quoteLocalPart(localPart)}@${parsed.domain.name}`,
      sourceRoute,
      internationalized: !ascii,
    },
    end,
  };
}

function isAscii(text: string, from: number, to: number): boolean {
  for (let index = from; index < to; index++) {
    if (text.charCodeAt(index) > 127) return false;
  }
  return true;
}

/** The index of the colon behind a source route; literals in it hold colons of their own. */
function endOfRoute(text: string, from: number): number {
  let literal = false;
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 91) literal = true;
    else if (code === 93) literal = false;
    else if (code === 58 && !literal) return index;
    else if (code === 62 || code === 32 || code === 34) return -1;
  }
  return -1;
}

function parseRoute(
  text: string,
  lengths: PathLengths,
): { readonly hosts: readonly string[] } | { readonly fault: PathFault } {
  const hosts: string[] = [];
  for (const part of text.split(",")) {
    if (!part.startsWith("@")) return { fault: "source route" };
    const parsed = parseDomain(part.slice(1), lengths.domain);
    if ("fault" in parsed) {
      return { fault: parsed.fault === "syntax" ? "source route" : "domain too long" };
    }
    hosts.push(parsed.domain.name);
  }
  return { hosts };
}

function endOfQuoted(text: string, from: number): number {
  for (let index = from + 1; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 92) index++;
    else if (code === 34) return index + 1;
  }
  return -1;
}

/** The index of the `@` or `>` that ends a dot-string; what stands between is checked later. */
function endOfDotString(text: string, from: number): number {
  for (let index = from; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 64 || code === 62) return index;
    if (code === 32) return -1;
  }
  return text.length;
}

/** The index of the `>` behind the domain, `-1` if there is none; `from` is that of the `@`. */
function endOfDomain(text: string, from: number): number {
  const code = text.charCodeAt(from);
  if (code === 62) return from;
  if (code !== 64) return -1;
  if (text.charCodeAt(from + 1) === 91) {
    const bracket = text.indexOf("]", from);
    return bracket !== -1 && text.charCodeAt(bracket + 1) === 62 ? bracket + 1 : -1;
  }
  return text.indexOf(">", from);
}

/** The local part as meant, from its wire form; `undefined` where that is malformed. */
function readLocalPart(wire: string): string | undefined {
  if (!wire.startsWith('"')) {
    return dotString.test(wire) || utf8DotString.test(wire) ? wire : undefined;
  }
  const inner = wire.slice(1, -1);
  return quotedContent.test(inner) ? inner.replace(/\\(.)/g, "$1") : undefined;
}

/** Writes a local part as a path holds it: quoted only where it must be. */
export function quoteLocalPart(localPart: string): string {
  if (dotString.test(localPart) || utf8DotString.test(localPart)) return localPart;
  return `"${localPart.replace(/["\\]/g, "\\$&")}"`;
}

/** The path as it stands in the envelope, without brackets, its source route included. */
export function formatPath(path: ReversePath | ForwardPath): string {
  if (path.sourceRoute.length === 0) return path.address;
  return `${path.sourceRoute.map((host) => `@${host}`).join(",")}:${path.address}`;
}

/** `local-part@domain` with the domain in A-labels: the form to compare and to look up. */
export function canonicalAddress(path: ReversePath | ForwardPath): string {
  if (path.kind !== "mailbox") return path.address;
  return `${quoteLocalPart(path.localPart)}@${path.domain.ascii}`;
}

/** The domain of a path, absent for `<>` and `<postmaster>`. */
export function domainOf(path: ReversePath | ForwardPath): Domain | undefined {
  return path.kind === "mailbox" ? path.domain : undefined;
}
