// Installs the dependencies if they are missing or older than the lock file, and applies the patches
// to them. Every npm script runs this first, so that each works on a fresh clone. Needs nothing but
// Node.
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { applyPatches, patchState } from "./apply-patches.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const lock = join(root, ".install-lock");
const native = join(modules, "deno", "deno");
const link = join(modules, ".bin", "deno");
let holdsLock = false;

if (Number(process.versions.node.split(".")[0]) < 20) {
  fail(`Postern needs Node 20 or later; this is ${process.version}.`);
}
if (!isInstalled() || patchState() !== "applied" || !isDenoInstalled()) {
  await takeLock();
  // Over other patches than those of today none can be applied.
  if (!isInstalled() || patchState() === "others") await install();
  if (patchState() !== "applied") patch();
  if (!isDenoInstalled()) await installDeno();
  releaseLock();
}

function isInstalled() {
  // npm writes this file last: an install that was cut short does not have it.
  const written = modifiedAt(join(modules, ".package-lock.json"));
  return written !== undefined && written >= (modifiedAt(join(root, "package-lock.json")) ?? 0);
}

async function install() {
  console.error("Installing the dependencies; this takes a minute …");
  const problem = await run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (problem !== undefined) fail(`The dependencies could not be installed: ${problem}`);
}

/** Without install scripts npm leaves `patches/` unapplied. */
function patch() {
  const problem = applyPatches();
  if (problem !== undefined) fail(`The patches of dependencies could not be applied: ${problem}`);
}

/** Whether `deno` is the program itself, so that it gets the signals that npm sends. */
function isDenoInstalled() {
  try {
    return readlinkSync(link).endsWith(join("deno", "deno")) && existsSync(native);
  } catch {
    return false;
  }
}

/** Without install scripts the deno package has a script in place of the program. */
async function installDeno() {
  const problem = await run(process.execPath, [join(modules, "deno", "install.cjs")]);
  if (problem !== undefined) fail(`The runtime, Deno, could not be installed: ${problem}`);
  if (!existsSync(native) || isDenoInstalled()) return;
  rmSync(link, { force: true });
  symlinkSync(join("..", "deno", "deno"), link);
}

/** Runs a program to its end; answers why it failed. It does not outlive the one who called us. */
function run(command, args) {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (part) => output += part);
  child.stderr.on("data", (part) => output += part);
  const parent = process.ppid;
  const watch = setInterval(() => process.ppid === parent || child.kill("SIGTERM"), 200);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  const stop = () => child.kill("SIGTERM");
  for (const signal of signals) process.on(signal, stop);
  return new Promise((resolve) => {
    const end = (problem) => {
      clearInterval(watch);
      for (const signal of signals) process.off(signal, stop);
      resolve(problem);
    };
    child.once("error", (error) => end(`${command} cannot be run (${error.message}).`));
    child.once("close", (code, signal) => {
      if (code === 0) end(undefined);
      else if (signal !== null || output.trim() === "") end(`${command} was interrupted.`);
      else end(`${command} said\n${output.trim()}`);
    });
  });
}

/** Two commands at once must not install over each other: the second waits for the first. */
async function takeLock() {
  for (let waiting = false;;) {
    try {
      mkdirSync(lock);
      holdsLock = true;
      writeFileSync(join(lock, "pid"), String(process.pid));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") {
        fail(
          `The dependencies must be installed, but ${root} cannot be written: ${error.message}.`,
        );
      }
    }
    if (isAbandoned()) {
      rmSync(lock, { recursive: true, force: true });
      continue;
    }
    if (!waiting) console.error("Waiting for another command that installs the dependencies …");
    waiting = true;
    await sleep(200);
  }
}

/** Whether the holder of the lock died without giving it back. */
function isAbandoned() {
  let pid = 0;
  try {
    pid = Number(readFileSync(join(lock, "pid"), "utf8"));
  } catch {
    // The holder is about to write it; 5 s later it has died before it did.
  }
  if (pid === 0) return Date.now() - (modifiedAt(lock) ?? Date.now()) > 5000;
  try {
    process.kill(pid, 0);
    return pid === process.pid;
  } catch (error) {
    return error.code === "ESRCH";
  }
}

function releaseLock() {
  if (holdsLock) rmSync(lock, { recursive: true, force: true });
}

function modifiedAt(path) {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function fail(sentence) {
  console.error(sentence);
  releaseLock();
  process.exit(1);
}
