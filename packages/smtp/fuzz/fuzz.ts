/**
 * The long fuzz run, `npm run fuzz -- [DIALOGUES [SEED [server|client]]]`: golden transcripts,
 * mutated and cut at random, against both sides of the core; 1,000,000 dialogues for each by
 * default. The same seed gives the same dialogue. Ends with 1 and names the seed if one fails.
 */
import {
  playMutated as playWithClient,
  serverSide,
} from "../src/client/testing/mutated-dialogues.ts";
import { playMutated as playWithServer, readSeeds } from "./server-dialogues.ts";

/** Shown every so often, so that a long run can be told from one that hangs. */
const REPORT_EVERY = 100_000;

function serverSides(): Uint8Array[] {
  const folder = new URL("../transcripts/client/", import.meta.url);
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => serverSide(Deno.readTextFileSync(new URL(name, folder))));
}

function run(name: string, play: (seed: number) => void, first: number, count: number): void {
  const began = performance.now();
  const elapsed = () => `${((performance.now() - began) / 1000).toFixed(1)} s`;
  for (let done = 0; done < count; done += 1) {
    const seed = first + done;
    if (done > 0 && done % REPORT_EVERY === 0) console.log(`${name}: ${done} after ${elapsed()}`);
    try {
      play(seed);
    } catch (error) {
      console.error(`${name}, dialogue of seed ${seed}:`, error);
      Deno.exit(1);
    }
  }
  console.log(`${name}: ${count} dialogues from seed ${first} in ${elapsed()}: none failed`);
}

const [dialogues = "1000000", seed = "1", side] = Deno.args;
const count = Number(dialogues);
const first = Number(seed);
if (
  !Number.isSafeInteger(count) || count < 1 || !Number.isSafeInteger(first) || first < 0 ||
  (side !== undefined && side !== "server" && side !== "client")
) {
  console.error("usage: npm run fuzz -- [DIALOGUES [SEED [server|client]]]");
  Deno.exit(2);
}
const seeds = readSeeds();
const sides = serverSides();
if (side !== "client") run("server", (one) => playWithServer(seeds, one), first, count);
if (side !== "server") run("client", (one) => playWithClient(sides, one), first, count);
