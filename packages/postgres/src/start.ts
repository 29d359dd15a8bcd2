/**
 * Starts, adopts and stops the embedded Postgres. It listens on loopback and on a Unix socket only, with a
 * password that is made once and kept beside the data, readable by its owner alone. At most one process at a time
 * may start the Postgres of a data directory: `lockDataDir` sees to that.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
} from "node:fs";
import { createServer } from "node:net";
import { dirname, join, resolve } from "node:path";
import { findBinaries } from "./binaries.ts";
import {
  type Cluster,
  emptySocketFolder,
  makeCluster,
  passwordOf,
  rememberedPort,
  socketOf,
  writeSettings,
} from "./cluster.ts";
import { unusable } from "./data-dir.ts";
import { makeFolder } from "./folders.ts";
import { placeFor } from "./owner.ts";
import { reasonIn, run } from "./run.ts";

/** A running Postgres, or one sentence on why there is none. */
export type StartedPostgres =
  | {
    readonly ok: true;
    /** The address of the database `postern`, with the superuser's password. */
    readonly url: string;
    /** The same by the server's Unix socket, at less cost; undefined where its path is too long for one. */
    readonly socketUrl: string | undefined;
    /** Whether the server is there; it takes a look at its pid file and at the process. */
    readonly isRunning: () => boolean;
    /** Ends its connections and stops it; nothing is lost. */
    readonly stop: () => Promise<void>;
  }
  | { readonly ok: false; readonly problem: string };

/** How to start it. */
export interface PostgresOptions {
  /** Made if it is not there. */
  readonly dataDir: string;
  /** False gives up safety against power cuts for speed: for tests. Default true. */
  readonly durable?: boolean;
}

/**
 * Starts the Postgres of a data directory, or adopts the one that runs there already.
 *
 * @example
 * const postgres = await startPostgres({ dataDir: "/var/lib/postern" });
 * if (!postgres.ok) throw new Error(postgres.problem);
 * await postgres.stop();
 */
export async function startPostgres(options: PostgresOptions): Promise<StartedPostgres> {
  const dataDir = resolve(options.dataDir);
  try {
    makeFolder(dataDir);
    const place = await placeFor(dataDir);
    if (!place.ok) return place;
    const { folder, owner } = place;
    makeFolder(folder);
    const made = existsSync(join(folder, "data"));
    const major = made
      ? readFileSync(join(folder, "data", "PG_VERSION"), "utf8").trim()
      : undefined;
    const programs = await findBinaries(folder, major);
    if (programs === undefined) {
      const wanted = major === undefined ? "Postgres" : `Postgres ${major}`;
      const problem = `there is no ${wanted} here: install it, or set DATABASE_URL`;
      return { ok: false, problem };
    }
    const cluster: Cluster = { folder, programs, owner, durable: options.durable ?? true };
    const problem = made ? undefined : await makeCluster(cluster);
    if (problem !== undefined) return { ok: false, problem };
    return await startCluster(cluster);
  } catch (error) {
    return { ok: false, problem: unusable(dataDir, error) };
  }
}

/** Bytes of log after which a start begins a new one. */
const LONG_LOG = 16 * 1024 * 1024;

