import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { instantOf } from "./instant.ts";
import { decodePunycode, encodePunycode } from "./punycode.ts";
import {
  decodeUtf8Address,
  decodeXtext,
  encodeUtf8AddressUnitext,
  encodeUtf8AddressXtext,
  encodeXtext,
} from "./xtext.ts";

const runs = { seed: 20_261_124, numRuns: 1000 };
const text = fc.string({ unit: "grapheme-composite", minLength: 1, maxLength: 20 });

describe("xtext (RFC 3461 §4)", () => {
  test.each([
    ["plain!@text", "plain!@text"],
    ["a+b=c", "a+2Bb+3Dc"],
    ["a b", "a+20b"],
    ["ü", "+C3+BC"],
    ["\r\n", "+0D+0A"],
    ["", ""],
  ])("%j", (plain, encoded) => {
    expect(encodeXtext(plain)).toBe(encoded);
    expect(decodeXtext(encoded)).toBe(plain);
  });
  test.each(["+", "+2", "+2b", "+GG", "a b", "a=b", "ü", "+FF", "+C3"])("malformed: %j", (bad) => {
    expect(decodeXtext(bad)).toBe(undefined);
  });
  test("there and back", () => {
    fc.assert(fc.property(text, (plain) => decodeXtext(encodeXtext(plain)) === plain), runs);
  });
});

describe("UTF-8 addresses (RFC 6533 §3)", () => {
  test.each([
    ["ü@d.e", "\\x{FC}@d.e", "ü@d.e"],
    ["a+b=c\\d", "a\\x{2B}b\\x{3D}c\\x{5C}d", "a\\x{2B}b\\x{3D}c\\x{5C}d"],
    ["用 户", "\\x{7528}\\x{20}\\x{6237}", "用\\x{20}户"],
    ["😀", "\\x{1F600}", "😀"],
  ])("%j", (plain, xtext, unitext) => {
    expect(encodeUtf8AddressXtext(plain)).toBe(xtext);
    expect(encodeUtf8AddressUnitext(plain)).toBe(unitext);
    expect(decodeUtf8Address(xtext)).toBe(plain);
    expect(decodeUtf8Address(unitext)).toBe(plain);
  });
  test.each([
    "",
    "\\",
    "\\x",
    "\\x{}",
    "\\x{G0}",
    "\\x{fc}",
    "\\x{D800}",
    "\\x{110000}",
    "\\x{00}",
    "a b",
    "a+b",
  ])(
    "malformed: %j",
    (bad) => expect(decodeUtf8Address(bad)).toBe(undefined),
  );
  test("there and back", () => {
    fc.assert(
      fc.property(text, (plain) =>
        plain.includes("\0") ||
        (decodeUtf8Address(encodeUtf8AddressXtext(plain)) === plain &&
          decodeUtf8Address(encodeUtf8AddressUnitext(plain)) === plain)),
      runs,
    );
  });
});

describe("Punycode (RFC 3492)", () => {
  test.each([
    ["bücher", "bcher-kva"],
    ["münchen", "mnchen-3ya"],
    ["例え", "r8jz45g"],
    ["テスト", "zckzah"],
    ["почта", "80a1acny"],
    ["рф", "p1ai"],
    ["δοκιμή", "jxalpdlp"],
    ["ü", "tda"],
    ["他们为什么不说中文", "ihqwcrb4cv8a8dqg056pqjye"],
    ["3年b組金八先生", "3b-ww4c5e180e575a65lsy2b"],
    ["-> $1.00 <-", "-> $1.00 <--"],
  ])("%s", (label, encoded) => {
    expect(encodePunycode(label)).toBe(encoded);
    expect(decodePunycode(encoded)).toBe(label);
  });
  test.each(["!", "99999999", "a-ü", "zz"])("malformed: %j", (bad) => {
    expect(decodePunycode(bad) === undefined || encodePunycode(decodePunycode(bad)!) === bad)
      .toBe(true);
  });
  test("there and back", () => {
    fc.assert(
      fc.property(text, (label) => decodePunycode(encodePunycode(label)!) === label),
      runs,
    );
  });
  test("decoding never throws", () => {
    fc.assert(
      fc.property(fc.string(), (label) => {
        decodePunycode(label);
      }),
      runs,
    );
  });
});

describe("instants (RFC 3339)", () => {
  test.each([
    "1970-01-01T00:00:00Z",
    "2000-02-29T23:59:59Z",
    "2026-11-24T03:15:00+01:00",
    "2026-11-24T03:15:00.25-11:30",
    "1969-12-31T23:59:59Z",
    "2100-03-01T00:00:00z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
  ])("%s", (instant) => {
    expect(instantOf(instant)).toBe(Date.parse(instant.toUpperCase()) / 1000);
  });
  test.each([
    "",
    "2026-11-24",
    "2026-11-24T03:15Z",
    "2026-11-24 03:15:00Z",
    "2026-11-24T03:15:00",
    "2026-13-01T00:00:00Z",
    "2026-00-01T00:00:00Z",
    "2026-02-29T00:00:00Z",
    "2100-02-29T00:00:00Z",
    "2026-04-31T00:00:00Z",
    "2026-04-00T00:00:00Z",
    "2026-04-01T24:00:00Z",
    "2026-04-01T00:60:00Z",
    "2026-04-01T00:00:61Z",
    "2026-04-01T00:00:00+24:00",
  ])("malformed: %j", (bad) => expect(instantOf(bad)).toBe(undefined));
});
