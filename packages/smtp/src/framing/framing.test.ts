import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ContentReader, type Framing } from "./content-reader.ts";
import { createDotStuffer } from "./dot-stuffer.ts";
import { HeaderScanner } from "./header-scanner.ts";

const encode = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const decode = (bytes: Uint8Array) => Array.from(bytes, (b) => String.fromCharCode(b)).join("");

/** Bytes that make trouble, rather than any. */
const unit = fc.constantFrom(
  "\r\n",
  "\r\n",
  "\r",
  "\n",
  ".",
  ".",
  "\0",
  "a",
  "bcdefghijklm",
  "\xff",
  " ",
  "\t",
);
const raw = fc.array(unit, { maxLength: 40 }).map((units) => units.join(""));
const lines = fc.array(
  fc.array(fc.constantFrom(".", "a", "..", "\t", "\xe4", "x".repeat(30)), { maxLength: 5 }),
)
  .map((all) => all.map((line) => `${line.join("")}\r\n`).join(""));
const cuts = fc.array(fc.nat({ max: 9 }), { minLength: 1, maxLength: 20 });
const runs = { seed: 20_261_124, numRuns: 2000 };

function pieces(text: string, sizes: readonly number[]): Uint8Array[] {
  const bytes = encode(text);
  const out: Uint8Array[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]! + (turn >= sizes.length ? 1 : 0);
    // Views at odd addresses, as sockets give them.
    const buffer = new Uint8Array(size + 3);
    buffer.set(bytes.subarray(at, at + size), 3);
    out.push(buffer.subarray(3, 3 + Math.min(size, bytes.length - at)));
    at += size;
  }
  return out;
}

interface Result {
  content: string;
  ended: boolean;
  fault: string | undefined;
  eightBit: boolean;
  rest: string;
}

function readAll(
  chunks: readonly Uint8Array[],
  lineEnds: "refuse" | "normalise",
  framing: Framing = "dots",
  longest = 998,
): Result {
  const reader = new ContentReader(framing, lineEnds, longest);
  let content = "";
  let rest = "";
  for (const chunk of chunks) {
    let at = 0;
    while (!reader.ended) {
      const piece = reader.read(chunk, at, chunk.length);
      at = reader.position;
      if (piece !== undefined) content += decode(piece);
      else if (at === chunk.length) break;
    }
    rest += decode(chunk.subarray(at));
  }
  const last = reader.finish();
  if (last !== undefined) content += decode(last);
  return { content, ended: reader.ended, fault: reader.fault, eightBit: reader.eightBit, rest };
}

/** DATA's content the slow, plain way. */
function reference(wire: string): Result {
  const end = wire.startsWith(".\r\n") ? -2 : wire.indexOf("\r\n.\r\n");
  const ended = end !== -1;
  const stuffed = ended ? wire.slice(0, end + 2) : wire;
  const fault = /\r(?!\n)|(?<!\r)\n|\0/.test(stuffed) ? "line end" : undefined;
  return {
    content: stuffed.replace(/(^|\r\n)\./g, "$1"),
    ended,
    fault,
    eightBit: /[\x80-\xff]/.test(stuffed),
    rest: ended ? wire.slice(end + 5) : "",
  };
}

