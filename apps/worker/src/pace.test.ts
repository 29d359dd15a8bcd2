import { expect, test } from "vitest";
import { Pace } from "./pace.ts";

test("a fast destination has more in hand, a slow one no more than the first guess", () => {
  let now = 0;
  const pace = new Pace(() => now);
  expect(pace.room).toBe(20);
  for (let round = 0; round < 50; round += 1) {
    const room = pace.room;
    for (let one = 0; one < room; one += 1) pace.took();
    for (let one = 0; one < room; one += 1) {
      now += 0.5;
      pace.finished();
    }
  }
  expect(pace.room).toBe(250);

  // It slows down: 10 s for each.
  for (let round = 0; round < 20; round += 1) {
    pace.took();
    now += 10_000;
    pace.finished();
  }
  expect(pace.room).toBe(20);
});

test("nothing is asked for until half of what is in hand is done", () => {
  const pace = new Pace(() => 0);
  for (let one = 0; one < 20; one += 1) pace.took();
  for (let one = 0; one < 9; one += 1) pace.finished();
  expect(pace.room).toBe(0);
  pace.finished();
  expect(pace.room).toBe(10);
});

test("a fast destination that goes silent is worth no more than the first guess", () => {
  let now = 0;
  const pace = new Pace(() => now);
  for (let one = 0; one < 2_000; one += 1) {
    pace.took();
    pace.took();
    now += 1;
    pace.finished();
    pace.finished();
  }
  expect(pace.room).toBe(250);
  for (let one = 0; one < 15; one += 1) pace.took();
  expect(pace.room).toBe(235);
  now += 2_000;
  expect(pace.room).toBe(0);
});
