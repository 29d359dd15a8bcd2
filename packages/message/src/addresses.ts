/**
 * The mailboxes named in an address field such as From (RFC 5322 §3.4): for showing, searching
 * and alignment checks. It reads what is out there, faulty or not, and never fails.
 *
 * This file must not know the envelope: paths of SMTP are another grammar.
 */

import { decodeEncodedWords } from "./encoded-words.ts";

/** A mailbox of an address field. */
export interface Mailbox {
  /** The display name, decoded; `""` if there is none. */
  readonly name: string;
  /** The address as written, without angle brackets, comments and blanks around it. */
  readonly address: string;
}

/** Comments nest and quoted strings hide everything: a token is one of these or one character. */
interface Token {
  readonly kind: "quoted" | "comment" | "literal" | "mark" | "text" | "blank";
  readonly text: string;
}

/** All mailboxes of the value in order, those within groups included. */
export function mailboxes(value: string): Mailbox[] {
  const found: Mailbox[] = [];
  let phrase: Token[] = [];
  let angled: string | undefined;
  const finish = () => {
    const address = angled ?? addressOf(phrase);
    const name = angled === undefined ? commentOf(phrase) : nameOf(phrase);
    if (address !== "") found.push({ name, address });
    phrase = [];
    angled = undefined;
  };
  const tokens = tokenize(value);
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind !== "mark") phrase.push(token);
    else if (token.text === "<") {
      const close = tokens.findIndex((t, at) => at > i && t.kind === "mark" && t.text === ">");
      const end = close < 0 ? tokens.length : close;
      // An obsolete source route before the last colon is no part of the address (§4.4).
      const inner = addressOf(tokens.slice(i + 1, end));
      angled = inner.startsWith("@") ? inner.slice(inner.indexOf(":") + 1) : inner;
      i = end;
    } else if (token.text === "," || token.text === ";") finish();
    else if (token.text === ":") phrase = [];
  }
  finish();
  return found;
}

function addressOf(tokens: readonly Token[]): string {
  return tokens.filter((t) => t.kind !== "comment" && t.kind !== "blank")
    .map((t) => t.kind === "quoted" ? `"${t.text}"` : t.text).join("");
}

function nameOf(tokens: readonly Token[]): string {
  const text = tokens.filter((t) => t.kind !== "comment")
    .map((t) => t.kind === "quoted" ? unquote(t.text) : t.kind === "blank" ? " " : t.text).join("");
  return decodeEncodedWords(text.trim()).replace(/\s+/g, " ");
}

/** The old habit of a name in a comment: `a@example.com (A Name)`. */
function commentOf(tokens: readonly Token[]): string {
  const comment = tokens.findLast((t) => t.kind === "comment");
  return comment === undefined ? "" : decodeEncodedWords(unquote(comment.text).trim());
}

function unquote(text: string): string {
  return text.replace(/\\(.)/g, "$1");
}

function tokenize(value: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < value.length) {
    const character = value[at]!;
    const end = endOf(value, at);
    if (character === '"') tokens.push({ kind: "quoted", text: value.slice(at + 1, end - 1) });
    else if (character === "(") {
      tokens.push({ kind: "comment", text: value.slice(at + 1, end - 1) });
    } else if (character === "[") tokens.push({ kind: "literal", text: value.slice(at, end) });
    else if ("<>,;:".includes(character)) tokens.push({ kind: "mark", text: character });
    else if (/\s/.test(character)) tokens.push({ kind: "blank", text: " " });
    else tokens.push({ kind: "text", text: value.slice(at, end) });
    at = end;
  }
  return tokens;
}

/** Where the token that begins at `at` ends. */
function endOf(value: string, at: number): number {
  const first = value[at]!;
  if (first === '"') return closing(value, at, "", '"');
  if (first === "(") return closing(value, at, "(", ")");
  if (first === "[") return closing(value, at, "", "]");
  const plain = /[^\s"(\[<>,;:]+|[^]/y;
  plain.lastIndex = at;
  return at + (plain.exec(value)?.[0].length ?? 1);
}

function closing(value: string, at: number, open: string, close: string): number {
  let depth = 1;
  for (let i = at + 1; i < value.length; i++) {
    if (value[i] === "\\") i++;
    else if (value[i] === close && --depth === 0) return i + 1;
    else if (value[i] === open) depth++;
  }
  // Never closed: as if the closing mark stood after the end.
  return value.length + 1;
}
