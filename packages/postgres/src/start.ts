/**
 * Starts, adopts and stops the embedded Postgres. It listens on loopback only, with a password that
 * is made once and kept beside the data, readable by its owner alone.
 */
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { findBinaries } from "./binaries.ts";
import { unwritable } from "./data-dir.ts";
import { folderFor, type Owner, ownerOfPostgres } from "./owner.ts";

/** A running Postgres, or one sentence on why there is none. */
export type StartedPostgres =
  | { readonly ok: true; readonly url: string; readonly stop: () => Promise<void> }
  | { readonly ok: false; readonly problem: string };

/** How to start it. */
export interface PostgresOptions {
  /** An absolute path; made if it is not there. */
  readonly dataDir: string;
  /** False gives up safety against power cuts for speed: for tests. Default true. */
  readonly durable?: boolean;
}

/** Settings for a mail queue on a small machine, written once when the cluster is made. */
const settings = [
  "listen_addresses = '127.0.0.1'",
  "unix_socket_directories = ''",
  "timezone = 'UTC'",
  "log_timezone = 'UTC'",
  "max_connections = 100",
  "shared_buffers = 128MB",
  "max_wal_size = 2GB",
  "checkpoint_timeout = 15min",
  "random_page_cost = 1.1",
  "jit = off",
];

/** Starts the Postgres of a data directory, or adopts the one that runs there already. */
export async function startPostgres(
  { dataDir, durable = true }: PostgresOptions,
): Promise<StartedPostgres> {
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o755 });
    const owner = ownerOfPostgres();
    const folder = folderFor(dataDir, owner);
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const programs = findBinaries(folder);
    if (programs === undefined) {
      const problem = "there is no Postgres for this platform: install one, or set DATABASE_URL";
      return { ok: false, problem };
    }
    return await startCluster({ folder, programs, owner, durable });
  } catch (error) {
    return { ok: false, problem: unwritable(dataDir, error) };
  }
}

async function startCluster({ folder, programs, owner, durable }: {
  readonly folder: string;
  readonly programs: string;
  readonly owner: Owner | undefined;
  readonly durable: boolean;
}): Promise<StartedPostgres> {
  const data = join(folder, "data");
  const log = join(folder, "log");
  const control = (...args: string[]) =>
    run(join(programs, "pg_ctl"), ["-D", data, ...args], owner);
  const password = passwordIn(folder);
  const urlAt = (port: number | string) =>
    `postgres://postern:${password}@127.0.0.1:${port}/postgres`;

  if (!existsSync(join(data, "PG_VERSION"))) {
    const problem = await makeCluster({ data, folder, programs, owner, password, durable });
    if (problem !== undefined) return { ok: false, problem };
  }
  if (owner !== undefined && !existsSync(log)) {
    writeFileSync(log, "");
    chownSync(log, owner.uid, owner.gid);
  }
  const stop = async () => {
    const { code, output } = await control("-m", "fast", "-w", "stop");
    if (code !== 0) throw new Error(`Postgres did not stop: ${output}`);
  };
  if ((await control("status")).code === 0) {
    const port = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n")[3] ?? "";
    return { ok: true, url: urlAt(port), stop };
  }
  const port = await freePort();
  const { code } = await control("-w", "-s", "-l", log, "-o", `-p ${port}`, "start");
  if (code !== 0) return { ok: false, problem: `Postgres did not start: ${log} says why` };
  return { ok: true, url: urlAt(port), stop };
}

/** Makes the cluster in a fresh folder; answers a sentence when that failed. */
async function makeCluster({ data, folder, programs, owner, password, durable }: {
  readonly data: string;
  readonly folder: string;
  readonly programs: string;
  readonly owner: Owner | undefined;
  readonly password: string;
  readonly durable: boolean;
}): Promise<string | undefined> {
  rmSync(data, { recursive: true, force: true });
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(folder, "password.initdb");
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (owner !== undefined) {
    chownSync(data, owner.uid, owner.gid);
    chownSync(passwordFile, owner.uid, owner.gid);
  }
  const { code, output } = await run(join(programs, "initdb"), [
    ...["-D", data, "-U", "postern", "-A", "scram-sha-256", `--pwfile=${passwordFile}`],
    ...["-E", "UTF8", "--no-locale", ...(durable ? [] : ["--no-sync"])],
  ], owner);
  rmSync(passwordFile, { force: true });
  if (code !== 0) {
    rmSync(data, { recursive: true, force: true });
    return `the embedded Postgres could not be set up: ${output.trim().split("\n").at(-1)}`;
  }
  const lines = [...settings, ...(durable ? [] : ["fsync = off", "full_page_writes = off"])];
  appendFileSync(join(data, "postgresql.conf"), `\n# Postern\n${lines.join("\n")}\n`);
  return undefined;
}

/** The superuser's password, made once. */
function passwordIn(folder: string): string {
  const file = join(folder, "password");
  if (!existsSync(file)) {
    writeFileSync(file, randomBytes(24).toString("base64url"), { mode: 0o600 });
    chmodSync(file, 0o600);
  }
  return readFileSync(file, "utf8").trim();
}

/** Runs a program to its end; its output goes nowhere once it left a server behind. */
async function run(
  program: string,
  args: readonly string[],
  owner: Owner | undefined,
): Promise<{ readonly code: number; readonly output: string }> {
  const leavesServer = args.includes("start");
  const result = await new Deno.Command(program, {
    args: [...args],
    cwd: "/",
    ...(owner ?? {}),
    stdin: "null",
    stdout: leavesServer ? "null" : "piped",
    stderr: leavesServer ? "null" : "piped",
  }).output();
  if (leavesServer) return { code: result.code, output: "" };
  const decoder = new TextDecoder();
  return {
    code: result.code,
    output: decoder.decode(result.stdout) + decoder.decode(result.stderr),
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen({ host: "127.0.0.1", port: 0 }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
    });
  });
}
