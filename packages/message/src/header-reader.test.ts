import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { HeaderReader } from "./header-reader.ts";

const octets = (text: string) => new TextEncoder().encode(text);

/** Pieces of `whole`, cut at the offsets. */
function pieces(whole: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const offsets = [0, ...cuts.map((cut) => cut % (whole.length + 1)), whole.length];
  offsets.sort((a, b) => a - b);
  return offsets.slice(1).map((end, i) => whole.subarray(offsets[i], end));
}

describe("HeaderReader", () => {
  test.each([
    ["A: 1\r\n\r\nbody", 8],
    ["A: 1\n\nbody", 6],
    ["A: 1\r\n\nbody", 7],
    ["\r\nbody", 2],
    ["\nbody", 1],
    ["A: 1\r\r\n\r\nbody", 9],
    ["A: 1\r\n \r\n\r\nbody", 11],
    ["\r\r\n\r\nbody", 5],
  ])("finds the body of %j at %d", (content, size) => {
    const reader = new HeaderReader();
    expect(reader.push(octets(content))).toBe("body");
    expect(reader.size).toBe(size);
  });

  test("takes content without an empty line as all header", () => {
    const reader = new HeaderReader();
    expect(reader.push(octets("Subject: x\r\nTo: y"))).toBe("header");
    expect(reader.end()).toBe("body");
    expect(reader.header.get("to")).toBe("y");
  });

  test("gives up at its bound and keeps no more", () => {
    const exact = new HeaderReader({ maxOctets: 8 });
    expect(exact.push(octets("A: 1\r\n\r\nbody"))).toBe("body");
    const short = new HeaderReader({ maxOctets: 7 });
    expect(short.push(octets("A: 1\r\n\r\nbody"))).toBe("tooLarge");
    expect(short.size).toBe(7);
    expect(short.header.get("a")).toBe("1");
    const ended = new HeaderReader({ maxOctets: 4 });
    expect(ended.push(octets("A: 1"))).toBe("header");
    expect(ended.end()).toBe("body");
  });

  test("keeps nothing of the chunks it was handed", () => {
    const chunk = octets("A: 1\r\n\r\n");
    const reader = new HeaderReader();
    reader.push(chunk);
    chunk.fill(0);
    expect(reader.header.get("a")).toBe("1");
  });

  test("finds the same whatever the chunks", () => {
    const content = fc.array(
      fc.constantFrom("A: 1", "bb", ":", " ", "\t", "\r", "\n", "\r\n", "\r\n\r\n", "ü"),
      { maxLength: 20 },
    ).map((parts) => octets(parts.join("")));
    fc.assert(
      fc.property(
        content,
        fc.array(fc.nat(200), { maxLength: 8 }),
        fc.integer({ min: 1, max: 40 }),
        (whole, cuts, maxOctets) => {
          const read = (chunks: readonly Uint8Array[]) => {
            const reader = new HeaderReader({ maxOctets });
            for (const chunk of chunks) reader.push(chunk);
            reader.end();
            return [reader.state, reader.size, reader.header.octets.join()];
          };
          expect(read(pieces(whole, cuts))).toEqual(read([whole]));
        },
      ),
      { seed: 5322, numRuns: 2000 },
    );
  });
});
