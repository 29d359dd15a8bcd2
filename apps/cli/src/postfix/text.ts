/** The texts of Postfix: logical lines, `main.cf` with its parameters, lookup tables. Pure. */

/** Something that could not be carried over, and where it stands. */
export interface Remark {
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** A logical line: a line that begins with white space goes on with the one before (postconf(5)). */
export interface LogicalLine {
  readonly line: number;
  readonly text: string;
}

/** The logical lines of a file, without comments and empty lines. */
export function logicalLines(text: string): LogicalLine[] {
  const found: { line: number; text: string }[] = [];
  text.split(/\r?\n/).forEach((line, index) => {
    // Comments and empty lines do not end a logical line.
    if (/^\s*(#|$)/.test(line)) return;
    const last = found.at(-1);
    if (/^\s/.test(line) && last !== undefined) last.text += ` ${line.trim()}`;
    else found.push({ line: index + 1, text: line.trim() });
  });
  return found;
}

/** A parameter as main.cf sets it. */
export interface Parameter {
  readonly line: number;
  readonly value: string;
}

/** The parameters of a main.cf; of one that is set twice the last, as Postfix takes it. */
export function parametersOf(text: string): Map<string, Parameter> {
  const parameters = new Map<string, Parameter>();
  for (const { line, text: whole } of logicalLines(text)) {
    const found = /^([\w.-]+)\s*=\s*(.*)$/s.exec(whole);
    if (found !== null) parameters.set(found[1]!, { line, value: found[2]! });
  }
  return parameters;
}

/**
 * A value with its `$name`, `${name}`, `$(name)`, `${name?then}`, `${name:else}` and
 * `${name?{then}:{else}}` put in. `$$` is a dollar sign.
 *
 * @param valueOf the unexpanded value of a parameter; undefined when there is none
 */
export function expanded(
  value: string,
  valueOf: (name: string) => string | undefined,
  depth = 0,
): string {
  if (depth > 50) return "";
  let result = "";
  for (let at = 0; at < value.length;) {
    if (value[at] !== "$") {
      result += value[at++];
      continue;
    }
    const next = value[at + 1];
    if (next === "$") {
      result += "$";
      at += 2;
    } else if (next === "{" || next === "(") {
      const end = closing(value, at + 1);
      result += conditional(value.slice(at + 2, end), valueOf, depth);
      at = end + 1;
    } else {
      const name = /^\w+/.exec(value.slice(at + 1))?.[0] ?? "";
      result += name === "" ? "$" : expanded(valueOf(name) ?? "", valueOf, depth + 1);
      at += 1 + name.length;
    }
  }
  return result;
}

function closing(text: string, open: number): number {
  const [opening, end] = text[open] === "{" ? ["{", "}"] : ["(", ")"];
  let level = 0;
  for (let at = open; at < text.length; at++) {
    if (text[at] === opening) level++;
    else if (text[at] === end && --level === 0) return at;
  }
  return text.length;
}

function conditional(
  inner: string,
  valueOf: (name: string) => string | undefined,
  depth: number,
): string {
  const found = /^\s*(\w+)\s*([?:]?)(.*)$/s.exec(inner);
  if (found === null) return "";
  const [, name = "", sign, rest = ""] = found;
  const value = expanded(valueOf(name) ?? "", valueOf, depth + 1);
  if (sign === "") return value;
  const [first, second] = branches(rest);
  const chosen = sign === "?" ? (value === "" ? second : first) : value === "" ? first : "";
  return expanded(chosen ?? "", valueOf, depth + 1);
}

/** `{then}:{else}`, or all of it. */
function branches(text: string): [string, string | undefined] {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{")) return [text, undefined];
  const end = closing(trimmed, 0);
  const other = /^\s*:\s*\{(.*)\}\s*$/s.exec(trimmed.slice(end + 1))?.[1]?.trim();
  return [trimmed.slice(1, end).trim(), other];
}

/** The items of a list: by commas and white space, but for what is in braces. */
export function itemsOf(list: string): string[] {
  const items: string[] = [];
  for (let at = 0; at < list.length;) {
    if (/[\s,]/.test(list[at]!)) {
      at++;
      continue;
    }
    const start = at;
    while (at < list.length && !/[\s,]/.test(list[at]!)) {
      at = list[at] === "{" ? closing(list, at) + 1 : at + 1;
    }
    items.push(list.slice(start, at));
  }
  return items;
}

/** An entry of a lookup table. */
export interface Entry {
  readonly file: string;
  readonly line: number;
  readonly key: string;
  readonly value: string;
}

/** The entries of a table's text; keys are folded, and the first of equal ones counts, as postmap does. */
export function entriesOf(file: string, text: string): Entry[] {
  const entries = new Map<string, Entry>();
  for (const { line, text: whole } of logicalLines(text)) {
    const [, quoted, plain, value = ""] = /^(?:"((?:[^"\\]|\\.)*)"|(\S+))\s*(.*)$/s.exec(whole) ??
      [];
    const key = (quoted?.replace(/\\(.)/g, "$1") ?? plain ?? "").toLowerCase();
    if (!entries.has(key)) entries.set(key, { file, line, key, value });
  }
  return [...entries.values()];
}

/** The entries of `inline:{ key=value, { key = value } }`. */
export function inlineEntries(at: { file: string; line: number }, braces: string): Entry[] {
  return itemsOf(braces.trim().replace(/^\{(.*)\}$/s, "$1")).flatMap((item) => {
    const [, key, value] = /^\{?\s*(\S+?)\s*=\s*(.*?)\s*\}?$/s.exec(item) ?? [];
    return key === undefined ? [] : [{ ...at, key: key.toLowerCase(), value: value ?? "" }];
  });
}
