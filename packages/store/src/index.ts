/** Postern's data in Postgres. Nothing outside this package speaks SQL. */
export * from "./configuration-feed.ts";
export * from "./configuration.ts";
export * from "./connection.ts";
export * from "./destinations.ts";
export type { Lifetimes } from "./expiry.ts";
export * from "./ids.ts";
export * from "./messages.ts";
export * from "./migrate.ts";
export * from "./pieces.ts";
export * from "./processes.ts";
export * from "./queue.ts";
export * from "./recipient-list-versions.ts";
export * from "./recipient-lists.ts";
export * from "./known-recipients.ts";
export * from "./records.ts";
export { keepUp, type Upkeep } from "./retention.ts";
export * from "./sandbox.ts";
export * from "./spool.ts";
