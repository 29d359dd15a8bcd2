import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatField, Header } from "./header.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const MESSAGE = "Received: from a by b\r\n\tid 1; Tue, 24 Nov 2026 00:00:00 +0000\r\n" +
  "received:by c\r\nSubject : =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?q?_an_alle?=\r\n" +
  "Message-ID:\r\n <abc@example.com> \r\nFrom: A <a@example.com>, b@example.com\r\n" +
  "Date: Tue, 24 Nov 2026 01:00:00 +0100\r\nX-Empty:\r\nReceived-SPF: pass\r\n\r\nSubject: body\r\n";

describe("Header", () => {
  const header = new Header(octets(MESSAGE));

  test("keeps every field with its octets, in order", () => {
    expect(header.fields.map((field) => field.name)).toEqual([
      "Received",
      "received",
      "Subject",
      "Message-ID",
      "From",
      "Date",
      "X-Empty",
      "Received-SPF",
    ]);
    expect(header.fields.map((field) => text(field.raw)).join("")).toBe(text(header.octets));
    expect(MESSAGE.startsWith(text(header.octets) + "\r\n")).toBe(true);
  });

  test("finds fields in any case, with blanks before the colon, and unfolds them", () => {
    expect(header.count("RECEIVED")).toBe(2);
    expect(header.get("received")).toBe("from a by b\tid 1; Tue, 24 Nov 2026 00:00:00 +0000");
    expect(header.getAll("Received")[1]).toBe("by c");
    expect(header.get("subject")).toBe("=?utf-8?q?Gr=C3=BC=C3=9Fe?= =?utf-8?q?_an_alle?=");
    expect(header.get("x-empty")).toBe("");
    expect(header.get("spf")).toBeUndefined();
    expect(header.get("")).toBeUndefined();
  });

  test("reads the values a gateway asks for", () => {
    expect(header.messageId).toBe("abc@example.com");
    expect(header.subject).toBe("Grüße an alle");
    expect(header.date?.toISOString()).toBe("2026-11-24T00:00:00.000Z");
    expect(header.from.map((mailbox) => mailbox.address)).toEqual([
      "a@example.com",
      "b@example.com",
    ]);
  });

  test("keeps lines that are no fields, without a name", () => {
    const odd = new Header(octets("From someone at some time\r\nbad name: x\r\nTo: a\r\n"));
    expect(odd.fields.map((field) => field.name)).toEqual(["", "", "To"]);
    expect(odd.fields[0]!.value).toBe("From someone at some time");
    expect(odd.get("to")).toBe("a");
  });

  test("has none in content that begins with the empty line, or in none at all", () => {
    expect(new Header(octets("\r\nTo: a\r\n")).fields).toEqual([]);
    expect(new Header(octets("")).get("to")).toBeUndefined();
    expect(new Header(octets("Message-ID: <>\r\n")).messageId).toBeUndefined();
    expect(new Header(octets("Message-ID: bare@id\r\n")).messageId).toBe("bare@id");
  });

  test("shows UTF-8 and Latin-1 values", () => {
    expect(new Header(octets("Subject: Grüße\r\n")).subject).toBe("Grüße");
    const latin1 = Uint8Array.from("Subject: Gr\u00fc\u00dfe\r\n", (c) => c.charCodeAt(0));
    expect(new Header(latin1).subject).toBe("Grüße");
  });

  test("is edited without touching the fields that stay", () => {
    const edited = header.edit({
      prepend: [octets("A: 1\r\n")],
      remove: ["Received", "from"],
      append: [octets("Z: 2\r\n")],
    });
    const names = new Header(edited).fields.map((field) => field.name);
    expect(names).toEqual(["A", "Subject", "Message-ID", "Date", "X-Empty", "Received-SPF", "Z"]);
    expect(header.edit({})).toEqual(header.octets);
  });

  test("takes linear time on a header of many colonless lines", () => {
    expect(new Header(octets("x\r\n".repeat(80_000))).fields.length).toBe(80_000);
  });
});

describe("formatField", () => {
  test("lets no value begin another field", () => {
    const bytes = formatField("X-Note", "a\r\nBcc: b@example.com\r\n\r\nbody\0");
    expect(text(bytes)).toBe("X-Note: a Bcc: b@example.com body\r\n");
  });

  test("refuses what is no field name", () => {
    for (const name of ["", "a b", "a:b", "a\r\nb", "ä"]) {
      expect(() => formatField(name, "x")).toThrow(TypeError);
    }
  });

  test("folds to 78 columns, and unfolds to what it was", () => {
    const word = fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 })
      .map((s) => s.replace(/[\s\p{Cc}\u{FEFF}]/gu, "x"));
    const value = fc.array(word, { minLength: 1, maxLength: 40 }).map((words) => words.join(" "));
    fc.assert(
      fc.property(value, (value) => {
        const bytes = formatField("X-Test", value);
        expect(new Header(bytes).fields.length).toBe(1);
        expect(new Header(bytes).get("x-test")).toBe(value);
        const lines = text(bytes).split("\r\n");
        for (const line of lines.filter((line) => line.trim().includes(" "))) {
          expect(line.length).toBeLessThanOrEqual(78);
        }
      }),
      { seed: 5322, numRuns: 300 },
    );
  });

  test("never makes a line over 998 octets", () => {
    for (const letter of ["x", "ü", "語", "😀"]) {
      const bytes = formatField("X-Long", `${letter.repeat(700)} ${letter.repeat(5000)}`);
      const lines = text(bytes).split("\r\n").map((line) => octets(line).length);
      expect(Math.max(...lines)).toBeLessThanOrEqual(998);
      expect(new Header(bytes).get("x-long")?.replaceAll(" ", "")).toBe(letter.repeat(5700));
    }
  });
});
