/** Making folders that the user Postgres runs as can pass through, whatever the umask. */
import { chmodSync, existsSync, mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a folder, and those above it. It is for its owner alone (0700), except root's: another user
 * runs Postgres then, and must pass through it (0711), though not list it. One that is there
 * already keeps its mode.
 */
export function makeFolder(path: string): void {
  if (existsSync(path)) return void mkdirSync(path, { recursive: true });
  makeFolder(dirname(path));
  mkdirSync(path);
  chmodSync(path, process.getuid?.() === 0 ? 0o711 : 0o700);
}

/** Whether any user can pass through a folder and all above it. */
export function isPassable(path: string): boolean {
  for (let folder = path;; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
