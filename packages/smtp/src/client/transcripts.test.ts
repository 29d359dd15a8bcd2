/**
 * The golden dialogues of the client: what is played must be the transcript itself, however the
 * server's bytes are cut. `testing/dialogue.ts` says how to read and write them.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { play } from "./testing/dialogue.ts";

const folder = new URL("../../transcripts/client/", import.meta.url);
const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
const read = (name: string) => Deno.readTextFileSync(new URL(name, folder));

test("there are as many as promised, each with its own purpose", () => {
  expect(names.length).toBeGreaterThanOrEqual(60);
  const purposes = names.map((name) => read(name).split("\n", 1)[0]!);
  for (const purpose of purposes) expect(purpose).toMatch(/^# .{10,}$/);
  expect(new Set(purposes).size).toBe(names.length);
});

describe("as written", () => {
  test.each(names)("%s", (name) => {
    const transcript = read(name);
    expect(play(transcript)).toBe(transcript);
  });
});

// In clear behind STARTTLS: it depends on the cut how far the adapter got, and only there.
const cuttable = names.filter((name) => !name.startsWith("starttls-injection"));

describe("cut at every byte", () => {
  test.each(cuttable)("%s", (name) => {
    const transcript = read(name);
    const singly = (bytes: Uint8Array) => Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(play(transcript, singly)).toBe(transcript);
  });
});

test("cut anywhere", () => {
  const transcripts = cuttable.map(read);
  fc.assert(
    fc.property(
      fc.constantFrom(...transcripts),
      fc.infiniteStream(fc.integer({ min: 1, max: 40 })),
      (transcript, lengths) => {
        const cut = (bytes: Uint8Array) => {
          const pieces: Uint8Array[] = [];
          for (let at = 0; at < bytes.length;) {
            const length: number = lengths.next().value!;
            pieces.push(bytes.slice(at, at += length));
          }
          return pieces;
        };
        expect(play(transcript, cut)).toBe(transcript);
      },
    ),
    { seed: 2821, numRuns: 2000 },
  );
});
