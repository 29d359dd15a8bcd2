/**
 * The lock on a data directory: one gateway at a time. It is a pid file, so that an administrator
 * can read who holds it; knows nothing of Postgres.
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "./folders.ts";

/** A lock that is held until `release`, or one sentence on why it cannot be had. */
export type DataDirLock =
  | { readonly ok: true; readonly release: () => void }
  | { readonly ok: false; readonly problem: string };

/** Makes the directory if need be and locks it. The lock of a process that died is taken over. */
export function lockDataDir(dataDir: string): DataDirLock {
  const file = join(dataDir, "gateway.pid");
  try {
    makeFolder(dataDir);
    // Two that find the same stale pid at once must not both take it over.
    using guard = Deno.openSync(join(dataDir, "gateway.lock"), { create: true, write: true });
    guard.lockSync(true);
    const holder = livingHolder(read(file));
    if (holder !== undefined) {
      return { ok: false, problem: `a gateway already runs on ${dataDir} (process ${holder})` };
    }
    const mine = `${Deno.pid}\n${startTime(Deno.pid) ?? ""}\n`;
    writeFileSync(file, mine, { mode: 0o644 });
    const release = () => {
      if (read(file) === mine) rmSync(file, { force: true });
    };
    return { ok: true, release };
  } catch (error) {
    return { ok: false, problem: unusable(dataDir, error) };
  }
}

/** The sentence for a directory that cannot be used. */
export function unusable(dataDir: string, error: unknown): string {
  const code = (error as { code?: string } | null)?.code;
  if (code === "EACCES" || code === "EPERM") {
    return `the data directory ${dataDir} cannot be written: permission denied`;
  }
  if (code === "EROFS") return `the data directory ${dataDir} cannot be written: it is read-only`;
  if (code === "ENOSPC") return `the data directory ${dataDir} cannot be written: the disk is full`;
  if (code === "EEXIST" || code === "ENOTDIR") {
    return `the data directory ${dataDir} cannot be made: a file is in the way`;
  }
  const why = error instanceof Error ? error.message : String(error);
  return `the data directory ${dataDir} cannot be used: ${why}`;
}

/** The process that a pid file names, if that very process still lives. */
function livingHolder(content: string | undefined): number | undefined {
  const [first = "", started = ""] = (content ?? "").split("\n");
  const pid = Number(first);
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return undefined;
  // In a container the pids start over, so another process, or this one, may have the pid now.
  const now = startTime(pid);
  return started !== "" && now !== undefined && now !== started ? undefined : pid;
}

/** Whether there is a process of that id; one of another user counts, a zombie does not. */
function isAlive(pid: number): boolean {
  if (/^[ZX]/.test(statusFields(pid)?.[0] ?? "")) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** When a process began, in clock ticks since boot; undefined where there is no /proc. */
function startTime(pid: number): string | undefined {
  return statusFields(pid)?.[19];
}

/** What the system says of a process from its state on, field 3 of proc_pid_stat(5). */
function statusFields(pid: number): string[] | undefined {
  // The name, in parentheses, may hold spaces: count from its end.
  return read(`/proc/${pid}/stat`)?.split(") ").at(-1)?.split(" ");
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}
