import { expect, test } from "vitest";
import { DueLines } from "./due-lines.ts";

const always = () => true;

test("destinations take turns; a line is looked at when it is due, the highest priority first", () => {
  const lines = new DueLines();
  for (const destination of [1, 2, 3]) lines.hear({ destination, priority: 0 }, 10);
  lines.hear({ destination: 2, priority: 5 }, 10);
  expect(lines.next(always)).toBe(10);
  expect(lines.take(9, 10, always)).toEqual([]);
  expect(lines.take(10, 2, always)).toEqual([
    { destination: 1, priorities: [0] },
    { destination: 2, priorities: [5, 0] },
  ]);
  lines.hear({ destination: 1, priority: 0 }, 11);
  lines.hear({ destination: 2, priority: 0 }, 11);
  expect(lines.take(11, 2, always).map(({ destination }) => destination)).toEqual([3, 1]);
});

test("what is heard while a line is looked at stands", () => {
  const lines = new DueLines();
  const line = { destination: 1, priority: 0 };
  lines.hear(line, 0);
  lines.take(1, 1, always);
  lines.hear(line, 2);
  lines.hear(line, 500);
  expect(lines.next(always)).toBe(2);
});

test("a destination that is not wanted keeps its turn", () => {
  const lines = new DueLines();
  lines.hear({ destination: 1, priority: 0 }, 0);
  lines.hear({ destination: 2, priority: 0 }, 0);
  expect(lines.take(1, 1, (id) => id !== 1).map(({ destination }) => destination)).toEqual([2]);
  lines.hear({ destination: 2, priority: 0 }, 1);
  expect(lines.next((id) => id !== 1)).toBe(1);
  expect(lines.take(1, 2, always).map(({ destination }) => destination)).toEqual([1, 2]);
  lines.forgetEmpty();
  expect(lines.next(always)).toBe(Infinity);
});

test("a destination that is kept is looked at later, all of it and the highest first", () => {
  const lines = new DueLines();
  lines.hear({ destination: 1, priority: 4 }, 0);
  lines.keep(1, 200);
  lines.hear({ destination: 1, priority: 0 }, 100);
  lines.hear({ destination: 2, priority: 0 }, 100);
  expect(lines.next(always)).toBe(100);
  expect(lines.take(100, 10, always)).toEqual([{ destination: 2, priorities: [0] }]);
  expect(lines.next(always)).toBe(200);
  expect(lines.take(200, 10, always)).toEqual([{ destination: 1, priorities: [4, 0] }]);
  lines.hear({ destination: 1, priority: 0 }, 300);
  lines.keep(1, 500);
  lines.hurry(1, 300);
  expect(lines.take(300, 10, always)).toEqual([{ destination: 1, priorities: [4, 0] }]);
});
