/**
 * The long fuzz run of the client: `deno run --allow-read bench/client.fuzz.ts [count] [first seed]`.
 * It ends with 1 and names the seed if anything throws.
 */
import { playMutated, serverSide } from "../src/client/testing/mutated-dialogues.ts";

const folder = new URL("../transcripts/client/", import.meta.url);
const sides = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
  .map((name) => serverSide(Deno.readTextFileSync(new URL(name, folder))));

const count = Number(Deno.args[0] ?? 1_000_000);
const first = Number(Deno.args[1] ?? 1);
for (let seed = first; seed < first + count; seed++) {
  try {
    playMutated(sides, seed);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    Deno.exit(1);
  }
}
console.log(`${count} mutated dialogues of the client, none threw`);
