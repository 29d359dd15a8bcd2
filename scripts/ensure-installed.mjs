// Installs the dependencies if they are missing or older than the lock file. Every npm script runs
// this first, so that each works on a fresh clone. Needs nothing but Node.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, rmSync, statSync, symlinkSync } from "node:fs";
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
  run(process.execPath, [join(modules, "deno", "install.cjs")]);
  const link = join(modules, ".bin", "deno");
  rmSync(link, { force: true });
  symlinkSync(join("..", "deno", "deno"), link);
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
  for (let waited = 0;; waited += 200) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") fail(`${root} cannot be written: ${error.message}`);
      if (Date.now() - statSync(lock).mtimeMs > 600_000) rmdirSync(lock);
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  process.once("exit", () => rmSync(lock, { recursive: true, force: true }));
  step();
  rmSync(lock, { recursive: true, force: true });
}

function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}
