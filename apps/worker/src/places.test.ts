import { expect, test } from "vitest";
import { Places } from "./places.ts";

let now = 0;

/** Takes as much as there is room for; answers how much that was. */
function fill(places: Places, id: number, waiting: number, failing = false): number {
  const count = Math.min(waiting, places.room(id, failing));
  for (let one = 0; one < count; one += 1) places.took(id);
  return count;
}

function finish(places: Places, id: number, end: "reached" | "failed" = "reached"): void {
  places.ended(id, end);
  places.left(id);
}

/** Makes a destination trusted. */
function deliver(places: Places, id: number): void {
  places.took(id);
  now += 100;
  finish(places, id);
}

const ids = (count: number, from = 0) => Array.from({ length: count }, (_, index) => from + index);

test("silent newcomers leave room for new ones and all of it for those that deliver", () => {
  const places = new Places(() => now);
  deliver(places, -1);
  for (const id of ids(300)) expect(fill(places, id, 20)).toBe(2);
  expect(places.room(-2)).toBe(2);
  expect(places.room(-1)).toBe(20);
  // Without an end to the number of them, new ones have to wait in the end, the others never.
  for (const id of ids(10_000, 300)) fill(places, id, 20);
  expect(places.inHand).toBe(1_000);
  expect([places.room(-2), places.room(-1)]).toEqual([0, 20]);
  expect(places.free).toBe(1_000);
});

test("destinations that fail, or were silent before, leave half of the places to new ones", () => {
  const places = new Places(() => now);
  for (const id of ids(1_000)) fill(places, id, 1, true);
  expect(places.inHand).toBe(500);
  expect([places.room(-1), places.room(0, true)]).toEqual([2, 0]);

  const others = new Places(() => now);
  for (const id of ids(250)) fill(others, id, 20);
  now += 5_000;
  expect(others.sweep()).toEqual([]);
  others.left(0);
  others.left(1);
  expect([others.room(-1), others.room(0)]).toEqual([2, 1]);
  fill(others, 0, 1);
  fill(others, 1, 1);
  others.left(0);
  others.took(-1);
  expect([others.room(-1), others.room(0)]).toEqual([1, 0]);
});

test("ten thousand destinations with one message each have a thousand in hand at a time", () => {
  const places = new Places(() => now);
  const waiting = ids(10_000);
  for (let round = 0; waiting.length > 0; round += 1) {
    expect(round).toBeLessThan(15);
    const taken: number[] = [];
    for (const id of waiting.splice(0, 1_000)) {
      if (fill(places, id, 1) === 1) taken.push(id);
      else waiting.push(id);
    }
    for (const id of taken) finish(places, id);
  }
  expect(places.inHand).toBe(0);
});

test("of what is free for those that deliver, one gets a quarter, by its pace", () => {
  const places = new Places(() => now);
  deliver(places, 0);
  for (let round = 0; round < 50; round += 1) {
    const count = fill(places, 0, 10_000);
    for (let one = 0; one < count; one += 1) {
      now += 0.5;
      finish(places, 0);
    }
  }
  expect(fill(places, 0, 10_000)).toBe(250);
  for (const id of ids(20, 1)) {
    deliver(places, id);
    fill(places, id, 20);
  }
  deliver(places, -1);
  expect(places.room(-1)).toBe(20);
});

test("what goes silent leaves its places to others, and has them back when it delivers", () => {
  const places = new Places(() => now);
  for (const id of ids(100)) deliver(places, id);
  const busy = ids(100).filter((id) => fill(places, id, 20) > 0);
  expect(places.inHand).toBe(1_000);
  places.left(0);
  deliver(places, -1);
  expect(places.room(-1)).toBe(1);
  now += 5_000;
  expect(places.sweep()).toEqual(busy);
  now += 500;
  expect(places.sweep()).toEqual([]);
  expect(places.room(-1)).toBe(20);
  expect(places.free).toBe(1_001);

  for (let left = 0; left < 14; left += 1) finish(places, 0);
  expect(places.room(0)).toBe(15);
  finish(places, 1, "failed");
  expect(places.room(1)).toBe(0);
});

test("trust outlasts what is in hand, and ends", () => {
  const places = new Places(() => now);
  deliver(places, 1);
  places.forget(1);
  for (const id of ids(10_000, 2)) fill(places, id, 2);
  expect(places.room(1)).toBe(2);
  now += 300_000;
  places.sweep();
  expect(places.room(1)).toBe(0);
});
