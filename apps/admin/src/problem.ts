/** Errors as problem documents (RFC 9457), with every failing field by JSON pointer (RFC 6901). */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";

/** What is wrong with one field or line of the body, or one parameter of the path or the query. */
export type FieldError =
  | { readonly pointer: string; readonly detail: string }
  | { readonly parameter: string; readonly detail: string }
  | { readonly line: number; readonly detail: string };

/** A problem that ends a request. Throw it anywhere in a handler. */
export class Problem extends Error {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly errors: readonly FieldError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: ContentfulStatusCode,
    title: string,
    detail: string,
    extra: {
      readonly errors?: readonly FieldError[];
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ) {
    super(detail);
    this.status = status;
    this.title = title;
    this.errors = extra.errors ?? [];
    this.headers = extra.headers ?? {};
  }
}

/** The response for a problem. */
export function problemResponse(context: Context, problem: Problem): Response {
  const { status, title, message, errors, headers } = problem;
  const body = { type: "about:blank", title, status, detail: message };
  return context.body(JSON.stringify(errors.length > 0 ? { ...body, errors } : body), status, {
    ...headers,
    "Content-Type": "application/problem+json",
  });
}

/** Words for what zod finds, where a schema has none of its own. Give it to `safeParse`. */
export const wording: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === "invalid_type") {
    return issue.input === undefined ? `required: ${issue.expected}` : `expected ${issue.expected}`;
  }
  if (issue.code === "invalid_union" && "options" in issue && Array.isArray(issue.options)) {
    return `expected one of ${issue.options.join(", ")}`;
  }
  return undefined;
};

/** One thing that is wrong, and the way to it. */
interface Fault {
  readonly path: readonly PropertyKey[];
  readonly detail: string;
}

/** What zod found as single faults: unknown fields one by one, a union by its closest branch. */
function faultsOf(
  issues: readonly z.core.$ZodIssue[],
  above: readonly PropertyKey[] = [],
): Fault[] {
  return issues.flatMap((issue): Fault[] => {
    const path = [...above, ...issue.path];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], detail: "unknown field" }));
    }
    if (issue.code === "invalid_key") return faultsOf(issue.issues, path);
    const meant = issue.code === "invalid_union" ? meantBranch(issue) : undefined;
    if (meant !== undefined) return faultsOf(meant, path);
    return [{ path, detail: issue.message }];
  });
}

/**
 * What is wrong with the branch of a union that was meant: the one that the value is closest to.
 * Undefined where several are as close and the union has words of its own.
 */
function meantBranch(
  { errors, message }: z.core.$ZodIssueInvalidUnion,
): readonly z.core.$ZodIssue[] | undefined {
  const [first, second] = errors.map((issues) => ({ issues, distance: distanceOf(issues) }))
    .toSorted((a, b) => a.distance - b.distance);
  if (first === undefined) return undefined;
  if (message === "Invalid input") return first.issues;
  return first.distance < (second?.distance ?? Infinity) ? first.issues : undefined;
}

/** How far a value is from a branch: of another type, with other fields, or wrong in a detail. */
function distanceOf(issues: readonly z.core.$ZodIssue[]): number {
  return issues.reduce((sum, issue) => {
    if (issue.path.length === 0) {
      if (issue.code === "invalid_type") return sum + 100;
      if (issue.code === "unrecognized_keys") return sum + 10 * issue.keys.length;
      if (issue.code === "invalid_union" && issue.errors.length > 0) {
        return sum + Math.min(...issue.errors.map(distanceOf));
      }
    }
    const isMissing = issue.path.length === 1 && issue.message.startsWith("required");
    return sum + (isMissing ? 5 : 1);
  }, 0);
}

/** What is wrong with a body, field by field. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return faultsOf(error.issues).map(({ path, detail }) => ({
    pointer: path.map((part) => `/${escapePointer(String(part))}`).join(""),
    detail,
  }));
}

/** What is wrong with a query, parameter by parameter. */
export function parameterErrors(error: z.ZodError): FieldError[] {
  return faultsOf(error.issues).map(({ path, detail }) => ({
    parameter: String(path[0] ?? ""),
    detail: detail === "unknown field" ? "unknown parameter" : detail,
  }));
}

function escapePointer(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
