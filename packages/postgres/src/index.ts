/** The Postgres that a gateway brings along when it is given none. */
export * from "./data-dir.ts";
export * from "./start.ts";
