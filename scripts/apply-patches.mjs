// Applies `patches/` to the dependencies, and leaves word of it. npm runs this after an install;
// ensure-installed does where install scripts are off. Needs nothing but Node.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const patches = join(root, "patches");
const word = join(root, "node_modules", ".patches-applied");

/** Whether the patches as they are now were applied, or others, or none. */
export function patchState() {
  if (!existsSync(word)) return "none";
  return readFileSync(word, "utf8") === fingerprint() ? "applied" : "others";
}

/** Applies them; what is applied already stays as it is. Answers what went wrong. */
export function applyPatches() {
  const program = fileURLToPath(import.meta.resolve("patch-package/index.js"));
  const argv = [program, "--error-on-fail"];
  const { status, error, stdout, stderr } = spawnSync(process.execPath, argv, {
    cwd: root,
    encoding: "utf8",
  });
  if (status !== 0) return error?.message ?? `${stdout}${stderr}`.trim();
  writeFileSync(word, fingerprint());
}

function fingerprint() {
  const hash = createHash("sha256");
  for (const name of readdirSync(patches).sort()) {
    hash.update(name).update(readFileSync(join(patches, name)));
  }
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const problem = applyPatches();
  if (problem !== undefined) {
    console.error(`The patches of dependencies could not be applied: ${problem}`);
    process.exitCode = 1;
  }
}
