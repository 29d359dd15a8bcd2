#!/usr/bin/env node
// `npx postern …`: runs the command line under Deno, with the permissions that this one command needs.
// Needs nothing but Node.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));
const deno = join(root, "node_modules", ".bin", "deno");
if (!existsSync(deno)) {
  console.error("postern: the runtime, Deno, is not installed: run npm install in", root);
  process.exit(1);
}

const args = process.argv.slice(2);
const dataDir = process.env.POSTERN_DATA_DIR || ".postern";
const reading = [
  join(root, "node_modules"),
  join(dataDir, "admin-token"),
  ...named("-f", "--file"),
];
const writing = named("-o", "--output");
// Tables that main.cf names may lie anywhere below /etc; recipient lists go beside the document.
if (args.includes("import")) {
  writing.push(...writing.map((file) => `${file.replace(/\.(ya?ml|json)$/, "")}.recipients`));
  reading.push(...args.slice(1).filter((arg) => !arg.startsWith("-")), "/etc");
}

const variables = [
  "POSTERN_URL",
  "POSTERN_TOKEN",
  "POSTERN_DATA_DIR",
  // commander and yaml ask for these.
  "NO_COLOR",
  "FORCE_COLOR",
  "CLICOLOR_FORCE",
  "LOG_STREAM",
  "LOG_TOKENS",
];
const child = spawn(deno, [
  "run",
  "--no-prompt",
  "--quiet",
  "--allow-net",
  `--allow-env=${variables.join(",")}`,
  `--allow-read=${list(reading)}`,
  ...(writing.length > 0 ? [`--allow-write=${list(writing)}`] : []),
  join(root, "apps", "cli", "src", "main.ts"),
  ...args,
], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.once("error", (error) => {
  console.error(`postern: Deno cannot be run: ${error.message}`);
  process.exit(1);
});
child.once("close", (code) => process.exit(code ?? 1));

/** The files that an option names. */
function named(short, long) {
  return args.flatMap((arg, index) => {
    if (arg === short || arg === long) return args[index + 1] ?? [];
    if (arg.startsWith(`${long}=`)) return arg.slice(long.length + 1);
    return arg.startsWith(short) && !arg.startsWith("--") ? arg.slice(short.length) : [];
  }).filter((file) => file !== "" && file !== "-");
}

/** As Deno takes paths: parted by commas. One with a comma within is stood for by its directory. */
function list(paths) {
  return paths.map((path) => {
    while (path.includes(",")) path = dirname(path);
    return path;
  }).join(",");
}
