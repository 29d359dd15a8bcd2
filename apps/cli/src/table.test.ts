import { expect, test } from "vitest";
import { factsOf, shown, sizeOf, tableOf, timeOf, widthOf } from "./table.ts";

const columns = [
  { title: "name", of: ({ name }: { name: string; n: number | null }) => name },
  { title: "n", of: ({ n }: { name: string; n: number | null }) => n, right: true },
];

test("columns align by what a terminal shows: wide, combining, missing", () => {
  const rows = [{ name: "日本", n: 5 }, { name: "é", n: 12_345 }, { name: "e\u0301", n: null }];
  expect(tableOf(rows, columns, undefined)).toBe(
    "NAME      N\n日本      5\né     12345\ne\u0301         -\n",
  );
  expect(["日本", "e\u0301", "🙂", "a\u200db"].map(widthOf)).toEqual([4, 1, 2, 2]);
});

test("a table fits its terminal; the widest columns give way", () => {
  const rows = [{ name: "x".repeat(100), n: 1 }, { name: "日".repeat(60), n: 2 }];
  const lines = tableOf(rows, columns, 40).trimEnd().split("\n");
  for (const line of lines.slice(1)) {
    expect(widthOf(line)).toBe(40);
    expect(line).toContain("…");
  }
});

test("what is of use only whole is not cut; what can be spared goes first", () => {
  const row = { id: "i".repeat(20), at: "t".repeat(12), from: "f".repeat(30), size: "999 kB" };
  const some = (Object.keys(row) as (keyof typeof row)[]).map((title) => ({
    title,
    of: (one: typeof row) => one[title],
    ...(title === "id" && { whole: true }),
    ...(title === "at" && { whole: true, spare: true }),
    ...(title === "size" && { spare: true }),
  }));
  const shownAt = (fit: number | undefined) => {
    const [head = "", line = ""] = tableOf([row], some, fit).split("\n");
    expect(widthOf(line)).toBeLessThanOrEqual(fit ?? Infinity);
    expect(line).toContain(row.id);
    return head.split(/ +/).join(" ");
  };
  expect(shownAt(undefined)).toBe("ID AT FROM SIZE");
  expect(shownAt(60)).toBe("ID AT FROM SIZE");
  expect(shownAt(50)).toBe("ID AT FROM");
  expect(shownAt(40)).toBe("ID FROM");
  // Where not even that has room, the terminal wraps; ids stay whole.
  expect(tableOf([row], some, 10)).toContain(row.id);
});

test("what mail brings cannot steer the terminal", () => {
  expect(shown("a\x1b[2Jb\r\nc\u202e")).toBe("a\\x1b[2Jb c\\x202e");
  expect(factsOf([["from", "x\x07"], ["none", null]])).toBe("from:  x\\x07\n");
});

test("sizes and times", () => {
  expect([0, 999, 1000, 52_428_800, 3e9].map(sizeOf))
    .toEqual(["0 B", "999 B", "1.0 kB", "52 MB", "3.0 GB"]);
  expect(timeOf("2026-01-31T12:00:00.123Z")).toBe("2026-01-31 12:00:00Z");
  expect(timeOf(null)).toBe(null);
});
