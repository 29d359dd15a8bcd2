/** Errors as problem documents (RFC 9457), with every failing field by JSON pointer (RFC 6901). */
import type { Context } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import type { z } from "zod";

/** One failing field. */
export interface FieldError {
  /** JSON pointer into the request's body, or the name of a query parameter. */
  readonly pointer: string;
  readonly detail: string;
}

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

/** What is wrong with a field, as zod found it: unknown keys one by one, unions by their best part. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue): FieldError[] => {
    const pointer = issue.path.map((part) => `/${escapePointer(String(part))}`).join("");
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({
        pointer: `${pointer}/${escapePointer(key)}`,
        detail: "unknown field",
      }));
    }
    return [{ pointer, detail: issue.message }];
  });
}

function escapePointer(part: string): string {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
