/**
 * Whom Postgres runs as. It refuses to run as root, so root's Postgres runs as another user of this
 * machine, and its files lie where that user can come.
 */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";

/** A user of this machine. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The user that Postgres must run as; undefined when that is who we are already. */
export function ownerOfPostgres(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const users = new Map(
    readFileSync("/etc/passwd", "utf8").split("\n").map((line) => {
      const [name = "", , uid, gid] = line.split(":");
      return [name, { uid: Number(uid), gid: Number(gid) }];
    }),
  );
  for (const name of ["postern", "postgres", "nobody"]) {
    const user = users.get(name);
    if (user !== undefined) return user;
  }
  return undefined;
}

/**
 * The folder for Postgres's files: in the data directory, or, where another user cannot come there
 * (root's home, for example), one of its own under /var/lib.
 */
export function folderFor(dataDir: string, owner: Owner | undefined): string {
  if (owner === undefined || isOpenToOthers(dataDir)) return join(dataDir, "postgres");
  const name = createHash("sha256").update(dataDir).digest("hex").slice(0, 12);
  return `/var/lib/postern-${name}`;
}

function isOpenToOthers(path: string): boolean {
  for (let folder = path;; folder = dirname(folder)) {
    if (existsSync(folder) && (statSync(folder).mode & 0o001) === 0) return false;
    if (folder === dirname(folder)) return true;
  }
}
