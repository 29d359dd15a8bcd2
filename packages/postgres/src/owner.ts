/**
 * Whom Postgres runs as, and where its files lie. It refuses to run as root, so root's Postgres
 * runs as another user of this machine, in a folder that this user can reach.
 */
import { chmodSync, existsSync, mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isPassable } from "./folders.ts";

/** A user of this machine. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** The folder of Postgres's files and whom they are for; owner is undefined if it is we. */
export type Place =
  | { readonly ok: true; readonly folder: string; readonly owner: Owner | undefined }
  | { readonly ok: false; readonly problem: string };

/**
 * Where the Postgres of a data directory lives: in it; or, where another user cannot come (root's
 * home, for example), in a folder of its own under /var/lib, which `postgres-folder` in the data
 * directory names from then on. A choice once made is kept: another would look like lost mail.
 */
export async function placeFor(dataDir: string): Promise<Place> {
  const inside = join(dataDir, "postgres");
  const pointer = join(dataDir, "postgres-folder");
  const chosen = existsSync(pointer) ? readFileSync(pointer, "utf8").trim() : undefined;
  if (chosen !== undefined && !existsSync(chosen)) {
    const problem = `the database of ${dataDir} is gone: ${pointer} says it was in ${chosen}`;
    return { ok: false, problem };
  }
  const folder = chosen ?? inside;
  const data = join(folder, "data");
  const us = process.getuid?.();
  if (existsSync(data)) {
    const { uid, gid } = statSync(data);
    if (us === uid) return { ok: true, folder, owner: undefined };
    if (us !== 0) {
      const problem = `the database in ${folder} belongs to another user (uid ${uid}): ` +
        "run the gateway as that user or as root";
      return { ok: false, problem };
    }
    if (!isPassable(folder)) {
      const problem = `the user of the database (uid ${uid}) cannot reach ${folder}: ` +
        "allow it to pass through the folders above (chmod o+x)";
      return { ok: false, problem };
    }
    return { ok: true, folder, owner: { uid, gid } };
  }
  if (us !== 0) return { ok: true, folder, owner: undefined };

  const owner = await userForRoot();
  if (owner === undefined) {
    const problem = "Postgres does not run as root, and there is no user postern, postgres or " +
      "nobody to run it: start the gateway as an ordinary user";
    return { ok: false, problem };
  }
  if (isPassable(folder)) return { ok: true, folder, owner };
  const elsewhere = mkdtempSync("/var/lib/postern-");
  chmodSync(elsewhere, 0o711);
  writeFileSync(pointer, `${elsewhere}\n`);
  return { ok: true, folder: elsewhere, owner };
}

/** postern, postgres, a system user made now, or nobody: initdb asks for a known user. */
async function userForRoot(): Promise<Owner | undefined> {
  return userNamed("postern") ?? userNamed("postgres") ?? await newUser() ?? userNamed("nobody");
}

function userNamed(wanted: string): Owner | undefined {
  for (const line of readFileSync("/etc/passwd", "utf8").split("\n")) {
    const [name, , uid, gid] = line.split(":");
    if (name === wanted) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}

async function newUser(): Promise<Owner | undefined> {
  try {
    await new Deno.Command("useradd", {
      args: ["--system", "--user-group", "--no-create-home", "--shell", "/bin/false", "postern"],
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).output();
  } catch {
    return undefined; // no useradd here (busybox, macOS): nobody does as well
  }
  return userNamed("postern");
}