async function startCluster(cluster: Cluster): Promise<StartedPostgres> {
  const log = join(cluster.folder, "log");
  let port = await formerPort(rememberedPort(cluster)) ?? await freePort(undefined);
  for (const deadline = Date.now() + 30_000;;) {
    const running = runningServer(cluster);
    if (running?.ready === true) return started(cluster, running.port);
    let said = "it did not come up within 30 s";
    if (running === undefined) {
      writeSettings(cluster, port);
      emptySocketFolder(cluster);
      setLongLogAside(log);
      const before = existsSync(log) ? statSync(log).size : 0;
      const { code } = await control(cluster, "start", "-w", "-s", "-l", log);
      if (code === 0) return started(cluster, port);
      said = existsSync(log) ? readFileSync(log).subarray(before).toString("utf8") : "";
      // After a kill -9 of the server its last children take a moment to notice.
      const passes = /still in use|postmaster\.pid" already exists|shutting down/.test(said);
      const taken = /Address already in use/.test(said);
      if (taken) port = await freePort(undefined);
      if (!passes && !taken) {
        return { ok: false, problem: `Postgres did not start: ${reasonIn(said)} (see ${log})` };
      }
    }
    if (Date.now() > deadline) {
      return { ok: false, problem: `Postgres did not start: ${reasonIn(said)} (see ${log})` };
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
}

/** At each start a long log makes room for a new one; the one before the last goes. */
function setLongLogAside(log: string): void {
  if (!existsSync(log) || statSync(log).size <= LONG_LOG) return;
  // Emptied, not renamed: the server's user may not make files here.
  copyFileSync(log, `${log}.1`);
  truncateSync(log);
}

function started(cluster: Cluster, port: number): StartedPostgres {
  chmodSync(join(cluster.folder, "log"), 0o600);
  const stop = async () => {
    if (runningServer(cluster) === undefined) return;
    const { code, output } = await control(cluster, "stop", "-m", "fast", "-w");
    if (code !== 0 && runningServer(cluster) !== undefined) {
      throw new Error(`Postgres did not stop: ${reasonIn(output)}`);
    }
  };
  const login = `postgres://postern:${passwordOf(cluster)}`;
  const socket = socketOf(cluster, port);
  return {
    ok: true,
    url: `${login}@127.0.0.1:${port}/postern`,
    // One that runs since before there was a socket has none.
    socketUrl: socket !== undefined && existsSync(socket)
      ? `${login}@${encodeURIComponent(dirname(socket))}:${port}/postern`
      : undefined,
    isRunning: () => runningServer(cluster) !== undefined,
    stop,
  };
}

function control({ folder, programs, owner }: Cluster, action: string, ...args: string[]) {
  const all = [action, "-D", join(folder, "data"), ...args];
  return run(join(programs, "pg_ctl"), all, { owner, leavesServer: action === "start" });
}

/**
 * The server that runs on the cluster, from its postmaster.pid: line 1 is its pid, line 4 its port,
 * line 8 its state. A file whose pid went to some other program, as in a container that began anew,
 * is removed: Postgres itself would not start beside it.
 */
function runningServer({ folder }: Cluster): { port: number; ready: boolean } | undefined {
  const file = join(folder, "data", "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, "utf8").split("\n");
  const pid = Math.abs(Number(lines[0]));
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as { code?: string }).code !== "EPERM") return undefined;
  }
  if (!mayBePostgres(pid)) {
    rmSync(file, { force: true });
    return undefined;
  }
  return { port: Number(lines[3]), ready: lines[7]?.trim() === "ready" };
}

/** Whether a process may be a Postgres; so it may where its command line cannot be read. */
function mayBePostgres(pid: number): boolean {
  try {
    return /postgres|postmaster/.test(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
  } catch {
    return true;
  }
}

/** After a kill -9 of the server its children hold its port until they notice, in milliseconds. */
const PORT_PATIENCE = 2_000;

/** The port of the last start, for which clients still look; undefined when others have it now. */
async function formerPort(port: number | undefined): Promise<number | undefined> {
  for (const deadline = Date.now() + PORT_PATIENCE; port !== undefined;) {
    const free = await freePort(port).catch(() => undefined);
    if (free !== undefined) return free;
    if (Date.now() > deadline) return undefined;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  return undefined;
}

/** A port of loopback that is free: the wanted one, or any. Rejects when it cannot be had. */
function freePort(wanted: number | undefined): Promise<number> {
  return new Promise((found, failed) => {
    const server = createServer();
    server.once("error", failed);
    server.listen({ host: "127.0.0.1", port: wanted ?? 0 }, () => {
      const address = server.address();
      server.close(() => found(typeof address === "object" && address ? address.port : 0));
    });
  });
}
