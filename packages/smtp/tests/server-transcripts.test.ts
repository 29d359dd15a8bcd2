import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { compare, type Cut, parseTranscript, play, type Transcript } from "./server-dialogue.ts";

const folder = new URL("../transcripts/server/", import.meta.url);
const transcripts = readdirSync(folder).filter((name) => name.endsWith(".transcript")).sort()
  .map((name) => ({
    name,
    transcript: parseTranscript(readFileSync(new URL(name, folder), "utf8")),
  }));

function check(transcript: Transcript, cut?: Cut): void {
  const outcomes = play(transcript, cut);
  for (const [index, block] of transcript.blocks.entries()) {
    const outcome = outcomes[index]!;
    const { expected, actual } = compare(block, outcome);
    const where = "event" in block.input
      ? block.input.event
      : new TextDecoder().decode(block.input.bytes.slice(0, 200));
    expect({ where, replies: outcome.replies, actions: actual })
      .toEqual({ where, replies: block.replies, actions: expected });
  }
}

function* everyByte(bytes: Uint8Array): Generator<Uint8Array> {
  // Long runs of one byte are cut more coarsely: they say nothing new, byte by byte.
  const step = bytes.length > 10_000 ? 997 : 1;
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

describe("server transcripts", () => {
  test("there are many", () => expect(transcripts.length).toBeGreaterThanOrEqual(200));

  describe.each(transcripts)("$name", ({ transcript }) => {
    test("as it stands", () => check(transcript));
    test.runIf(transcript.divisible)("byte by byte", () => check(transcript, everyByte));
  });

  test.each(transcripts.filter(({ transcript }) => transcript.divisible))(
    "$name, cut in two at any byte",
    ({ transcript }) => {
      const longest = Math.max(
        ...transcript.blocks.map(({ input }) => "bytes" in input ? input.bytes.length : 0),
      );
      const step = Math.max(1, Math.floor(longest / 100));
      for (let place = 1; place < longest; place += step) {
        check(transcript, (bytes) => [bytes.subarray(0, place), bytes.subarray(place)]);
      }
    },
  );
});
