/**
 * Changes of the configuration, judged before they are made: what the configuration would be, and
 * what speaks against it. Knows no store.
 */
import {
  type Configuration,
  isBuiltIn,
  type Reference,
  referencesOf,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "./configuration.ts";
import { equalJson } from "./difference.ts";
import { faultsIn } from "./faults.ts";

/** One wish: this definition under this name, or none (`body: null`). */
export interface Change {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly body: Resource | null;
  /** The version the resource must be at; 0 for "must not exist". Absent: whatever it is at. */
  readonly expected?: number;
}

/** One thing that is wrong with a definition, found when the configuration was looked at whole. */
export interface ConfigurationProblem {
  readonly kind: ResourceKind;
  readonly name: string;
  /** A JSON pointer into the resource's definition. */
  readonly pointer: string;
  readonly message: string;
}

/** Why a configuration must not come into force. */
export type Objection =
  | { readonly status: "unknown"; readonly kind: ResourceKind; readonly name: string }
  | { readonly status: "builtIn"; readonly name: string }
  | { readonly status: "dangling"; readonly references: readonly Reference[] }
  | { readonly status: "inUse"; readonly references: readonly Reference[] }
  | { readonly status: "invalid"; readonly problems: readonly ConfigurationProblem[] };

/** Looks at a configuration as a whole, beyond schemas and references. */
export type Examination = (configuration: Configuration) => readonly ConfigurationProblem[];

/** Definitions by name, of the kinds that a configuration has. */
export type Definitions = { readonly [kind in ResourceKind]: ReadonlyMap<string, Resource> };

const kinds = Object.keys(resourceKinds) as ResourceKind[];

/** The configuration that the changes lead to, or the first objection to it. */
export function judge(
  current: Configuration,
  changes: readonly Change[],
  examine: Examination = () => [],
): { readonly candidate: Configuration } | { readonly objection: Objection } {
  for (const { kind, name, body } of changes) {
    if (body !== null) continue;
    if (isBuiltIn(kind, name)) return { objection: { status: "builtIn", name } };
    if (!current[kind].has(name)) return { objection: { status: "unknown", kind, name } };
  }
  const candidate = changed(current, changes);
  const dangling = changes.flatMap(({ kind, name, body }) =>
    body === null ? [] : referencesOf(kind, name, body)
  ).filter(({ to }) => !candidate[to.kind].has(to.name));
  if (dangling.length > 0) return { objection: { status: "dangling", references: dangling } };
  const gone = changes.some(({ body }) => body === null);
  const users = gone
    ? allReferences(candidate).filter(({ to }) => !candidate[to.kind].has(to.name))
    : [];
  if (users.length > 0) return { objection: { status: "inUse", references: users } };
  const faults = changes.flatMap(({ kind, name, body }) =>
    body === null ? [] : faultsIn(kind, body).map((fault) => ({ kind, name, ...fault }))
  );
  const problems = [...faults, ...examine(candidate)];
  return problems.length > 0 ? { objection: { status: "invalid", problems } } : { candidate };
}

/** The configuration with the changes made to it; the version stays. Unchanged kinds are shared. */
export function changed(current: Configuration, changes: readonly Change[]): Configuration {
  const copies = new Map<ResourceKind, Map<string, Resource>>();
  for (const { kind, name, body } of changes) {
    let copy = copies.get(kind);
    if (copy === undefined) {
      copy = new Map<string, Resource>(current[kind]);
      copies.set(kind, copy);
    }
    if (body === null) copy.delete(name);
    else copy.set(name, body);
  }
  return { ...current, ...Object.fromEntries(copies) } as Configuration;
}

/** The changes that lead from one configuration to another; what is equal is left alone. */
export function changesBetween(current: Definitions, wanted: Definitions): Change[] {
  return kinds.flatMap((kind) => {
    const changes: Change[] = [];
    for (const [name, body] of wanted[kind]) {
      const former = current[kind].get(name);
      if (former === undefined || !equalJson(former, body)) changes.push({ kind, name, body });
    }
    for (const name of current[kind].keys()) {
      if (!wanted[kind].has(name)) changes.push({ kind, name, body: null });
    }
    return changes;
  });
}

function allReferences(configuration: Configuration): Reference[] {
  return kinds.flatMap((kind) =>
    [...configuration[kind] as ReadonlyMap<string, Resource>].flatMap(([name, body]) =>
      referencesOf(kind, name, body)
    )
  );
}
