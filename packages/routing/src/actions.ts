/**
 * Rules applied to one recipient: each rule that matches does its actions in order, until one ends
 * the rules or one cannot be decided before the content is there.
 *
 * Rules act on mail that is permitted already: none of them lets anybody relay. Conditions look at
 * the envelope as it came, so that what a rule matches does not depend on what others rewrote.
 */
import { mailbox } from "@postern/config";
import type { Action } from "@postern/config";
import { type Address, parseAddress } from "./addresses.ts";
import type { ConditionContext } from "./conditions.ts";
import type { ConditionTrace, HeaderEdit, Reason, Refusal } from "./decision.ts";
import { type CompiledPattern, rewrite } from "./patterns.ts";
import { candidates, type CompiledRule } from "./rules.ts";
import type { Snapshot } from "./snapshot.ts";

/** What rules made of a recipient. */
export interface Effect {
  address: Address;
  /** An administrator named this very address: nobody asks whether it exists. */
  named: boolean;
  /** In place of the message's reverse-path. */
  reversePath: string | undefined;
  readonly edits: HeaderEdit[];
  readonly added: Address[];
  relay: string | undefined;
  hold: string | undefined;
  readonly tags: string[];
  refusal: Refusal | undefined;
  /** A rule waits for the content. */
  undecided: boolean;
  /** Behind it a rule that does not wait may give the recipient another address, or another relay. */
  mayBeReaddressed: boolean;
  mayBeRelayed: boolean;
  /** The rule that refused, or said where it goes. */
  rule: string | null;
}

/** Tries the rules in order. With `explain` all are tried and noted, else only those that can match. */
export function applyRules(
  snapshot: Snapshot,
  context: ConditionContext,
  address: Address,
  note: (reason: Reason) => void,
  explain: boolean,
): Effect {
  const effect: Effect = {
    address,
    named: false,
    reversePath: undefined,
    edits: [],
    added: [],
    relay: undefined,
    hold: undefined,
    tags: [],
    refusal: undefined,
    undecided: false,
    mayBeReaddressed: false,
    mayBeRelayed: false,
    rule: null,
  };
  const { rules } = snapshot;
  if (rules.rules.length === 0) return effect;
  for (const rule of explain ? rules.rules : candidates(rules, context)) {
    if (effect.undecided) {
      foresee(rule, effect, context);
      continue;
    }
    const conditions: ConditionTrace[] | undefined = explain ? [] : undefined;
    const matched = rule.matches(context, conditions && ((met) => conditions.push(met)));
    if (matched === false) {
      if (conditions) note({ kind: "rule", name: rule.name, matched, conditions });
      continue;
    }
    const told = conditions ? { conditions } : {};
    if (matched === undefined) {
      note({ kind: "rule", name: rule.name, matched: null, ...told });
      effect.undecided = true;
      continue;
    }
    const ended = perform(rule, effect, context.reversePath);
    note({ kind: "rule", name: rule.name, matched, actions: rule.actions.map(inWords), ...told });
    if (ended) return effect;
  }
  return effect;
}

/** Actions after which the rule has decided about the recipient. */
const DECIDES: ReadonlySet<Action["do"]> = new Set<Action["do"]>([
  "accept",
  "reject",
  "defer",
  "relay",
  "rewriteRecipient",
  "redirect",
  "hold",
]);

/** What a rule that is decided already may do once those before it are. */
function foresee(rule: CompiledRule, effect: Effect, context: ConditionContext): void {
  const readdresses = rule.actions.some((action, place) =>
    action.do === "redirect" || action.do === "rewriteRecipient" &&
      rewritten(action, rule.rewriting[place], effect.address.text) !== undefined
  );
  const relays = rule.actions.some((action) => action.do === "relay");
  if (!readdresses && !relays || rule.matches(context, undefined) !== true) return;
  effect.mayBeReaddressed ||= readdresses;
  effect.mayBeRelayed ||= relays;
}

/** Performs a rule's actions; true when no further rule is to be tried. */
function perform(rule: CompiledRule, effect: Effect, reversePath: string): boolean {
  for (const [place, action] of rule.actions.entries()) {
    if (DECIDES.has(action.do)) effect.rule = rule.name;
    const pattern = rule.rewriting[place];
    switch (action.do) {
      case "accept":
      case "stop":
        return true;
      case "reject": {
        const { code, enhanced, text } = action;
        effect.refusal = { action: "reject", code, enhanced, text };
        return true;
      }
      case "defer":
        effect.refusal = { action: "defer", code: 451, enhanced: "4.7.1", text: action.text };
        return true;
      case "relay":
        effect.relay = action.relay;
        break;
      case "rewriteSender":
        rewriteSender(rule, action, pattern, effect, reversePath);
        break;
      case "rewriteRecipient": {
        const text = rewritten(action, pattern, effect.address.text);
        const address = text === undefined ? effect.address : usable(text);
        if (address !== undefined) effect.address = address;
        else effect.refusal = misconfigured(rule, text!);
        break;
      }
      case "addHeader":
        effect.edits.push({ add: action.name, value: action.value });
        break;
      case "removeHeader":
        effect.edits.push({ remove: action.name });
        break;
      case "addRecipient":
        effect.added.push(parseAddress(action.address)!);
        break;
      case "redirect":
        effect.address = parseAddress(action.address)!;
        effect.named = true;
        break;
      case "hold":
        effect.hold ??= action.reason;
        break;
      case "tag":
        if (!effect.tags.includes(action.tag)) effect.tags.push(action.tag);
        break;
    }
    if (effect.refusal !== undefined) return true;
  }
  return false;
}

/** The null reverse-path stays what it is: a report must never give rise to another. */
function rewriteSender(
  rule: CompiledRule,
  action: { readonly replacement: string },
  pattern: CompiledPattern | undefined,
  effect: Effect,
  reversePath: string,
) {
  if (reversePath === "") return;
  const text = rewritten(action, pattern, effect.reversePath ?? reversePath);
  if (text === undefined) return;
  const address = usable(text);
  if (address !== undefined) effect.reversePath = address.text;
  else effect.refusal = misconfigured(rule, text);
}

function rewritten(
  { replacement }: { readonly replacement: string },
  pattern: CompiledPattern | undefined,
  text: string,
): string | undefined {
  return pattern === undefined ? replacement : rewrite(pattern, text, replacement);
}

function usable(text: string): Address | undefined {
  const parsed = mailbox.safeParse(text);
  return parsed.success ? parseAddress(parsed.data) : undefined;
}

/** What a rule makes of an address is known only here: the mail waits until the rule is mended. */
function misconfigured({ name }: CompiledRule, text: string): Refusal {
  return {
    action: "defer",
    code: 451,
    enhanced: "4.3.5",
    text: `The rule ${name} makes no mail address: ${text.slice(0, 100)}`,
  };
}

function inWords(action: Action): string {
  switch (action.do) {
    case "reject":
      return `reject ${action.code} ${action.enhanced}`;
    case "relay":
      return `relay ${action.relay}`;
    case "addRecipient":
    case "redirect":
      return `${action.do} ${action.address}`;
    case "rewriteSender":
    case "rewriteRecipient":
      return `${action.do} ${action.replacement}`;
    case "addHeader":
    case "removeHeader":
      return `${action.do} ${action.name}`;
    case "tag":
      return `tag ${action.tag}`;
    default:
      return action.do;
  }
}
