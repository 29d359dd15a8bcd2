/**
 * Patterns made ready for matching: literals in a set, wildcards cut at their stars, regular
 * expressions compiled by RE2, which takes time in proportion to the text whatever the expression.
 * Upper and lower case are the same everywhere.
 *
 * This file must not know what is matched, nor why.
 */
import { canonicalDomain, type OnePattern, type Pattern } from "@postern/config";
import { RE2JS } from "re2js";

/** What a pattern is matched with: its literals are brought to the same spelling. */
export type PatternSubject = "address" | "domain" | "text";

/** One alternative that is no literal. */
type Matcher =
  | { readonly kind: "wildcard"; readonly parts: readonly string[] }
  | { readonly kind: "regex"; readonly expression: RE2JS };

/** A pattern, compiled. */
export interface CompiledPattern {
  /** In lower case. */
  readonly literals: ReadonlySet<string>;
  readonly others: readonly Matcher[];
}

/** What is wrong with one alternative of a pattern. */
export interface PatternProblem {
  /** Where in the pattern: `""`, `/regex`, `/3/regex`. */
  readonly pointer: string;
  readonly message: string;
}

/** The states of a regular expression's automaton may take so many bytes; then it is slower. */
const AUTOMATON_BYTES = 256 * 1024;

/** A regular expression may compile to so many instructions: `(a{1000}){1000}` may not. */
const MOST_INSTRUCTIONS = 10_000;

/** Compiles a pattern. What does not compile is reported and matches nothing. */
export function compilePattern(
  pattern: Pattern,
  subject: PatternSubject,
  report: (problem: PatternProblem) => void = () => {},
): CompiledPattern {
  const literals = new Set<string>();
  const others: Matcher[] = [];
  const many = Array.isArray(pattern);
  const alternatives: readonly OnePattern[] = many ? pattern : [pattern];
  alternatives.forEach((one, index) => {
    if (typeof one === "string") literals.add(spelling(one, subject));
    else if ("wildcard" in one) others.push(compileWildcard(spelling(one.wildcard, "text")));
    else {
      const compiled = compileRegex(one.regex);
      if (typeof compiled !== "string") others.push({ kind: "regex", expression: compiled });
      else report({ pointer: `${many ? `/${index}` : ""}/regex`, message: compiled });
    }
  });
  return { literals, others };
}

/** Whether the text matches; `lower` is the same text in lower case. */
export function matches(
  { literals, others }: CompiledPattern,
  text: string,
  lower = text.toLowerCase(),
): boolean {
  if (literals.has(lower)) return true;
  for (const other of others) {
    if (other.kind === "regex" ? other.expression.test(text) : fits(other.parts, lower)) {
      return true;
    }
  }
  return false;
}

/**
 * The text with `replacement` in place of what matched: of the whole text for a literal or a
 * wildcard, of the part it found for a regular expression, whose groups are `$1`, `$2` in the
 * replacement. Undefined when nothing matched.
 */
export function rewrite(
  { literals, others }: CompiledPattern,
  text: string,
  replacement: string,
): string | undefined {
  const lower = text.toLowerCase();
  if (literals.has(lower)) return replacement;
  for (const other of others) {
    if (other.kind === "wildcard") {
      if (fits(other.parts, lower)) return replacement;
    } else if (other.expression.test(text)) {
      return other.expression.matcher(text).replaceFirst(replacement);
    }
  }
  return undefined;
}

/** The expression compiled, or what is wrong with it. */
function compileRegex(source: string): RE2JS | string {
  try {
    const expression = RE2JS.compile(source, RE2JS.CASE_INSENSITIVE);
    if (expression.programSize() > MOST_INSTRUCTIONS) {
      return `the expression is too large: its repetitions come to ${expression.programSize()} steps`;
    }
    const { dfa } = expression.re2() as unknown as {
      readonly dfa?: { maxMem: number; stateBudget: number; memBudget: number };
    };
    if (dfa !== undefined) {
      dfa.maxMem = dfa.stateBudget = dfa.memBudget = AUTOMATON_BYTES;
    }
    return expression;
  } catch (error) {
    return `not an RE2 expression: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Stars cut a wildcard into parts that follow one another; `?` needs a regular expression. */
function compileWildcard(wildcard: string): Matcher {
  if (!wildcard.includes("?")) return { kind: "wildcard", parts: wildcard.split("*") };
  const source = wildcard.split(/([*?])/).map((part) =>
    part === "*" ? ".*" : part === "?" ? "." : RE2JS.quote(part)
  ).join("");
  const expression = RE2JS.compile(`^(?:${source})$`, RE2JS.CASE_INSENSITIVE | RE2JS.DOTALL);
  return { kind: "regex", expression };
}

/** Whether the parts stand in the text in this order, the first at its start, the last at its end. */
function fits(parts: readonly string[], text: string): boolean {
  const first = parts[0]!;
  if (parts.length === 1) return text === first;
  const last = parts[parts.length - 1]!;
  if (text.length < first.length + last.length) return false;
  if (!text.startsWith(first) || !text.endsWith(last)) return false;
  const end = text.length - last.length;
  let at = first.length;
  for (let index = 1; index < parts.length - 1; index += 1) {
    const part = parts[index]!;
    const found = text.indexOf(part, at);
    if (found === -1 || found + part.length > end) return false;
    at = found + part.length;
  }
  return true;
}

/** A literal in lower case, its domain in A-labels. */
function spelling(literal: string, subject: PatternSubject): string {
  const lower = literal.toLowerCase();
  if (subject === "domain") return canonicalDomain(lower) ?? lower;
  const at = subject === "address" ? lower.lastIndexOf("@") : -1;
  if (at === -1) return lower;
  const domain = canonicalDomain(lower.slice(at + 1));
  return domain === undefined ? lower : `${lower.slice(0, at)}@${domain}`;
}
