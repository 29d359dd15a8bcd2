/**
 * NAME
 *   migrate – brings Postern's database to this version's tables
 *
 * WHAT IT DOES
 *   Applies the migrations that the database at DATABASE_URL lacks, and exits. Safe to run at any
 *   time and several times at once. Exit code 1: one sentence on stderr says why.
 */
import { requireDatabaseUrl, runProcess, StartError } from "@postern/process";
import { databaseProblem, migrate } from "@postern/store";

await runProcess("migrate", async ({ environment, log }) => {
  const url = requireDatabaseUrl(environment);
  await migrate(url).catch((error) => {
    throw new StartError(`the database cannot be migrated: ${databaseProblem(error)}`);
  });
  log.info("the database is up to date");
}, { exitWhenDone: true });
