/**
 * Conditions of rules, compiled, and their evaluation with three values: true, false, and unknown
 * (undefined) for what only the content tells while that is not there. Unknown is decided by the
 * rest where it can be: `all` with one false part is false, `any` with one true part is true.
 *
 * This file must not know what a rule does.
 */
import type { AuthenticationResult, Condition, Pattern } from "@postern/config";
import type { ConditionTrace } from "./decision.ts";
import type { AuthenticationMethod, ContentFacts } from "./facts.ts";
import { compileNetworks, lookUpNetwork } from "./networks.ts";
import {
  type CompiledPattern,
  compilePattern,
  matches,
  type PatternProblem,
  type PatternSubject,
} from "./patterns.ts";

/** What conditions look at: the envelope as it came, whatever rules made of it since. */
export interface ConditionContext {
  readonly client: string | undefined;
  readonly user: string | undefined;
  readonly tls: boolean;
  readonly address: string;
  readonly helo: string;
  /** With a canonical domain. */
  readonly reversePath: string;
  /** With a canonical domain. */
  readonly forwardPath: string;
  readonly domain: string;
  readonly content: ContentFacts | undefined;
  readonly time: Date;
}

/** Takes what was met on the way; absent where nobody wants to know. */
export type TraceSink = ((trace: ConditionTrace) => void) | undefined;

/** A condition, compiled. */
export type CompiledCondition = (
  context: ConditionContext,
  trace: TraceSink,
) => boolean | undefined;

/** Seen values are cut to so many characters: they are for people. */
const SEEN_LENGTH = 200;

/** Compiles a condition; `pointer` is where it stands in the rule's match. */
export function compileCondition(
  condition: Condition,
  pointer: string,
  report: (problem: PatternProblem) => void,
): CompiledCondition {
  if ("all" in condition) {
    return several(condition.all, `${pointer}/all`, report, false);
  }
  if ("any" in condition) {
    return several(condition.any, `${pointer}/any`, report, true);
  }
  if ("not" in condition) {
    const inner = compileCondition(condition.not, `${pointer}/not`, report);
    return (context, trace) => {
      const result = inner(context, trace);
      return result === undefined ? undefined : !result;
    };
  }
  if ("client" in condition) {
    const names = new Set(condition.client);
    return leaf(`${pointer}/client`, ({ client }) => [
      client !== undefined && names.has(client),
      client ?? null,
    ]);
  }
  if ("network" in condition) {
    const table = compileNetworks(condition.network.map((network) => [network, network] as const));
    return leaf(`${pointer}/network`, ({ address }) => [
      lookUpNetwork(table, address) !== undefined,
      address,
    ]);
  }
  if ("user" in condition) {
    return text(`${pointer}/user`, condition.user, "text", report, ({ user }) => user);
  }
  if ("tls" in condition) {
    const wanted = condition.tls;
    return leaf(`${pointer}/tls`, ({ tls }) => [tls === wanted, tls]);
  }
  if ("helo" in condition) {
    return text(`${pointer}/helo`, condition.helo, "text", report, ({ helo }) => helo);
  }
  if ("reversePath" in condition) {
    return text(
      `${pointer}/reversePath`,
      condition.reversePath,
      "address",
      report,
      (context) => context.reversePath,
    );
  }
  if ("forwardPath" in condition) {
    return text(
      `${pointer}/forwardPath`,
      condition.forwardPath,
      "address",
      report,
      (context) => context.forwardPath,
    );
  }
  if ("domain" in condition) {
    return text(`${pointer}/domain`, condition.domain, "domain", report, ({ domain }) => domain);
  }
  if ("size" in condition) {
    const { over = -1, under = Infinity } = condition.size;
    return ofContent(`${pointer}/size`, ({ size }) => [size > over && size < under, size]);
  }
  if ("header" in condition) return header(condition.header, `${pointer}/header`, report);
  if ("authentication" in condition) {
    return authentication(condition.authentication, `${pointer}/authentication`);
  }
  return hour(condition.hour, `${pointer}/hour`);
}

/** `all` (ends at a false part) or `any` (ends at a true one). */
function several(
  conditions: readonly Condition[],
  pointer: string,
  report: (problem: PatternProblem) => void,
  end: boolean,
): CompiledCondition {
  const parts = conditions.map((part, index) =>
    compileCondition(part, `${pointer}/${index}`, report)
  );
  return (context, trace) => {
    let unknown = false;
    for (const part of parts) {
      const result = part(context, trace);
      if (result === end) return end;
      if (result === undefined) unknown = true;
    }
    return unknown ? undefined : !end;
  };
}

