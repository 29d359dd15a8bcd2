import { Header } from "@postern/message";
import { expect, test } from "vitest";
import { CheckedBody, checkedHeader } from "./checked-part.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

function checked(fields: string) {
  const { octets: kept, leftOut } = checkedHeader(new Header(octets(`${fields}\r\n`)));
  return { kept: text(kept), leftOut };
}

const signature = (tags = "", name = "DKIM-Signature") =>
  `${name}: v=1; a=rsa-sha256; c=relaxed/simple;${tags} d=b.test; h=From:To; b=AA\r\n`;
const others = "From: a@b.test\r\nSubject: folded\r\n more\r\n";
const nothing = { signatures: 0, arc: false, authors: false };

test("an honest header is handed over as it is", () => {
  const arc = signature(" i=1;", "ARC-Message-Signature");
  const fields = arc.repeat(3) + signature().repeat(10) + others;
  expect(checked(fields)).toEqual({ kept: `${fields}\r\n`, leftOut: nothing });
});

test("at most ten signatures, the first, are handed over, however their name is written", () => {
  const names = ["DKIM-Signature", "dkim-signature ", "DKIM-Signature\r\n "];
  const many = Array.from({ length: 30 }, (_, at) => signature(` n=${at};`, names[at % 3]));
  expect(checked(many.join("") + others)).toEqual({
    kept: `${many.slice(0, 10).join("")}${others}\r\n`,
    leftOut: { ...nothing, signatures: 20 },
  });
});

test("at most four ways to hash the body are asked for", () => {
  const many = [1, 2, 3, 4, 5, 1].map((length) => signature(` l=${length};`));
  expect(checked(many.join("") + others)).toEqual({
    kept: `${many.toSpliced(4, 1).join("")}${others}\r\n`,
    leftOut: { ...nothing, signatures: 1 },
  });
});

test.each([
  ["names too many fields", signature(` H=${"x:".repeat(200)};`)],
  ["is too long", signature(` n=${"x".repeat(9000)};`)],
])("a signature that %s is left out", (_, large) => {
  expect(checked(large + others))
    .toEqual({ kept: `${others}\r\n`, leftOut: { ...nothing, signatures: 1 } });
});

test("ARC fields and authors are handed over whole or not at all", () => {
  const arc = signature(" i=1;", "ARC-Message-Signature");
  expect(checked(arc.repeat(31) + others))
    .toEqual({ kept: `${others}\r\n`, leftOut: { ...nothing, arc: true } });
  expect(checked(`ARC-Authentication-Results: ${"x".repeat(66_000)}\r\n${arc}${others}`))
    .toEqual({ kept: `${others}\r\n`, leftOut: { ...nothing, arc: true } });
  expect(checked(`${"From: a@b.test\r\n".repeat(600)}To: c@d.test\r\n`))
    .toEqual({ kept: "To: c@d.test\r\n\r\n", leftOut: { ...nothing, authors: true } });
});

test("many folded lines are handed over unfolded", () => {
  expect(checked(`To: a,\r\n${" b,\r\n".repeat(2000)}Cc: c\r\n`).kept)
    .toBe(`To: a,${" b,".repeat(2000)}\r\nCc: c\r\n\r\n`);
});

test.each([
  ["one\r\n\r\ntwo", "one\r\n\r\ntwo"],
  ["one\r\ntwo\nthree\r\n", "one\r\n"],
  [`one\r\n${"x".repeat(65_534)}\r\n`, `one\r\n${"x".repeat(65_534)}\r\n`],
  [`one\r\n${"x".repeat(65_600)}\r\ntwo`, "one\r\n"],
])("a body is looked at while it is text of lines", (content, looked) => {
  const body = new CheckedBody();
  expect(text(body.take(octets(content)))).toBe(looked);
  for (const size of [1, 3]) {
    const cut = new CheckedBody();
    let taken = "";
    for (let at = 0; at < content.length; at += size) {
      taken += text(cut.take(octets(content.slice(at, at + size))));
    }
    // What of the line came before is with the check already.
    expect(taken.startsWith(looked)).toBe(true);
    expect(taken.length - looked.length).toBeLessThanOrEqual(looked === content ? 0 : 65_536);
  }
});
