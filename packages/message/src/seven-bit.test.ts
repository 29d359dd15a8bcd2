import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { contents, pieces } from "./golden/mime-content.ts";
import { toSevenBit } from "./seven-bit.ts";
import type { SevenBitFailure } from "./seven-bit.ts";
import { ContentSurvey } from "./survey.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const latin1 = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

function convert(...chunks: Uint8Array[]): { text: string; failure: SevenBitFailure | undefined } {
  const converter = toSevenBit();
  const out = [...chunks.flatMap((chunk) => converter.push(chunk)), ...converter.end()];
  return { text: out.map(latin1).join(""), failure: converter.failure };
}

const converted = (content: string) => convert(octets(content)).text;
const failure = (content: string) => convert(octets(content)).failure;

describe("toSevenBit", () => {
  const golden = new URL("./golden/", import.meta.url);
  const names = readdirSync(golden).filter((name) => name.endsWith(".8bit.eml"));

  test.each(names)("converts golden/%s to its .7bit.eml", (name) => {
    const before = readFileSync(new URL(name, golden));
    const after = readFileSync(new URL(name.replace(".8bit.", ".7bit."), golden));
    expect(convert(before)).toEqual({ text: latin1(after), failure: undefined });
    expect(new ContentSurvey().push(after).end().encoding).toBe("7bit");
  });

  test.each([
    "Subject: x\r\n\r\nplain\r\n",
    "Subject: x\r\n\r\nno line end",
    "Subject: x\r\n",
    "",
    "\r\nbody\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n--b--\r\nepilogue",
    "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nA: 1\r\n\r\n 7bit \r\n\r\n--b--\r\n",
    "Content-Transfer-Encoding: base64\r\n\r\nAAECAw==\r\n",
    "Content-Type: message/partial; id=x; number=1\r\n\r\nSubject: y\r\n\r\nz\r\n",
  ])("passes 7bit content octet for octet: %j", (content) => {
    expect(converted(content)).toBe(content);
  });

  test("makes undeclared 8-bit text MIME, in the charset of RFC 1428", () => {
    expect(converted("Subject: x\r\n\r\nGrüße\r\n")).toBe(
      "Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" +
        "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n",
    );
  });

  test("keeps line ends that are data, blanks at line ends, and long lines", () => {
    const head = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n";
    const body = (text: string) => converted(head + text).split("\r\n\r\n")[1];
    expect(body("a \r\nb\t\r\n=c")).toBe("a=20\r\nb=09\r\n=3Dc");
    expect(body("a\nb\rc\r\r\n")).toBe("a=0Ab=0Dc=0D\r\n");
    expect(body("x".repeat(80))).toBe(`${"x".repeat(75)}=\r\n${"x".repeat(5)}`);
    expect(body("y ")).toBe("y=20");
  });

  test("lets no lone CR or LF and no NUL out, which some receiver takes for the end of the data", () => {
    const multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    expect(converted(`Subject: a\rb\0c\n.\r\nd: e\r\n\r\nx\r\n`))
      .toBe("Subject: a bc\r\n.\r\nd: e\r\n\r\nx\r\n");
    expect(converted(`${multipart}pre\n.\r\nMAIL\r.\r\0\n--b\n\nx\r\n--b--\n`)).toBe(
      `${multipart}pre\r\n.\r\nMAIL\r\n.\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n`,
    );
    expect(converted("Content-Transfer-Encoding: base64\r\n\r\nAA\n.\r\nEC\rAw==\r\n"))
      .toBe("Content-Transfer-Encoding: base64\r\n\r\nAA\r\n.\r\nEC\r\nAw==\r\n");
    const signed = "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\n";
    for (const lone of ["a\n.\r\n", "a\r.\r\n", "a\0\r\n", "\n", "a\r"]) {
      expect(failure(`${signed}${lone}`)).toBe("partMustNotBeEncoded");
    }
  });

  test("gives up content of very many parts, each of which costs far more than its octets", () => {
    const parts = (count: number) =>
      `Content-Type: multipart/mixed; boundary=b\r\n\r\n${"--b\r\n\r\n".repeat(count)}--b--\r\n`;
    expect(failure(parts(9_000))).toBeUndefined();
    expect(failure(parts(10_001))).toBe("tooManyParts");
  });

  test("lets no soft line break make a boundary", () => {
    const text = `${"x".repeat(75)}--b--\r\nü`;
    const out = converted(
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" +
        `Content-Transfer-Encoding: 8bit\r\n\r\n${text}\r\n--b--\r\n`,
    );
    expect(out).toContain("=\r\n=2D-b--\r\n=C3=BC\r\n--b--\r\n");
  });

  test("encodes a part declared 7bit that turns out not to be, or is too long to wait for", () => {
    const long = "x".repeat(70) + "\r\n";
    const late = `Subject: x\r\n\r\n${long.repeat(500)}ü\r\n`;
    expect(new ContentSurvey().push(octets(converted(late))).end().encoding).toBe("7bit");
    expect(converted(late)).toContain("quoted-printable");
    expect(converted(`Subject: x\r\n\r\n${long.repeat(900)}`)).not.toContain("quoted-printable");
    expect(converted(`Subject: x\r\n\r\n${long.repeat(1000)}`)).toContain("quoted-printable");
    expect(converted(`Subject: x\r\n\r\n${"x".repeat(999)}\r\n`)).toContain("quoted-printable");
  });

  test("repairs 8-bit octets where they mean nothing", () => {
    expect(converted("Content-Transfer-Encoding: base64\r\n\r\nAAüEC\r\n")).toContain(
      "\r\n\r\nAAEC",
    );
    expect(converted("Content-Transfer-Encoding: quoted-printable\r\n\r\nü=20\r\n"))
      .toContain("\r\n\r\n=C3=BC=20\r\n");
    expect(converted("Content-Type: multipart/mixed; boundary=b\r\n\r\nü\r\n--b--\r\nü"))
      .toBe("Content-Type: multipart/mixed; boundary=b\r\n\r\n??\r\n--b--\r\n??");
  });

  test.each<[string, SevenBitFailure]>([
    ["Subject: ü\r\n\r\nx\r\n", "eightBitHeader"],
    ["Subject: ü", "eightBitHeader"],
    [
      "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Description: ü\r\n\r\nx\r\n--b--",
      "eightBitHeader",
    ],
    ["Content-Type: message/partial; id=x\r\n\r\nü\r\n", "partMustNotBeEncoded"],
    ["Content-Type: multipart/mixed\r\n\r\nü\r\n", "partMustNotBeEncoded"],
    ["Content-Transfer-Encoding: x-uuencode\r\n\r\nü\r\n", "partMustNotBeEncoded"],
    ["X: ".padEnd(300_000, "x"), "headerTooLarge"],
    [
      Array.from(
        { length: 40 },
        (_, i) => `Content-Type: multipart/mixed; boundary=b${i}-\r\n\r\n--b${i}-\r\n`,
      ).join(""),
      "nestedTooDeep",
    ],
  ])("says why it cannot convert %#", (content, expected) => {
    expect(failure(content)).toBe(expected);
  });

  test("gives the same for any split, and it is 7bit", () => {
    fc.assert(
      fc.property(contents, fc.array(fc.nat(10_000), { maxLength: 12 }), (content, cuts) => {
        const whole = convert(content);
        expect(whole.failure).toBeUndefined();
        expect(convert(...pieces(content, cuts))).toEqual(whole);
        expect(convert(...Array.from(content, (octet) => Uint8Array.of(octet)))).toEqual(whole);
        expect(new ContentSurvey().push(octets(whole.text)).end().encoding).toBe("7bit");
      }),
      { seed: 6152, numRuns: 150 },
    );
  });

  test("never throws and never lets an 8-bit octet out, nor what is no line", () => {
    const parts = fc.constantFrom(
      "Content-Type: multipart/mixed; boundary=b\r\n",
      "Content-Type: message/rfc822\r\n",
      "Content-Type: image/png\r\n",
      "Content-Transfer-Encoding: 8bit\r\n",
      "Content-Transfer-Encoding: base64\r\n",
      "\r\n",
      "--b\r\n",
      "--b--\r\n",
      "\r",
      "\n",
      "\0",
      " ",
      "x",
      "ü",
      "-".repeat(5000),
    );
    const arbitrary = fc.array(parts, { maxLength: 30 }).map((all) => octets(all.join("")));
    fc.assert(
      fc.property(arbitrary, fc.array(fc.nat(10_000), { maxLength: 6 }), (content, cuts) => {
        const whole = convert(content);
        const split = convert(...pieces(content, cuts));
        expect(split.failure).toBe(whole.failure);
        if (whole.failure === undefined) expect(split.text).toBe(whole.text);
        // deno-lint-ignore no-control-regex
        expect(/^(?:[\x01-\x09\x0b\x0c\x0e-\x7f]|\r\n)*$/.test(whole.text)).toBe(true);
      }),
      { seed: 2046, numRuns: 1500 },
    );
  });

  test("holds little memory for a large part", () => {
    const converter = toSevenBit();
    const chunk = new Uint8Array(64 * 1024).fill(0xff);
    const header = "Content-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let length = 0;
    for (const out of converter.push(octets(header))) length += out.length;
    for (let i = 0; i < 64; i++) {
      const out = converter.push(chunk);
      expect(out.length).toBe(1);
      length += out[0]!.length;
    }
    expect(length).toBeGreaterThan(64 * chunk.length * 4 / 3);
  });
});
