/**
 * Rules in the order they are tried, and an index that finds the few that can match at all: most
 * rules ask for a certain recipient, domain, sender, client or user, and are not looked at for
 * others. What the index leaves out is false whatever else is known.
 *
 * This file must not know what actions do.
 */
import { canonicalDomain, type Condition, type Pattern, type Rule } from "@postern/config";
import { compileCondition, type CompiledCondition, type ConditionContext } from "./conditions.ts";
import { type CompiledPattern, compilePattern } from "./patterns.ts";

/** A rule, compiled. */
export interface CompiledRule {
  readonly name: string;
  readonly matches: CompiledCondition;
  readonly actions: Rule["actions"];
  /** By the place of the action: what a rewriting applies to; absent where to everything. */
  readonly rewriting: readonly (CompiledPattern | undefined)[];
}

/** All enabled rules in order, and the index. */
export interface RuleTable {
  readonly rules: readonly CompiledRule[];
  /** Places in `rules`, ascending, of those that no key restricts. */
  readonly unrestricted: readonly number[];
  /** Places in `rules`, ascending, by key. */
  readonly byKey: ReadonlyMap<string, readonly number[]>;
  /** Whether any asks for authentication results. */
  readonly asksAuthentication: boolean;
}

/** What is wrong with a rule, and where in its definition. */
export interface RuleProblem {
  readonly rule: string;
  /** A JSON pointer into the definition. */
  readonly pointer: string;
  readonly message: string;
}

/** Compiles rules; those not enabled are left out. */
export function compileRules(
  rules: ReadonlyMap<string, Rule>,
  report: (problem: RuleProblem) => void = () => {},
): RuleTable {
  const enabled = [...rules].filter(([, rule]) => rule.enabled).sort(([a, one], [b, other]) =>
    one.order - other.order || (a < b ? -1 : 1)
  );
  const unrestricted: number[] = [];
  const byKey = new Map<string, number[]>();
  const compiled = enabled.map(([name, rule], place) => {
    const keys = keysOf(rule.match);
    if (keys === undefined) unrestricted.push(place);
    for (const key of new Set(keys)) {
      const places = byKey.get(key);
      if (places === undefined) byKey.set(key, [place]);
      else places.push(place);
    }
    return compileRule(name, rule, report);
  });
  return {
    rules: compiled,
    unrestricted,
    byKey,
    asksAuthentication: enabled.some(([, { match }]) => asksAuthentication(match)),
  };
}

/** Compiles one rule. */
export function compileRule(
  name: string,
  { match, actions }: Rule,
  report: (problem: RuleProblem) => void,
): CompiledRule {
  return {
    name,
    matches: compileCondition(match, "", ({ pointer, message }) => {
      report({ rule: name, pointer: `/match${pointer}`, message });
    }),
    actions,
    rewriting: actions.map((action, index) =>
      "pattern" in action && action.pattern !== undefined
        ? compilePattern(action.pattern, "address", ({ pointer, message }) => {
          report({ rule: name, pointer: `/actions/${index}/pattern${pointer}`, message });
        })
        : undefined
    ),
  };
}

/** The rules that can match, in order. */
export function* candidates(
  { rules, unrestricted, byKey }: RuleTable,
  context: ConditionContext,
): Iterable<CompiledRule> {
  const lists = byKey.size === 0 ? [] : keysFor(context).flatMap((key) => {
    const places = byKey.get(key);
    return places === undefined ? [] : [places];
  });
  if (lists.length === 0) {
    for (const place of unrestricted) yield rules[place]!;
    return;
  }
  if (unrestricted.length > 0) lists.push(unrestricted);
  const at = lists.map(() => 0);
  for (;;) {
    let least = Infinity;
    for (let list = 0; list < lists.length; list += 1) {
      const place = lists[list]![at[list]!];
      if (place !== undefined && place < least) least = place;
    }
    if (least === Infinity) return;
    for (let list = 0; list < lists.length; list += 1) {
      if (lists[list]![at[list]!] === least) at[list]! += 1;
    }
    yield rules[least]!;
  }
}

/** The keys that a recipient has. A key is the condition's first letters, a colon and a value. */
function keysFor({ client, user, forwardPath, domain, reversePath }: ConditionContext): string[] {
  const keys = [`fp:${forwardPath.toLowerCase()}`, `d:${domain}`];
  const at = reversePath.lastIndexOf("@");
  if (at !== -1) {
    keys.push(`rp:${reversePath.toLowerCase()}`, `rd:${reversePath.slice(at + 1).toLowerCase()}`);
  }
  if (client !== undefined) keys.push(`c:${client}`);
  if (user !== undefined) keys.push(`u:${user.toLowerCase()}`);
  return keys;
}

/** Keys of which a recipient must have one for the condition not to be false; undefined: any may. */
function keysOf(condition: Condition): readonly string[] | undefined {
  if ("all" in condition) {
    let fewest: readonly string[] | undefined;
    for (const part of condition.all) {
      const keys = keysOf(part);
      if (keys !== undefined && keys.length < (fewest?.length ?? Infinity)) fewest = keys;
    }
    return fewest;
  }
  if ("any" in condition) {
    const parts = condition.any.map(keysOf);
    return parts.some((keys) => keys === undefined)
      ? undefined
      : (parts as (readonly string[])[]).flat();
  }
  if ("client" in condition) return condition.client.map((name) => `c:${name}`);
  if ("user" in condition) return literalKeys(condition.user, "text", "u:");
  if ("domain" in condition) return literalKeys(condition.domain, "domain", "d:");
  if ("forwardPath" in condition) return addressKeys(condition.forwardPath, "fp:", "d:");
  if ("reversePath" in condition) return addressKeys(condition.reversePath, "rp:", "rd:");
  return undefined;
}

function literalKeys(
  pattern: Pattern,
  subject: "text" | "domain" | "address",
  prefix: string,
): readonly string[] | undefined {
  const { literals, others } = compilePattern(pattern, subject);
  const alternatives = Array.isArray(pattern) ? pattern : [pattern];
  if (others.length > 0 || alternatives.some((one) => typeof one !== "string")) return undefined;
  return [...literals].map((literal) => `${prefix}${literal}`);
}

/** For literals the address, for `*@example.com` the domain. */
function addressKeys(
  pattern: Pattern,
  prefix: string,
  domainPrefix: string,
): readonly string[] | undefined {
  const keys: string[] = [];
  for (const one of Array.isArray(pattern) ? pattern : [pattern]) {
    if (typeof one === "string") keys.push(...literalKeys(one, "address", prefix)!);
    else if (!("wildcard" in one)) return undefined;
    else {
      const domain = /@([^@*?]+)$/.exec(one.wildcard)?.[1];
      // In any other spelling the wildcard cannot match; it is left to show that by itself.
      if (domain === undefined || canonicalDomain(domain) !== domain.toLowerCase()) {
        return undefined;
      }
      keys.push(`${domainPrefix}${domain.toLowerCase()}`);
    }
  }
  return keys;
}

function asksAuthentication(condition: Condition): boolean {
  if ("authentication" in condition) return true;
  if ("not" in condition) return asksAuthentication(condition.not);
  if ("all" in condition) return condition.all.some(asksAuthentication);
  return "any" in condition && condition.any.some(asksAuthentication);
}
