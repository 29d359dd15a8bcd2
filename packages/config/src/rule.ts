/** A rule: an ordered match over session, envelope and content, and what is done when it matches. */
import { z } from "zod";
import { mailbox, network, plainText, resourceName } from "./names.ts";
import { type Pattern, patternSchema } from "./pattern.ts";
import { refusalSchema } from "./relay.ts";

/** The results that SPF, DKIM, DMARC and ARC may have (RFC 8601 §2.7). */
export const authenticationResult = z.enum([
  "pass",
  "fail",
  "softfail",
  "neutral",
  "none",
  "temperror",
  "permerror",
  "policy",
]);
const results = z.array(authenticationResult).min(1);
const fieldName = z.string().regex(/^[!-9;-~]{1,76}$/, { error: "expected a field name" });
// deno-lint-ignore no-control-regex
const oneLine = plainText.max(900).regex(/^[^\x00-\x08\x0a-\x1f\x7f]*$/, {
  error: "expected one line without control characters",
});

/** @see authenticationResult */
export type AuthenticationResult = z.output<typeof authenticationResult>;

/** What a rule matches on: one condition, or several put together. */
export type Condition =
  | { readonly all: readonly Condition[] }
  | { readonly any: readonly Condition[] }
  | { readonly not: Condition }
  | { readonly client: readonly string[] }
  | { readonly network: readonly string[] }
  | { readonly user: Pattern }
  | { readonly tls: boolean }
  | { readonly helo: Pattern }
  | { readonly reversePath: Pattern }
  | { readonly forwardPath: Pattern }
  | { readonly domain: Pattern }
  | { readonly size: { readonly over?: number; readonly under?: number } }
  | { readonly header: { readonly name: string; readonly value?: Pattern } }
  | {
    readonly authentication: {
      readonly [method in "spf" | "dkim" | "dmarc" | "arc"]?: readonly AuthenticationResult[];
    };
  }
  | { readonly hour: { readonly from: number; readonly to: number; readonly zone: string } };

/** @see Condition */
export const conditionSchema: z.ZodType<Condition> = z.lazy(() => {
  const kinds = [
    z.strictObject({ all: z.array(conditionSchema).max(100) }),
    z.strictObject({ any: z.array(conditionSchema).max(100) }),
    z.strictObject({ not: conditionSchema }),
    z.strictObject({ client: z.array(resourceName).min(1).max(1000) }),
    z.strictObject({ network: z.array(network).min(1).max(1000) }),
    z.strictObject({ user: patternSchema }),
    z.strictObject({ tls: z.boolean() }),
    z.strictObject({ helo: patternSchema }),
    z.strictObject({ reversePath: patternSchema }),
    z.strictObject({ forwardPath: patternSchema }),
    z.strictObject({ domain: patternSchema }),
    z.strictObject({
      size: z.strictObject({
        over: z.int().min(0).exactOptional(),
        under: z.int().min(0).exactOptional(),
      }),
    }),
    z.strictObject({
      header: z.strictObject({ name: fieldName, value: patternSchema.exactOptional() }),
    }),
    z.strictObject({
      authentication: z.strictObject({
        spf: results.exactOptional(),
        dkim: results.exactOptional(),
        dmarc: results.exactOptional(),
        arc: results.exactOptional(),
      }),
    }),
    z.strictObject({
      hour: z.strictObject({
        from: z.int().min(0).max(23),
        to: z.int().min(0).max(24).meta({ description: "Up to and without this hour" }),
        zone: plainText.max(64).default("UTC").refine(isTimeZone, {
          error: "expected a time zone such as Europe/Berlin",
        }),
      }),
    }),
  ];
  const names = kinds.flatMap(({ shape }) => Object.keys(shape));
  return z.union(kinds, { error: ({ input }) => notOne(input, names) });
}).meta({
  id: "Condition",
  description: "One condition; all, any and not put several together, at most 50 deep",
});

/** Why this is none of the conditions, and which there are. */
function notOne(given: unknown, names: readonly string[]): string {
  const keys = typeof given === "object" && given !== null && !Array.isArray(given)
    ? Object.keys(given)
    : [];
  const unknown = keys.filter((key) => !names.includes(key));
  if (unknown.length > 0) {
    return `there is no condition ${unknown.join(", ")}: expected one of ${names.join(", ")}`;
  }
  return keys.length > 1
    ? `expected one condition, not ${keys.join(", ")}: all and any put several together`
    : `expected an object with one of ${names.join(", ")}`;
}

/** How deep conditions may lie in each other: what reads them calls itself at each level. */
const MOST_LEVELS = 50;

/** A condition whose depth is seen to before all else. */
const boundedCondition = z.preprocess((given, context) => {
  if (!isDeeper(given, MOST_LEVELS)) return given;
  const message = `expected conditions at most ${MOST_LEVELS} deep in each other`;
  context.issues.push({ code: "custom", input: given, message });
  return z.NEVER;
}, conditionSchema);

function isDeeper(condition: unknown, levels: number): boolean {
  if (typeof condition !== "object" || condition === null) return false;
  if (levels === 0) return true;
  const { all, any, not } = condition as Record<string, unknown>;
  return [all, any, not].flat().some((part) => isDeeper(part, levels - 1));
}

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }) !== undefined;
  } catch {
    return false;
  }
}

const rewriting = {
  pattern: patternSchema.optional().meta({
    description: "Rewrite only what matches; groups of a regex are $1, $2 in the replacement",
  }),
  replacement: plainText.min(1).max(320),
};

/** What a rule does to a recipient's copy. */
export const actionSchema = z
  .discriminatedUnion("do", [
    z.strictObject({ do: z.literal("accept") }),
    z.strictObject({ do: z.literal("reject"), ...refusalSchema }),
    z.strictObject({ do: z.literal("defer"), text: refusalSchema.text }),
    z.strictObject({ do: z.literal("relay"), relay: resourceName }),
    z.strictObject({ do: z.literal("rewriteSender"), ...rewriting }),
    z.strictObject({ do: z.literal("rewriteRecipient"), ...rewriting }),
    z.strictObject({ do: z.literal("addHeader"), name: fieldName, value: oneLine }),
    z.strictObject({ do: z.literal("removeHeader"), name: fieldName }),
    z.strictObject({ do: z.literal("addRecipient"), address: mailbox }),
    z.strictObject({ do: z.literal("redirect"), address: mailbox }),
    z.strictObject({ do: z.literal("hold"), reason: oneLine.default("Held by a rule") }),
    z.strictObject({ do: z.literal("tag"), tag: resourceName }),
    z.strictObject({ do: z.literal("stop") }),
  ])
  .meta({
    id: "Action",
    description: "accept, reject and defer end the rules, as does stop; the others go on",
  });

/** @see actionSchema */
export type Action = z.output<typeof actionSchema>;

/** The definition of a rule. */
export const ruleSchema = z
  .strictObject({
    order: z.int().min(0).max(1_000_000).default(1000).meta({
      description: "Lower is tried first; equal ones by name",
    }),
    description: plainText.max(1000).optional(),
    enabled: z.boolean().default(true),
    match: boundedCondition.default({ all: [] }).meta({ description: "Everything when absent" }),
    actions: z.array(actionSchema).min(1).max(100),
  })
  .meta({
    id: "Rule",
    examples: [{
      match: { header: { name: "Subject", value: { wildcard: "*lottery*" } } },
      actions: [{ do: "hold", reason: "Looks like a lottery" }],
    }],
  });

/** @see ruleSchema */
export type Rule = z.output<typeof ruleSchema>;