describe("reading DATA", () => {
  test("lines in any pieces, as the plain way has them", () => {
    fc.assert(
      fc.property(lines, raw, cuts, (text, behind, sizes) => {
        const wire = `${text.replace(/(^|\r\n)\./g, "$1..")}.\r\n${behind}`;
        const got = readAll(pieces(wire, sizes), "refuse");
        expect(got).toEqual({
          content: text,
          ended: true,
          fault: undefined,
          eightBit: /[\x80-\xff]/.test(text),
          rest: behind,
        });
      }),
      runs,
    );
  });

  test("anything in any pieces: the same end, and the same fault", () => {
    fc.assert(
      fc.property(raw, cuts, (wire, sizes) => {
        const want = reference(wire);
        const got = readAll(pieces(wire, sizes), "refuse");
        expect(got.ended).toBe(want.ended);
        expect(got.rest).toBe(want.rest);
        if (want.ended) expect(got.fault).toBe(want.fault);
        if (want.ended && want.fault === undefined) expect(got.content).toBe(want.content);
      }),
      runs,
    );
  });

  test("normalised content holds CRLF only, however it was cut", () => {
    fc.assert(
      fc.property(raw, cuts, (wire, sizes) => {
        const whole = readAll([encode(wire)], "normalise");
        const cut = readAll(pieces(wire, sizes), "normalise");
        expect(cut).toEqual(whole);
        expect(whole.fault).toBe(undefined);
        expect(whole.ended).toBe(reference(wire).ended);
        // A CR at the very end may still get its LF.
        expect(whole.content.replace(/\r$/, "")).not.toMatch(/\r(?!\n)|(?<!\r)\n|\0/);
      }),
      runs,
    );
  });

  test("what is normalised and stuffed again is framed the same by everybody", () => {
    fc.assert(
      fc.property(raw, (wire) => {
        const { content, ended } = readAll([encode(`${wire}\r\n.\r\n`)], "normalise");
        expect(ended).toBe(true);
        const again = stuff([encode(content)]);
        // Not even one who takes LF.LF for the end finds it early.
        expect(again.search(/(^|[\r\n])\.(\r\n|\n|\r)/)).toBe(
          again === ".\r\n" ? 0 : again.length - 4,
        );
      }),
      runs,
    );
  });

  test("the longest line, wherever it is cut", () => {
    for (const size of [1, 3, 64, 5000]) {
      const read = (length: number) =>
        readAll(pieces(`${"x".repeat(length)}\r\n.\r\n`, [size]), "refuse").fault;
      expect(read(998)).toBe(undefined);
      expect(read(999)).toBe("line too long");
    }
    // A line without end is told before its end.
    expect(readAll([encode("x".repeat(999))], "refuse").fault).toBe("line too long");
  });

  test("a chunk may begin and end at any address", () => {
    const text = "0123456789\r\nabcdefghij\r\n..x\r\n.\r\n";
    for (let skew = 0; skew < 9; skew++) {
      const buffer = new Uint8Array(100).fill(10);
      buffer.set(encode(text), skew);
      const got = readAll([buffer.subarray(skew, skew + text.length)], "refuse");
      expect(got).toMatchObject({ content: "0123456789\r\nabcdefghij\r\n.x\r\n", ended: true });
    }
  });

  test("hands out views, not copies", () => {
    const chunk = encode("some text\r\n");
    const reader = new ContentReader("dots", "refuse", 998);
    expect(reader.read(chunk, 0, chunk.length)).toBe(chunk);
  });

  test("many NULs and bare line ends in one chunk", () => {
    expect(readAll([encode(`${"\0".repeat(100_000)}\r\n.\r\n`)], "normalise").content).toBe("\r\n");
    expect(readAll([encode(`${"\n".repeat(10_000)}.\r\n`)], "normalise").content)
      .toBe(`${"\r\n".repeat(10_000)}.\r\n`);
  });
});

describe("reading BDAT", () => {
  test("binary content as it is", () => {
    fc.assert(
      fc.property(raw, cuts, (text, sizes) => {
        expect(readAll(pieces(text, sizes), "refuse", "binary")).toMatchObject({
          content: text,
          fault: undefined,
          eightBit: /[\x80-\xff]/.test(text),
        });
      }),
      runs,
    );
  });

  test("text: dots as they are, line ends watched", () => {
    fc.assert(
      fc.property(raw, cuts, (text, sizes) => {
        const got = readAll(pieces(text, sizes), "refuse", "text");
        const bad = /\r(?!\n)|(?<!\r)\n|\0/.test(text);
        expect(got.fault).toBe(bad ? "line end" : undefined);
        if (!bad) expect(got.content).toBe(text);
        expect(readAll(pieces(text, sizes), "normalise", "text").content)
          .toBe(text.replace(/\r\n|(\r)|(\n)|\0/g, (all) => all === "\0" ? "" : "\r\n"));
      }),
      runs,
    );
  });
});

