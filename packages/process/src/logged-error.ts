/**
 * Errors as they are logged. What a database was given is left out: among it are verifiers of passwords and
 * sealed secrets. Drizzle has it in the message and in `query` and `params`, postgres.js in `parameters`
 * and `args`; a row that Postgres refuses is in its `detail`.
 */

const WITHHELD: ReadonlySet<string> = new Set(["query", "params", "parameters", "args"]);

/** The error without what the database was given; its causes, too. */
export function loggedError(error: Error, depth = 0): Error {
  const ofStatement = "query" in error && "params" in error;
  const message = ofStatement ? "Failed query" : error.message;
  const stack = error.stack?.replace(error.message, () => message);
  const fields = Object.entries(error).filter(([name, value]) =>
    !WITHHELD.has(name) && !(name === "detail" && String(value).startsWith("Failing row"))
  );
  const logged = Object.assign(new Error(message), Object.fromEntries(fields));
  const own = (name: string, value: unknown) =>
    Object.defineProperty(logged, name, { value, configurable: true, writable: true });
  own("name", error.name);
  own("message", message);
  // A stack that does not begin with the message may have it somewhere else.
  own("stack", ofStatement && stack?.includes("params: ") ? undefined : stack);
  const { cause } = error;
  if (cause !== undefined) {
    own("cause", cause instanceof Error && depth < 6 ? loggedError(cause, depth + 1) : cause);
  }
  return logged;
}
