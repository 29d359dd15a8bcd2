/**
 * The Content-Type and Content-Transfer-Encoding fields (RFC 2045 §5, §6), as far as walking a
 * message's structure needs them.
 *
 * This file must not know what is done with a part.
 */

/** A media type with its parameters, names in lower case. */
export interface ContentType {
  readonly type: string;
  readonly subtype: string;
  readonly parameters: ReadonlyMap<string, string>;
}

const TYPE = /^\s*([^\s/;"()]+)\s*\/\s*([^\s/;"()]+)/;
const PARAMETER = /;\s*([^\s=;"]+)\s*=\s*(?:"((?:[^"\\]|\\[^])*)"|([^\s;"]*))/g;

/** Reads a Content-Type; nothing if it is none. Of a parameter given twice the first counts. */
export function parseContentType(value: string): ContentType | undefined {
  const plain = withoutComments(value);
  const found = TYPE.exec(plain);
  if (found === null) return undefined;
  const parameters = new Map<string, string>();
  for (const [, name, quoted, token] of plain.slice(found[0].length).matchAll(PARAMETER)) {
    const key = name!.toLowerCase();
    if (!parameters.has(key)) parameters.set(key, quoted?.replace(/\\(.)/g, "$1") ?? token ?? "");
  }
  return { type: found[1]!.toLowerCase(), subtype: found[2]!.toLowerCase(), parameters };
}

/** The mechanism of a Content-Transfer-Encoding in lower case; `7bit` if there is no field. */
export function transferEncoding(value: string | undefined): string {
  return withoutComments(value ?? "").trim().toLowerCase() || "7bit";
}

/** Takes out comments (RFC 822 §3.1.4), nested ones too, but not what quotes hold. */
function withoutComments(value: string): string {
  if (!value.includes("(")) return value;
  let plain = "";
  let depth = 0;
  let quoted = false;
  for (let i = 0; i < value.length; i++) {
    const character = value[i]!;
    const escaped = character === "\\" ? character + (value[++i] ?? "") : undefined;
    if (escaped !== undefined) plain += depth === 0 ? escaped : "";
    else if (!quoted && character === "(") depth++;
    else if (depth > 0) depth -= character === ")" ? 1 : 0;
    else {
      if (character === '"') quoted = !quoted;
      plain += character;
    }
  }
  return plain;
}
