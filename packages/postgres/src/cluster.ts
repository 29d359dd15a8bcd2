/**
 * Makes the cluster (the folder of databases) and its settings. Knows nothing of running it.
 */
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Owner } from "./owner.ts";
import { reasonIn, run } from "./run.ts";

/** The folder, beside the data, of the server's Unix socket. */
const SOCKET_FOLDER = "socket";

/** Where a cluster is, what runs it, and whom it belongs to. */
export interface Cluster {
  /** Holds `data`, `log`, `password`, `postern.conf`, `socket` and the programs' copy. */
  readonly folder: string;
  /** The folder of Postgres's programs. */
  readonly programs: string;
  readonly owner: Owner | undefined;
  readonly durable: boolean;
}

/** Makes a cluster with the database `postern`; answers a sentence when that failed. */
export async function makeCluster(cluster: Cluster): Promise<string | undefined> {
  const { folder, programs, owner, durable } = cluster;
  // It gets its name when it is whole, so nothing named `data` is ever removed.
  const data = join(folder, "data.partial");
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  const password = randomBytes(24).toString("base64url");
  const forInitdb = join(folder, "password.initdb");
  rmSync(forInitdb, { force: true });
  writeFileSync(forInitdb, password, { mode: 0o600 });
  if (owner !== undefined) {
    chownSync(data, owner.uid, owner.gid);
    chownSync(forInitdb, owner.uid, owner.gid);
  }
  const made = await run(join(programs, "initdb"), [
    ...["-D", data, "-U", "postern", "-A", "scram-sha-256", `--pwfile=${forInitdb}`],
    ...["-E", "UTF8", "--no-locale", "--no-sync"],
  ], { owner });
  rmSync(forInitdb, { force: true });
  if (made.code !== 0) return `the database could not be made: ${reasonIn(made.output)}`;

  const created = await run(join(programs, "postgres"), [
    ...["--single", "-D", data, "-c", "fsync=off", "postgres"],
  ], { owner, input: "CREATE DATABASE postern\n" });
  if (created.code !== 0 || /\b(ERROR|FATAL):/.test(created.output)) {
    return `the database could not be made: ${reasonIn(created.output)}`;
  }
  const lz4 = await run(join(programs, "postgres"), [
    ...["-D", data, "-c", "wal_compression=lz4", "-C", "wal_compression"],
  ], { owner });
  appendFileSync(
    join(data, "postgresql.conf"),
    `\nwal_compression = ${lz4.code === 0 ? "lz4" : "off"}\n` +
      "# Written at each start. What stands below this line wins over it.\n" +
      "include '../postern.conf'\n",
  );
  rmSync(join(folder, "password"), { force: true });
  writeFileSync(join(folder, "password"), `${password}\n`, { mode: 0o600 });
  if (!existsSync(join(folder, "log"))) writeFileSync(join(folder, "log"), "", { mode: 0o600 });
  if (owner !== undefined) chownSync(join(folder, "log"), owner.uid, owner.gid);
  if (durable) {
    // All of it is brought to disk once, here, which is quicker than at each step above.
    const synced = await run(join(programs, "initdb"), ["--sync-only", "-D", data], { owner });
    if (synced.code !== 0) return `the database could not be made: ${reasonIn(synced.output)}`;
  }
  renameSync(data, join(folder, "data"));
  return undefined;
}

/** The superuser's password. */
export function passwordOf({ folder }: Cluster): string {
  return readFileSync(join(folder, "password"), "utf8").trim();
}

/** The port of the last start; undefined before the first. */
export function rememberedPort({ folder }: Cluster): number | undefined {
  const file = join(folder, "postern.conf");
  const port = existsSync(file) ? /^port = (\d+)$/m.exec(readFileSync(file, "utf8")) : null;
  return port === null ? undefined : Number(port[1]);
}

/** The longest path of a Unix socket, in bytes, without the zero at its end (unix(7); macOS has four less). */
const LONGEST_SOCKET = 103;

/** The Unix socket of the server at a port; undefined where its path is too long for one. */
export function socketOf({ folder }: Cluster, port: number): string | undefined {
  const path = join(folder, SOCKET_FOLDER, `.s.PGSQL.${port}`);
  return Buffer.byteLength(path) <= LONGEST_SOCKET ? path : undefined;
}

/**
 * Makes the folder of the socket anew, for the server's user alone: after a kill -9 the socket's lock names
 * a process whose number another program may have, and no server would start.
 */
export function emptySocketFolder({ folder, owner }: Cluster): void {
  const path = join(folder, SOCKET_FOLDER);
  rmSync(path, { recursive: true, force: true });
  mkdirSync(path, { mode: 0o700 });
  if (owner !== undefined) chownSync(path, owner.uid, owner.gid);
}

/** Writes the settings: those for a mail queue on a small machine. */
export function writeSettings({ folder, durable }: Cluster, port: number): void {
  const file = join(folder, "postern.conf");
  const lines = [
    "# Written by Postern at each start; change postgresql.conf instead.",
    "listen_addresses = '127.0.0.1'",
    `port = ${port}`,
    // Beside the data, which is where the server works.
    `unix_socket_directories = '../${SOCKET_FOLDER}'`,
    "unix_socket_permissions = 0700",
    "timezone = 'UTC'",
    "log_timezone = 'UTC'",
    // What is routine would fill a log that is looked at for trouble.
    "log_checkpoints = off",
    "max_connections = 100",
    "shared_buffers = 128MB",
    // A megabyte of content fills the default of 4 MB while others still wait for the disk.
    "wal_buffers = 16MB",
    // The queue's rows come and go: its table holds what dies between two looks.
    "autovacuum_naptime = 15s",
    "synchronous_commit = on",
    "max_wal_size = 1GB",
    "min_wal_size = 512MB",
    "checkpoint_timeout = 15min",
    "random_page_cost = 1.1",
    "jit = off",
    ...(durable ? [] : ["fsync = off", "full_page_writes = off"]),
  ];
  writeFileSync(`${file}.new`, `${lines.join("\n")}\n`, { mode: 0o644 });
  renameSync(`${file}.new`, file);
}
