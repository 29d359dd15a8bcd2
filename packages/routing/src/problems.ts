/**
 * What is wrong with a configuration beyond its schemas and references: expressions that do not
 * compile, splits that point at splits, aliases that go round. The API refuses such a change.
 */
import type { Configuration, ResourceKind, Rule } from "@postern/config";
import { addressKey, parseAddress } from "./addresses.ts";
import { compileDomains, lookUpDomain } from "./domains.ts";
import { compilePattern } from "./patterns.ts";
import { compileRule } from "./rules.ts";

/** One thing that is wrong, and where. */
export interface Problem {
  readonly kind: ResourceKind;
  readonly name: string;
  /** A JSON pointer into the resource's definition. */
  readonly pointer: string;
  readonly message: string;
}

/** All that is wrong; empty for a configuration that may come into force. */
export function problemsOf(configuration: Configuration): Problem[] {
  const problems: Problem[] = [];
  for (const [name, rule] of configuration.rules) problems.push(...checkRule(name, rule));
  for (const [name, relay] of configuration.relays) {
    if (relay.kind !== "split") continue;
    relay.relays.forEach(({ relay: part }, index) => {
      if (configuration.relays.get(part)?.kind !== "split") return;
      const message = `${part} is a split itself: a split points at two relays that deliver`;
      problems.push({ kind: "relays", name, pointer: `/relays/${index}/relay`, message });
    });
  }
  for (const [name, { senders }] of configuration.users) {
    if (senders === undefined) continue;
    compilePattern(senders, "address", ({ pointer, message }) => {
      problems.push({ kind: "users", name, pointer: `/senders${pointer}`, message });
    });
  }
  for (const [name, { recipients }] of configuration.domains) {
    if (recipients.verify !== "pattern") continue;
    compilePattern(recipients.pattern, "address", ({ pointer, message }) => {
      problems.push({ kind: "domains", name, pointer: `/recipients/pattern${pointer}`, message });
    });
  }
  problems.push(...aliasLoops(configuration));
  return problems;
}

/** What is wrong with one rule. */
export function checkRule(name: string, rule: Rule): Problem[] {
  const problems: Problem[] = [];
  compileRule(name, rule, ({ pointer, message }) => {
    problems.push({ kind: "rules", name, pointer, message });
  });
  return problems;
}

/**
 * Aliases that lead back to themselves by way of another. That an alias names itself is no loop:
 * it keeps a copy in that mailbox.
 */
function aliasLoops({ domains }: Configuration): Problem[] {
  const table = compileDomains(domains);
  const problems: Problem[] = [];
  /** 1: on the way now; 2: done. */
  const state = new Map<string, 1 | 2>();

  function aliasesOf(key: string): readonly string[] {
    const address = parseAddress(key)!;
    const { aliases } = lookUpDomain(table, address.domain)?.domain ?? {};
    const found = aliases !== undefined && Object.hasOwn(aliases, address.local)
      ? aliases[address.local]!
      : [];
    return found.flatMap((target) => {
      const parsed = parseAddress(target);
      return parsed === undefined ? [] : [addressKey(parsed)];
    });
  }

  /** With a stack of its own: chains may be as long as there are aliases. */
  function walk(start: string, name: string, pointer: string) {
    const stack: { readonly key: string; readonly targets: readonly string[]; next: number }[] = [];
    const enter = (key: string) => {
      state.set(key, 1);
      stack.push({ key, targets: aliasesOf(key), next: 0 });
    };
    enter(start);
    while (stack.length > 0) {
      const top = stack[stack.length - 1]!;
      const target = top.targets[top.next];
      top.next += 1;
      if (target === undefined) {
        state.set(top.key, 2);
        stack.pop();
      } else if (target === top.key) continue;
      else if (state.get(target) === 1) {
        const message = `its aliases go round: ${top.key} leads back to ${target}`;
        problems.push({ kind: "domains", name, pointer, message });
      } else if (state.get(target) === undefined) enter(target);
    }
  }

  for (const [name, { aliases }] of domains) {
    if (aliases === undefined || name.startsWith("*.")) continue;
    for (const local of Object.keys(aliases)) {
      const key = `${local}@${name}`;
      const pointer = `/aliases/${local.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      if (parseAddress(key) !== undefined && !state.has(key)) walk(key, name, pointer);
    }
  }
  return problems;
}
