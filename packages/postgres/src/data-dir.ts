/** The lock on a data directory: one gateway at a time. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A lock that is held, or one sentence on why it cannot be had. */
export type DataDirLock =
  | { readonly ok: true; readonly release: () => void }
  | { readonly ok: false; readonly problem: string };

/** Makes the directory if need be and locks it. The lock of a process that died is taken over. */
export function lockDataDir(dataDir: string): DataDirLock {
  const file = join(dataDir, "gateway.pid");
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o755 });
    for (let attempt = 0;; attempt += 1) {
      try {
        writeFileSync(file, `${Deno.pid}\n`, { flag: "wx" });
        return { ok: true, release: () => rmSync(file, { force: true }) };
      } catch (error) {
        if ((error as { code?: string }).code !== "EEXIST" || attempt > 2) throw error;
        const holder = Number(readFileSync(file, "utf8"));
        if (isAlive(holder)) {
          return { ok: false, problem: `a gateway already runs on ${dataDir} (process ${holder})` };
        }
        rmSync(file, { force: true });
      }
    }
  } catch (error) {
    return { ok: false, problem: unwritable(dataDir, error) };
  }
}

/** The sentence for a directory that cannot be used. */
export function unwritable(dataDir: string, error: unknown): string {
  const code = (error as { code?: string }).code;
  const why = code === "EACCES" || code === "EPERM"
    ? "permission denied"
    : code === "EROFS"
    ? "it is read-only"
    : error instanceof Error
    ? error.message
    : String(error);
  return `the data directory ${dataDir} cannot be used: ${why}`;
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || pid === Deno.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}
