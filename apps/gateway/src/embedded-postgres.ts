/**
 * Keeps the embedded Postgres running while the gateway runs: if it dies, by the kernel's hand or
 * an administrator's, it is started again at the same address, and whoever uses it connects anew.
 * Knows nothing of what is in the database.
 */
import { startPostgres } from "@postern/postgres";
import { type Log, StartError } from "@postern/process";
import { sleep } from "./sleep.ts";

/** The embedded Postgres, kept running until `stop`. */
export interface EmbeddedPostgres {
  /** Its address by its Unix socket, if it has one. */
  readonly url: string;
  /** Stops watching and stops Postgres. */
  stop(): Promise<void>;
}

/** How often is looked whether it is there, in milliseconds. */
const LOOK_EVERY = 500;

/** Starts the Postgres of a data dir. Throws StartError when that cannot be. */
export async function keepPostgres(
  { dataDir, log, durable = true }: {
    readonly dataDir: string;
    readonly log: Log;
    /** False for tests: see startPostgres. */
    readonly durable?: boolean;
  },
): Promise<EmbeddedPostgres> {
  let postgres = await startPostgres({ dataDir, durable });
  if (!postgres.ok) throw new StartError(postgres.problem);
  const url = postgres.socketUrl ?? postgres.url;

  const stopping = new AbortController();
  async function watch(): Promise<void> {
    while (!stopping.signal.aborted) {
      await sleep(LOOK_EVERY, stopping.signal);
      if (stopping.signal.aborted || (postgres.ok && postgres.isRunning())) continue;
      log.warning("Postgres ended and is started again");
      postgres = await startPostgres({ dataDir, durable });
      if (!postgres.ok) log.error("Postgres could not be started", { problem: postgres.problem });
      else if (postgres.url !== url && postgres.socketUrl !== url) {
        // The port went to another program, and the processes know only the old one. Ending is
        // safe: they drain, and the next start begins with the new port.
        throw new Error("Postgres could not be started again at the same port");
      } else log.info("Postgres runs again");
    }
  }
  const watching = watch();
  return {
    url,
    async stop() {
      stopping.abort();
      await watching;
      if (postgres.ok) await postgres.stop();
    },
  };
}
