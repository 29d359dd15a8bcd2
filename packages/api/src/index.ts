/**
 * The REST API as a contract: every operation that `admin` serves and the client calls, with the
 * schemas of what it takes and answers.
 */
export * from "./audit.ts";
export * from "./configuration.ts";
export * from "./description.ts";
export * from "./destinations.ts";
export * from "./explain.ts";
export * from "./message-actions.ts";
export * from "./messages.ts";
export * from "./parameters.ts";
export * from "./problem.ts";
export * from "./recipient-lists.ts";
export * from "./replay.ts";
export * from "./resources.ts";
export * from "./schema.ts";
export * from "./scopes.ts";
export * from "./tokens.ts";
