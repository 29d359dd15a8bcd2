/** Why a request failed, as a value: the API said no, or it could not be asked. */
import type { ProblemDocument } from "@postern/api";

/** @see problemFailure, unreachable */
export type Failure =
  | {
    readonly kind: "problem";
    readonly problem: ProblemDocument;
    /** What to tell a person. */
    readonly sentence: string;
  }
  | { readonly kind: "unreachable"; readonly url: string; readonly sentence: string };

/** A failure that ends an iteration. */
export class RequestFailed extends Error {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super(failure.sentence);
    this.failure = failure;
  }
}

/** The failure that a response tells of; also one that is no problem document, of a proxy say. */
export async function problemFailure(response: Response): Promise<Failure> {
  const text = await response.text();
  const problem = documentIn(text) ?? {
    type: "about:blank",
    title: response.statusText || "Refused",
    status: response.status,
    detail: `The answer was HTTP ${response.status} without a problem document${excerpt(text)}`,
  };
  return { kind: "problem", problem, sentence: `${problem.detail} (${problem.title})` };
}

/** What an answer said, on one line; there are whole pages among them. */
function excerpt(text: string): string {
  const line = text.slice(0, 1000).replace(/\s+/g, " ").trim();
  if (line === "") return "";
  return line.length > 300 ? `: ${line.slice(0, 300)}…` : `: ${line}`;
}

function documentIn(text: string): ProblemDocument | undefined {
  try {
    const document = JSON.parse(text);
    return typeof document?.detail === "string" && typeof document?.title === "string"
      ? document
      : undefined;
  } catch {
    return undefined;
  }
}

/** The failure of a request that got no answer, or an answer that broke off. */
export function unreachable(url: string, error: unknown): Failure {
  let cause = error;
  while (cause instanceof Error && cause.cause instanceof Error) cause = cause.cause;
  const message = cause instanceof Error ? cause.message : String(cause);
  // The runtime tells the whole way down to the socket; its end is the reason.
  const reason = /([^:]+?)(?: \(os error \d+\))?$/.exec(message)?.[1]?.trim() ?? message;
  return { kind: "unreachable", url, sentence: `${url} cannot be asked: ${reason}` };
}

/** The failure of what cannot be asked for: a path has no place for such a name. */
export function noName(name: string): Failure {
  const sentence = `${JSON.stringify(name)} is no name`;
  const problem = { type: "about:blank", title: "Invalid", status: 422, detail: sentence };
  return { kind: "problem", problem, sentence };
}
