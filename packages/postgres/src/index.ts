/** The Postgres that a gateway brings along when it is given none. */
export { type DataDirLock, lockDataDir } from "./data-dir.ts";
export { type PostgresOptions, type StartedPostgres, startPostgres } from "./start.ts";
