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
    // A union that has words of its own says more than any of its branches.
    if (issue.code === "invalid_union" && issue.message === "Invalid input") {
      const [closest] = issue.errors.toSorted((a, b) => a.length - b.length);
      if (closest !== undefined) return faultsOf(closest, path);
    }
    return [{ path, detail: issue.message }];
  });
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
