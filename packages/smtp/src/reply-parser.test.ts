import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defaultReplyLimits, type ParsedReply, ReplyParser } from "./reply-parser.ts";

const encoder = new TextEncoder();

function parse(pieces: readonly Uint8Array[], parser = new ReplyParser()): ParsedReply[] {
  const parsed: ParsedReply[] = [];
  for (const piece of pieces) {
    parser.push(piece);
    for (let one = parser.next(); one !== undefined; one = parser.next()) {
      parsed.push(one);
      if (one.kind === "problem") return parsed;
    }
    piece.fill(0);
  }
  return parsed;
}

const parseText = (text: string, parser?: ReplyParser) => parse([encoder.encode(text)], parser);

describe("replies", () => {
  const cases: readonly [string, string, readonly unknown[]][] = [
    ["one line", "250 ok\r\n", [{ code: 250, lines: ["ok"] }]],
    ["no text", "250 \r\n", [{ code: 250, lines: [""] }]],
    ["no space", "250\r\n", [{ code: 250, lines: [""] }]],
    ["several lines", "250-a\r\n250-\r\n250 b\r\n", [{ code: 250, lines: ["a", "", "b"] }]],
    ["last line without text", "250-a\r\n250\r\n", [{ code: 250, lines: ["a", ""] }]],
    ["several replies", "250 a\r\n354 b\r\n", [
      { code: 250, lines: ["a"] },
      { code: 354, lines: ["b"] },
    ]],
    ["bare LF", "250-a\n250 b\n", [{ code: 250, lines: ["a", "b"] }]],
    ["CR CR LF", "250 a\r\r\n", [{ code: 250, lines: ["a"] }]],
    ["enhanced code", "250 2.1.5 ok\r\n", [{ code: 250, enhanced: "2.1.5", lines: ["ok"] }]],
    ["enhanced code alone", "250 2.1.5\r\n", [{ code: 250, enhanced: "2.1.5", lines: [""] }]],
    ["enhanced code on each line", "550-5.7.1 a\r\n550 5.7.1 b\r\n", [
      { code: 550, enhanced: "5.7.1", lines: ["a", "b"] },
    ]],
    ["enhanced code on the first line", "550-5.7.1 a\r\n550 b\r\n", [
      { code: 550, enhanced: "5.7.1", lines: ["a", "b"] },
    ]],
    ["two different enhanced codes", "550-5.7.1 a\r\n550 5.7.2 b\r\n", [
      { code: 550, enhanced: "5.7.1", lines: ["a", "5.7.2 b"] },
    ]],
    ["class of another reply", "550 4.7.1 a\r\n", [{ code: 550, lines: ["4.7.1 a"] }]],
    ["long numbers", "550 5.700.100 a\r\n", [{
      code: 550,
      enhanced: "5.700.100",
      lines: ["a"],
    }]],
    ["numbers too long", "550 5.7000.1 a\r\n", [{ code: 550, lines: ["5.7000.1 a"] }]],
    ["leading zero", "550 5.07.1 a\r\n", [{ code: 550, lines: ["5.07.1 a"] }]],
    ["a version is no code", "220 2.0.0rc1 a\r\n", [{ code: 220, lines: ["2.0.0rc1 a"] }]],
    ["UTF-8", "550 größe\r\n", [{ code: 550, lines: ["größe"] }]],
    ["control characters", "550 a\0b\x1bc\td\x7f\r\n", [{ code: 550, lines: ["a b c d"] }]],
    ["CR in a line", "550 a\rb\r\n", [{ code: 550, lines: ["a b"] }]],
    ["odd codes of known classes", "299 x\r\n599 y\r\n", [
      { code: 299, lines: ["x"] },
      { code: 599, lines: ["y"] },
    ]],
  ];
  test.each(cases)("%s", (_, text, replies) => {
    expect(parseText(text)).toEqual(replies.map((reply) => ({ kind: "reply", reply })));
  });

  test("bytes that are not UTF-8 are replaced", () => {
    const [parsed] = parse([Uint8Array.of(50, 53, 48, 32, 0xff, 13, 10)]);
    expect(parsed).toEqual({ kind: "reply", reply: { code: 250, lines: ["\ufffd"] } });
  });
});

