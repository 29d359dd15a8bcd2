/** Values within fields: dates, addresses, encoded words, content types. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { mailboxes } from "./addresses.ts";
import { parseContentType, transferEncoding } from "./content-type.ts";
import { parseDate, rfc5322Date } from "./dates.ts";
import { decodeEncodedWords, encodeWords } from "./encoded-words.ts";

describe("dates", () => {
  test.each([
    ["Tue, 24 Nov 2026 01:02:03 +0100", "2026-11-24T00:02:03.000Z"],
    ["24 Nov 2026 01:02 -0830", "2026-11-24T09:32:00.000Z"],
    ["Fri, 21 Nov 97 09:55:06 EST", "1997-11-21T14:55:06.000Z"],
    ["1 jan 49 00:00:00 GMT (comment)", "2049-01-01T00:00:00.000Z"],
    ["Thu,  4 June 2020 23:59:60 -0000", "2020-06-05T00:00:00.000Z"],
  ])("%s is %s", (text, iso) => {
    expect(parseDate(text)?.toISOString()).toBe(iso);
  });

  test.each([
    "",
    "yesterday",
    "24 Foo 2026 01:02:03",
    "32 Nov 2026 01:02:03",
    "1 Nov 2026 24:00:00",
  ])(
    "%j is none",
    (text) => expect(parseDate(text)).toBeUndefined(),
  );

  test("are read back as written", () => {
    expect(rfc5322Date(new Date(Date.UTC(2026, 10, 24, 0, 32, 8)))).toBe(
      "Tue, 24 Nov 2026 00:32:08 +0000",
    );
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => {
        const date = new Date(seconds * 1000);
        expect(parseDate(rfc5322Date(date))).toEqual(date);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe("mailboxes", () => {
  test.each([
    ["a@example.com", [["", "a@example.com"]]],
    ["A B <a@example.com>", [["A B", "a@example.com"]]],
    ['"B, A" <a@example.com>, b@example.com (Bee)', [
      ["B, A", "a@example.com"],
      ["Bee", "b@example.com"],
    ]],
    ['"a b"@example.com', [["", '"a b"@example.com']]],
    ['"a<b>"@example.com, c@[192.0.2.1]', [["", '"a<b>"@example.com'], ["", "c@[192.0.2.1]"]]],
    ["Team: a@example.com, B <b@example.com>;", [["", "a@example.com"], ["B", "b@example.com"]]],
    ["Undisclosed recipients:;", []],
    ["=?utf-8?q?J=C3=B6?= <j@example.com>", [["Jö", "j@example.com"]]],
    ["<@one,@two:u@dest.example>", [["", "u@dest.example"]]],
    ["A (x (nested) y) <a@example.com>", [["A", "a@example.com"]]],
    ["A <a@example.com", [["A", "a@example.com"]]],
    ['"never closed <a@example.com>', [["", '"never closed <a@example.com>"']]],
    ["", []],
    [", ,;", []],
  ])("of %s", (value, expected) => {
    expect(mailboxes(value).map((mailbox) => [mailbox.name, mailbox.address])).toEqual(expected);
  });

  test("never fail", () => {
    const odd = fc.array(fc.constantFrom(...'a@.<>"(),;:[]\\ ü'), { maxLength: 40 });
    fc.assert(
      fc.property(odd, (characters) => {
        expect(Array.isArray(mailboxes(characters.join("")))).toBe(true);
      }),
      { seed: 2, numRuns: 2000 },
    );
  });
});

describe("encoded words", () => {
  test.each([
    ["=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"],
    ["(=?ISO-8859-1?Q?a?= b)", "(a b)"],
    ["=?utf-8?b?4oI=?= =?UTF-8?B?rA==?=", "€"],
    ["=?utf-8*de?q?Gr=C3=BC=C3=9Fe?=", "Grüße"],
    ["=?iso-8859-1?q?=A1Hola=2C_se=F1or!?=", "¡Hola, señor!"],
    ["=?nonesuch?q?x?= y", "=?nonesuch?q?x?= y"],
    ["=?utf-8?b?!!!?=z", "z"],
    ["=?utf-8?q?bad=Zcode?=", "bad=Zcode"],
    ["=?gb2312?B?xOO6ww==?=", "你好"],
    ["no words =? here", "no words =? here"],
  ])("%s", (encoded, decoded) => {
    expect(decodeEncodedWords(encoded)).toBe(decoded);
  });

  test("decode to what was encoded, in words of at most 75 columns", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        fc.pre(!text.includes("=?"));
        const encoded = encodeWords(text);
        expect(decodeEncodedWords(encoded)).toBe(text.replace(/^\ufeff/, ""));
        if (encoded !== text) {
          for (const word of encoded.split(" ")) expect(word.length).toBeLessThanOrEqual(75);
        }
      }),
      { seed: 3, numRuns: 500 },
    );
  });
});

describe("content types", () => {
  test.each([
    ["Text/HTML; Charset=utf-8", "text/html", { charset: "utf-8" }],
    ['multipart/mixed; boundary="a;b\\"c"; x=1', "multipart/mixed", { boundary: 'a;b"c', x: "1" }],
    ["multipart/mixed (c (d)); boundary = (e) abc", "multipart/mixed", { boundary: "abc" }],
    ["multipart/mixed; boundary=a; boundary=b", "multipart/mixed", { boundary: "a" }],
  ])("%s", (value, type, parameters) => {
    const parsed = parseContentType(value);
    expect(`${parsed?.type}/${parsed?.subtype}`).toBe(type);
    expect(Object.fromEntries(parsed?.parameters ?? [])).toEqual(parameters);
  });

  test("that are none, and transfer encodings", () => {
    expect(parseContentType("text")).toBeUndefined();
    expect(transferEncoding(" 8Bit (really)")).toBe("8bit");
    expect(transferEncoding(undefined)).toBe("7bit");
  });
});