type Look<T> = (from: T) => readonly [matched: boolean, seen: ConditionTrace["seen"]];

function leaf(path: string, look: Look<ConditionContext>): CompiledCondition {
  return (context, trace) => {
    const [matched, seen] = look(context);
    trace?.({ path, matched, seen: typeof seen === "string" ? seen.slice(0, SEEN_LENGTH) : seen });
    return matched;
  };
}

function ofContent(path: string, look: Look<ContentFacts>): CompiledCondition {
  return (context, trace) => {
    if (context.content === undefined) {
      trace?.({ path, matched: null, seen: null });
      return undefined;
    }
    const [matched, seen] = look(context.content);
    trace?.({ path, matched, seen: typeof seen === "string" ? seen.slice(0, SEEN_LENGTH) : seen });
    return matched;
  };
}

function text(
  path: string,
  pattern: Pattern,
  subject: PatternSubject,
  report: (problem: PatternProblem) => void,
  look: (context: ConditionContext) => string | undefined,
): CompiledCondition {
  const compiled = compileAt(path, pattern, subject, report);
  return leaf(path, (context) => {
    const value = look(context);
    return [value !== undefined && matches(compiled, value), value ?? null];
  });
}

function compileAt(
  path: string,
  pattern: Pattern,
  subject: PatternSubject,
  report: (problem: PatternProblem) => void,
): CompiledPattern {
  return compilePattern(
    pattern,
    subject,
    ({ pointer, message }) => report({ pointer: `${path}${pointer}`, message }),
  );
}

function header(
  { name, value }: { readonly name: string; readonly value?: Pattern },
  path: string,
  report: (problem: PatternProblem) => void,
): CompiledCondition {
  const wanted = name.toLowerCase();
  const pattern = value === undefined
    ? undefined
    : compileAt(`${path}/value`, value, "text", report);
  return ofContent(
    path,
    once((content) => {
      const values = fieldsOf(content).get(wanted) ?? [];
      const found = pattern === undefined ? values[0] : values.find((one) => matches(pattern, one));
      return [found !== undefined, found ?? values[0] ?? null];
    }),
  );
}

/** Looks once at a message, however many recipients it has: a long field takes milliseconds to match. */
function once(look: Look<ContentFacts>): Look<ContentFacts> {
  const seen = new WeakMap<ContentFacts, ReturnType<typeof look>>();
  return (content) => {
    let result = seen.get(content);
    if (result === undefined) seen.set(content, result = look(content));
    return result;
  };
}

/** A message's fields by name, made once however many rules ask. */
const fieldsByName = new WeakMap<ContentFacts["header"], Map<string, string[]>>();

function fieldsOf({ header: fields }: ContentFacts): ReadonlyMap<string, readonly string[]> {
  let map = fieldsByName.get(fields);
  if (map === undefined) {
    map = new Map();
    for (const { name, value } of fields) {
      const key = name.toLowerCase();
      const values = map.get(key);
      if (values === undefined) map.set(key, [value]);
      else values.push(value);
    }
    fieldsByName.set(fields, map);
  }
  return map;
}

function authentication(
  wanted: { readonly [method in AuthenticationMethod]?: readonly AuthenticationResult[] },
  path: string,
): CompiledCondition {
  const methods = (["spf", "dkim", "dmarc", "arc"] as const).filter((one) =>
    wanted[one] !== undefined
  );
  return ofContent(path, (content) => {
    const results = methods.map((method) =>
      [method, content.authentication?.[method] ?? "none"] as const
    );
    return [
      results.every(([method, result]) => wanted[method]!.includes(result)),
      results.map(([method, result]) => `${method}=${result}`).join(" "),
    ];
  });
}

function hour(
  { from, to, zone }: { readonly from: number; readonly to: number; readonly zone: string },
  path: string,
): CompiledCondition {
  const format = new Intl.DateTimeFormat("en", {
    hour: "numeric",
    hourCycle: "h23",
    timeZone: zone,
  });
  let last = NaN;
  let now = 0;
  return leaf(path, ({ time }) => {
    const quarter = Math.floor(time.getTime() / 900_000);
    if (quarter !== last) {
      // Every zone's hours begin at a whole quarter of an hour.
      last = quarter;
      now = Number(format.format(time));
    }
    return [from <= to ? now >= from && now < to : now >= from || now < to, now];
  });
}
