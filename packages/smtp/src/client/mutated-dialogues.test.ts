import { test } from "vitest";
import { playMutated, serverSide } from "./testing/mutated-dialogues.ts";

const folder = new URL("../../transcripts/client/", import.meta.url);

test("mutated dialogues never throw, and each transaction has one outcome", () => {
  const sides = [...Deno.readDirSync(folder)].map(({ name }) => name).sort()
    .map((name) => serverSide(Deno.readTextFileSync(new URL(name, folder))));
  for (let seed = 1; seed <= 5000; seed++) playMutated(sides, seed);
});
