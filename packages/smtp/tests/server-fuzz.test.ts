import { expect, test } from "vitest";
import { playMutated, readSeeds } from "../fuzz/server-dialogues.ts";

test("5,000 mutated dialogues", () => {
  const seeds = readSeeds();
  expect(seeds.writes.length).toBeGreaterThan(500);
  for (let seed = 1; seed <= 5000; seed++) {
    try {
      playMutated(seeds, seed);
    } catch (cause) {
      throw new Error(`dialogue of seed ${seed}`, { cause });
    }
  }
});