function stuff(chunks: readonly Uint8Array[]): string {
  const stuffer = createDotStuffer();
  const out: Uint8Array[] = [];
  for (const chunk of chunks) stuffer.write(chunk, out);
  out.push(stuffer.end());
  expect(out.every((piece) => piece.length > 0)).toBe(true);
  return out.map(decode).join("");
}

describe("dot-stuffing", () => {
  test.each([
    ["", ".\r\n"],
    ["a\r\n", "a\r\n.\r\n"],
    ["a", "a\r\n.\r\n"],
    [".", "..\r\n.\r\n"],
    ["..\r\n.a\r\n", "...\r\n..a\r\n.\r\n"],
    ["a.b\r\n", "a.b\r\n.\r\n"],
    ["\n.\r.\r\n", "\n.\r.\r\n.\r\n"],
    ["a\r", "a\r\r\n.\r\n"],
    ["\n", "\n\r\n.\r\n"],
  ])("%j", (content, wire) => expect(stuff([encode(content)])).toBe(wire));

  test("and back, in any pieces on both sides", () => {
    fc.assert(
      fc.property(lines, cuts, cuts, (text, one, other) => {
        const wire = stuff(pieces(text, one));
        expect(readAll(pieces(wire, other), "refuse")).toMatchObject({
          content: text,
          ended: true,
          fault: undefined,
          rest: "",
        });
      }),
      runs,
    );
  });

  test("content that is no text goes through as well, but for its last line end", () => {
    fc.assert(
      fc.property(raw, cuts, (text, sizes) => {
        const wire = stuff(pieces(text, sizes));
        const want = text === "" || text.endsWith("\r\n") ? text : `${text}\r\n`;
        // What is ambiguous to a strict receiver (CRLF.CRLF made of parts) cannot come up.
        const got = reference(wire);
        expect(got.ended).toBe(true);
        expect(got.rest).toBe("");
        expect(got.content).toBe(want);
      }),
      runs,
    );
  });
});

describe("the header", () => {
  test("is counted the same however it is cut", () => {
    const header =
      "Received: a\r\n by b\r\nreceived: c\r\nReceivedX: d\r\nX-Received: e\r\nSubject: Received: f\r\n";
    for (let size = 1; size < header.length + 10; size++) {
      const scanner = new HeaderScanner();
      for (const chunk of pieces(`${header}\r\nReceived: in the body\r\n`, [size])) {
        scanner.scan(chunk);
      }
      expect(scanner).toMatchObject({
        received: 2,
        fields: 5,
        size: header.length,
        done: true,
      });
    }
  });

  test.each(
    [
      ["an empty line first", "\r\nReceived: x\r\n", [0, 0, 0]],
      ["no end", "Received: x\r\nReceived: y", [2, 2, 24]],
      ["a name cut off", "Received: x\r\nReceived", [1, 1, 21]],
      ["blanks before the colon", "Received \t: x\r\nReceived : y\r\n\r\n", [2, 2, 29]],
      ["blanks in the name", "Received x: y\r\n\r\n", [0, 0, 0]],
      ["a line that is no field", "A: b\r\nFrom x\r\nReceived: x\r\n\r\n", [1, 2, 27]],
      ["a colon, NUL, LF or CR first", "A: b\r\n:\r\n\0\r\nx\n\rx\r\nReceived: x\n\n", [1, 2, 30]],
      // Not measured: what follows is no header. But nobody honest writes what loops look like there.
      ["no header at all", "Hello world\r\nA: b\r\nReceived: x\r\n", [1, 0, 0]],
      ["an mbox line first", "From x Mon 1\r\nReceived: x\r\n", [1, 0, 0]],
      ["a colon first", ": x\r\nReceived: x\r\n", [1, 0, 0]],
      ["a blank first", " x\r\nReceived: x\r\n\r\nReceived: y\r\n", [1, 0, 0]],
    ] as const,
  )("%s", (_name, text, [received, fields, size]) => {
    for (let cut = 1; cut <= text.length; cut++) {
      const scanner = new HeaderScanner();
      for (const chunk of pieces(text, [cut])) scanner.scan(chunk);
      expect(scanner).toMatchObject({ received, fields, size });
    }
  });
});
