// Installs the dependencies if they are missing or older than the lock file. Every npm script runs
// this first, so that each works on a fresh clone. Needs nothing but Node.
import { spawnSync } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const native = join(modules, "deno", "deno");

if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Node 20 or later is needed; this is ${process.version}`);
}
if (!upToDate()) await underLock(install);
if (!existsSync(native)) await underLock(installDeno);

function upToDate() {
  const installed = join(modules, ".package-lock.json");
  return existsSync(installed) &&
    statSync(installed).mtimeMs >= statSync(join(root, "package-lock.json")).mtimeMs;
}

function install() {
  if (upToDate()) return;
  console.error("installing the dependencies …");
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
}

/** Without install scripts the deno package holds a script in place of the program. */
function installDeno() {
  if (existsSync(native)) return;
  const installer = join(modules, "deno", "install.cjs");
  if (!existsSync(installer)) fail("node_modules has no deno: remove node_modules and try again");
  run(process.execPath, [installer]);
  if (!existsSync(native)) fail("there is no deno for this platform");
  // Put in place by a rename, so that another command finds the old link or the new one.
  const link = join(modules, ".bin", "deno");
  rmSync(`${link}.new`, { force: true });
  symlinkSync(join("..", "deno", "deno"), `${link}.new`);
  renameSync(`${link}.new`, link);
}

function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
  });
  if (status === 0) return;
  fail(`${command} ${args[0]} failed:\n${error?.message ?? ""}${stdout ?? ""}${stderr ?? ""}`);
}

/** Two commands at once must not install over each other: the second waits for the first. */
async function underLock(step) {
  const lock = join(root, ".install-lock");
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") fail(`${root} cannot be written: ${error.message}`);
    }
    // A rename: of two that find the same dead holder, one removes its lock, not a fresh one.
    if (isStale(lock)) {
      try {
        renameSync(lock, `${lock}.${process.pid}`);
        rmSync(`${lock}.${process.pid}`, { recursive: true, force: true });
      } catch {
        // Another took it away first.
      }
    } else {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  writeFileSync(join(lock, "pid"), String(process.pid));
  const release = () => rmSync(lock, { recursive: true, force: true });
  process.once("exit", release);
  step();
  release();
  process.off("exit", release);
}

/** Whether the process that holds the lock is gone, or died before it wrote its pid. */
function isStale(lock) {
  try {
    const file = join(lock, "pid");
    if (!existsSync(file)) return Date.now() - statSync(lock).mtimeMs > 5_000;
    const pid = Number(readFileSync(file, "utf8"));
    if (pid > 0) process.kill(pid, 0);
    return false;
  } catch (error) {
    return error.code === "ESRCH"; // any other: it is another user's, or was released just now
  }
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
