/** Why the configuration was not changed, as problem documents. */
import { escapePointer, type ResourceKind, resourceKinds } from "@postern/config";
import type { ChangeOutcome } from "@postern/store";
import { stale } from "./preconditions.ts";
import { type FieldError, Problem } from "./problem.ts";

/** Where in the request's body a field of a resource is. */
export type Locate = (kind: ResourceKind, name: string, pointer: string) => string;

/** In a document of the whole configuration. */
export const inDocument: Locate = (kind, name, pointer) =>
  kind === "settings" ? `/settings${pointer}` : `/${kind}/${escapePointer(name)}${pointer}`;

/** In the body that is one resource's definition; elsewhere, what is at fault has to be named. */
export function inDefinitionOf(changed: { readonly kind: ResourceKind; readonly name: string }) {
  return (kind: ResourceKind, name: string, pointer: string): string | undefined =>
    kind === changed.kind && name === changed.name ? pointer : undefined;
}

/** The problem of a change that was not made. */
export function refusal(
  outcome: Exclude<ChangeOutcome, { status: "applied" }>,
  locate: (kind: ResourceKind, name: string, pointer: string) => string | undefined,
): Problem {
  const field = (kind: ResourceKind, name: string, pointer: string, detail: string): FieldError => {
    const at = locate(kind, name, pointer);
    return at === undefined
      ? { pointer: "", detail: `${labelOf(kind, name)}, ${pointer}: ${detail}` }
      : { pointer: at, detail };
  };
  switch (outcome.status) {
    case "stale":
      return stale();
    case "unknown": {
      return new Problem(404, "Not found", `There is no ${labelOf(outcome.kind, outcome.name)}`);
    }
    case "builtIn": {
      const detail = `${outcome.name} is part of every configuration: replace it instead`;
      return new Problem(409, "Built in", detail);
    }
    case "dangling":
      return invalid(
        outcome.references.map(({ from, to }) =>
          field(from.kind, from.name, from.pointer, `there is no ${labelOf(to.kind, to.name)}`)
        ),
      );
    case "inUse": {
      const users = [
        ...new Set(outcome.references.map(({ from }) => labelOf(from.kind, from.name))),
      ];
      const shown = users.slice(0, MOST_USERS).join(", ");
      const more = users.length - MOST_USERS;
      const detail = more > 0 ? `Used by ${shown} and ${more} more` : `Used by ${shown}`;
      return new Problem(409, "In use", detail);
    }
    case "invalid":
      return invalid(
        outcome.problems.map(({ kind, name, pointer, message }) =>
          field(kind, name, pointer, message)
        ),
      );
  }
}

/** The problem of a body with these errors. */
export function invalid(errors: readonly FieldError[], what = "change"): Problem {
  const told = errors.slice(0, MOST_ERRORS);
  const sentence = `The ${what} ${what === "settings" ? "are" : "is"} not valid`;
  const detail = told.length < errors.length
    ? `${sentence}; of ${errors.length} errors these are the first`
    : sentence;
  return new Problem(422, "Invalid", detail, { errors: told });
}

const MOST_USERS = 100;
const MOST_ERRORS = 1000;

function labelOf(kind: ResourceKind, name: string): string {
  return `${resourceKinds[kind].singular} ${name}`;
}
