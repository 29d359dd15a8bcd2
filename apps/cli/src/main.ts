/**
 * NAME
 *   postern – the command line of Postern
 *
 * WHAT IT DOES
 *   Asks and changes a running gateway over its REST API: configuration, messages, destinations,
 *   explanations, tokens. Reads a Postfix configuration into a document of Postern's.
 *
 * SECURITY
 *   Needs a token: --token, POSTERN_TOKEN, or the file admin-token of the data dir. bin/postern.mjs
 *   starts it with the network, that file and the files named on the command line, and no more.
 *   What mail brings is shown without control characters.
 *
 * DIAGNOSTICS
 *   Errors are one sentence on stderr, and a line for each field at fault. Exit code 0: done; 1: it
 *   could not be done; 2: it was called wrongly.
 *
 * CONFIGURATION
 *   POSTERN_URL (http://127.0.0.1:8025 when unset), POSTERN_TOKEN, POSTERN_DATA_DIR.
 */
import process from "node:process";
import { run } from "./program.ts";
import { CommandError, type Surroundings } from "./surroundings.ts";

const encoder = new TextEncoder();

function writeAll(to: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

/** Writes what was asked for; that there is no room for it, as on a full disk, ends the command. */
function output(bytes: Uint8Array): void {
  try {
    writeAll(Deno.stdout, bytes);
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) throw error;
    throw new CommandError(`the output cannot be written: ${(error as Error).message}`);
  }
}

const variables = ["POSTERN_URL", "POSTERN_TOKEN", "POSTERN_DATA_DIR"];
const surroundings: Surroundings = {
  environment: Object.fromEntries(variables.map((name) => [name, Deno.env.get(name)])),
  columns: Deno.stdout.isTerminal() ? Deno.consoleSize().columns : undefined,
  out: (text) => output(encoder.encode(text)),
  outBytes: output,
  error: (text) => writeAll(Deno.stderr, encoder.encode(text)),
  readText: (file) =>
    file === "-" ? new Response(Deno.stdin.readable).text() : Deno.readTextFile(file),
  writeText: (file, text) => Deno.writeTextFile(file, text),
  makeDirectory: (directory) => Deno.mkdir(directory, { recursive: true }),
};

try {
  Deno.exit(await run(process.argv.slice(2), surroundings));
} catch (error) {
  // The reader of a pipe may go before the end: `postern messages list | head`.
  if (error instanceof Deno.errors.BrokenPipe) Deno.exit(0);
  throw error;
}
