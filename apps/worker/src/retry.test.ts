import { defaultRetrySchedule } from "@postern/config";
import { describe, expect, test } from "vitest";
import { nextAttempt, scheduleOf } from "./retry.ts";

const schedule = { delays: [10, 20, 40], lifetime: 100 };
const at = (seconds: number) => new Date(seconds * 1000);

const next = (
  attempts: number,
  now: number,
  more: Partial<Parameters<typeof nextAttempt>[1]> = {},
) => {
  const given = { attempts, lifetimeFrom: at(0), now: at(now), random: () => 0, ...more };
  const time = nextAttempt(schedule, given);
  return time === undefined ? "never" : time.getTime() / 1000;
};

test.each([
  [1, 0, 10],
  [2, 10, 30],
  [3, 30, 70],
  [4, 30, 70],
  [9, 60, 100],
  [9, 61, 100],
  [9, 99, 100],
  [9, 99.5, "never"],
  [9, 100, "never"],
  [9, 110, "never"],
])("after attempt %i at %i s the next is at %s", (attempts, now, expected) => {
  expect(next(attempts, now)).toBe(expected);
});

test("up to a tenth is added by chance", () => {
  expect(next(3, 0, { random: () => 0.5 })).toBe(42);
});

test("a delay that is longer than the lifetime ends with it", () => {
  expect(nextAttempt({ delays: [3600], lifetime: 60 }, {
    attempts: 1,
    lifetimeFrom: at(0),
    now: at(1),
    random: () => 0,
  })).toEqual(at(60));
});

test("a pause moves the end of the lifetime", () => {
  expect(next(9, 61, { lifetimeFrom: at(50) })).toBe(101);
});

describe("a next hop that asks for patience", () => {
  test("is not tried before", () => expect(next(1, 0, { notBefore: at(50) })).toBe(50));
  test("cannot ask for less than the schedule", () => {
    expect(next(1, 0, { notBefore: at(5) })).toBe(10);
  });
  test("cannot ask for more than the lifetime", () => {
    expect(next(1, 0, { notBefore: at(5000) })).toBe(100);
  });
});

describe("a time to deliver by", () => {
  test("that comes first is acted on", () => expect(next(3, 0, { deliverBy: at(15) })).toBe(15));
  test("that is later does nothing", () => expect(next(1, 0, { deliverBy: at(15) })).toBe(10));
  test("that has passed does nothing", () => {
    expect(next(3, 20, { deliverBy: at(15) })).toBe(60);
  });
});

test("a relay without a schedule has the default one", () => {
  expect(scheduleOf(undefined)).toBe(defaultRetrySchedule);
  expect(scheduleOf({ kind: "capture" })).toBe(defaultRetrySchedule);
});
