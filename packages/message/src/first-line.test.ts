import { expect, test } from "vitest";
import { beforeContent } from "./first-line.ts";

const before = (text: string) => beforeContent(new TextEncoder().encode(text));

test.each([
  ["Subject: x\r\n", ""],
  ["Subject \t: x\r\n", ""],
  ["From : a@b.test\r\n", ""],
  ["\r\nbody", ""],
  [" folded\r\n", "\r\n"],
  ["\tfolded: x\r\n", "\r\n"],
  ["no field\r\nsecond: line", "\r\n"],
  [": no name", "\r\n"],
  ["\rx", "\r\n"],
  ["n\u00e4me: x", "\r\n"],
  ["x".repeat(1000), "\r\n"],
  ["From a@b.test Mon Jan  1 00:00:00 2001\r\n", "X-Mailbox-Line: "],
  [">From a@b.test Mon Jan  1 00:00:00 2001\r\n", "X-Mailbox-Line: "],
  ["", undefined],
  ["Sub", undefined],
  ["From ", undefined],
  ["\r", undefined],
])("before content that begins with %j goes %j", (start, expected) => {
  expect(before(start)).toBe(expected);
});