describe("what is not a reply", () => {
  const cases: readonly [string, string][] = [
    ["\r\n", "notAReply"],
    ["hello\r\n", "notAReply"],
    ["25\r\n", "notAReply"],
    ["2500 ok\r\n", "notAReply"],
    ["250_ok\r\n", "notAReply"],
    ["250\tok\r\n", "notAReply"],
    ["120 soon\r\n", "notAReply"],
    ["600 what\r\n", "notAReply"],
    ["000 what\r\n", "notAReply"],
    ["-250 ok\r\n", "notAReply"],
    [" 250 ok\r\n", "notAReply"],
    ["250-a\r\n251 b\r\n", "codesDiffer"],
    ["250-a\r\nb\r\n", "notAReply"],
    [`250 ${"x".repeat(defaultReplyLimits.line)}`, "lineTooLong"],
    [`250 ${"x".repeat(defaultReplyLimits.line)}\r\n`, "lineTooLong"],
    ["250-x\r\n".repeat(defaultReplyLimits.lines + 1), "tooManyLines"],
    [`250-${"x".repeat(4000)}\r\n`.repeat(20), "replyTooLong"],
  ];
  test.each(cases)("%j is %s", (text, problem) => {
    expect(parseText(text)).toEqual([{ kind: "problem", problem }]);
  });

  test("a problem is for good, and nothing is kept", () => {
    const parser = new ReplyParser();
    parseText("nonsense\r\n", parser);
    parser.push(encoder.encode("250 ok\r\n"));
    expect(parser.next()).toEqual({ kind: "problem", problem: "notAReply" });
    expect(parser.kept).toBe(0);
  });

  test("the limits themselves are allowed", () => {
    const text = "x".repeat(defaultReplyLimits.line - 6);
    expect(parseText(`250 ${text}\r\n`)).toEqual([{
      kind: "reply",
      reply: { code: 250, lines: [text] },
    }]);
    const lines = "250-x\r\n".repeat(defaultReplyLimits.lines - 1) + "250 x\r\n";
    expect(parseText(lines)).toMatchObject([{ kind: "reply", reply: { code: 250 } }]);
  });
});

describe("any bytes", () => {
  const replyText = fc.tuple(
    fc.integer({ min: 200, max: 599 }),
    fc.array(fc.stringMatching(/^[ -~]{0,30}$/), { minLength: 1, maxLength: 4 }),
  ).map(([code, lines]) =>
    lines.map((line, at) => `${code}${at === lines.length - 1 ? " " : "-"}${line}\r\n`).join("")
  );
  const stream = fc.oneof(
    fc.array(replyText, { maxLength: 6 }).map((replies) => encoder.encode(replies.join(""))),
    fc.uint8Array({ maxLength: 300 }),
    fc.array(fc.constantFrom("2", "5", "0", " ", "-", "\r", "\n", "x"), { maxLength: 60 })
      .map((characters) => encoder.encode(characters.join(""))),
  );

  test("wherever they are cut, the replies are the same", () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat(60), { maxLength: 30 }), (bytes, lengths) => {
        const whole = parse([bytes.slice()]);
        const pieces: Uint8Array[] = [];
        let at = 0;
        for (const length of lengths) {
          pieces.push(bytes.slice(at, at + length));
          at += length;
        }
        pieces.push(bytes.slice(at));
        expect(parse(pieces)).toEqual(whole);
        expect(parse([...bytes].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
      }),
      { seed: 5321, numRuns: 1000 },
    );
  });

  test("never throw, and no more than the limits is kept", () => {
    const limits = { line: 64, lines: 5, reply: 200 };
    fc.assert(
      fc.property(fc.array(stream, { maxLength: 20 }), (pieces) => {
        const parser = new ReplyParser(limits);
        for (const piece of pieces) {
          parser.push(piece);
          while (parser.next()?.kind === "reply");
          expect(parser.kept).toBeLessThanOrEqual(limits.line + limits.reply);
        }
      }),
      { seed: 5321, numRuns: 1000 },
    );
  });
});
