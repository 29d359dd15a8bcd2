/**
 * Runs mutated dialogues: `deno run -A packages/smtp/fuzz/fuzz.ts [DIALOGUES [SEED]]`, 1,000,000 of
 * them by default. Ends with the seed of the first dialogue that fails.
 */
import { playMutated, readSeeds } from "./server-dialogues.ts";

const [dialogues = "1000000", first = "1"] = Deno.args;
const seeds = readSeeds();
const began = performance.now();
for (let index = 0; index < Number(dialogues); index++) {
  const seed = Number(first) + index;
  try {
    playMutated(seeds, seed);
  } catch (error) {
    console.error(`dialogue of seed ${seed}:`, error);
    Deno.exit(1);
  }
}
const seconds = ((performance.now() - began) / 1000).toFixed(1);
console.log(`${dialogues} dialogues from seed ${first} in ${seconds} s: none failed`);
