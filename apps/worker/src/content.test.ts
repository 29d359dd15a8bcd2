import type { ClaimedDelivery } from "@postern/store";
import { describe, expect, test } from "vitest";
import { type Content, editedContent, headerOf, inSevenBit, surveyOf } from "./content.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

async function read(content: Content): Promise<string> {
  let text = "";
  const decoder = new TextDecoder();
  for await (const piece of content.open()) text += decoder.decode(piece, { stream: true });
  return text + decoder.decode();
}

/** The same content at hand, and in the store in pieces of so many bytes. */
const ways = [undefined, 1, 7, 1000] as const;

function contentOf(text: string, pieceBytes: number | undefined, edits = [] as never[]) {
  const whole = bytes(text);
  const delivery = {
    messageId: "m",
    size: whole.length,
    content: pieceBytes === undefined ? whole : undefined,
  } as ClaimedDelivery;
  return editedContent(delivery, edits, {
    async *readContent() {
      for (let at = 0; at < whole.length; at += pieceBytes!) {
        yield whole.slice(at, at + pieceBytes!);
      }
    },
  });
}

const message = "Received: x\r\nSubject: a\r\n folded\r\nX-Spam: no\r\n\r\nBody: X-Spam: no\r\n";

describe.each(ways)("content in pieces of %s", (pieceBytes) => {
  test.each([
    [[], message],
    [[{ add: "X-A", value: "1" }], `X-A: 1\r\n${message}`],
    [
      [{ add: "X-A", value: "1" }, { add: "X-B", value: "grün" }],
      `X-A: 1\r\nX-B: =?UTF-8?B?Z3LDvG4=?=\r\n${message}`,
    ],
    [[{ remove: "subject" }], message.replace("Subject: a\r\n folded\r\n", "")],
    [
      [{ add: "X-Spam", value: "gone" }, { remove: "X-SPAM" }, { add: "X-Spam", value: "yes" }],
      `X-Spam: yes\r\n${message.replace("X-Spam: no\r\n", "")}`,
    ],
    [[{ remove: "absent" }], message],
  ])("is edited by %j", async (edits, expected) => {
    const content = await contentOf(message, pieceBytes, edits as never[]);
    const text = await read(content);
    expect(text.toLowerCase()).toBe(expected.toLowerCase());
    expect(content.size).toBe(bytes(text).length);
    expect(await read(content)).toBe(text);
  });

  test("without an empty line is all header, without anything is nothing", async () => {
    const edits = [{ remove: "A" }, { add: "C", value: "3" }] as never[];
    expect(await read(await contentOf("A: 1\r\nB: 2\r\n", pieceBytes, edits)))
      .toBe("C: 3\r\nB: 2\r\n");
    expect(await read(await contentOf("", pieceBytes, edits))).toBe("C: 3\r\n");
  });

  test("is known for what it is", async () => {
    expect((await surveyOf(await contentOf("A: b\r\n\r\nascii\r\n", pieceBytes))).encoding).toBe(
      "7bit",
    );
    expect((await surveyOf(await contentOf("A: b\r\n\r\nü\r\n", pieceBytes))).encoding).toBe(
      "8bit",
    );
    expect((await surveyOf(await contentOf("a\nb", pieceBytes))).encoding).toBe("binary");
    const reader = await headerOf(await contentOf(message, pieceBytes));
    expect(reader.header.get("subject")).toBe("a folded");
  });

  test("is converted to 7-bit, its size known beforehand", async () => {
    const eightBit =
      "Subject: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
      "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";
    const converted = await inSevenBit(await contentOf(eightBit, pieceBytes));
    if (!("content" in converted)) throw new Error(converted.failure);
    const text = await read(converted.content);
    expect(text).toContain(
      "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n",
    );
    expect(converted.content.size).toBe(text.length);
  });

  test.each(["multipart/signed", "multipart/encrypted"])(
    "that is %s is not touched, and so cannot go where only 7-bit goes",
    async (type) => {
      const signed = `Content-Type: ${type}; boundary=b\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n`;
      expect(await inSevenBit(await contentOf(signed, pieceBytes)))
        .toEqual({ failure: "partMustNotBeEncoded" });
      const plain = signed.replace("Grüße", "Gruss");
      const converted = await inSevenBit(await contentOf(plain, pieceBytes));
      expect("content" in converted && await read(converted.content)).toBe(plain);
    },
  );
});
