import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { IdleClock, type IdleWatch } from "./idle-clock.ts";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

test("a limit that runs out is told once, late by a tick at most and never early", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  // The clock goes already, so that the watch begins in the midst of a tick.
  clock.watch(() => {});
  vi.advanceTimersByTime(200);
  clock.watch(told).limit(10);
  vi.advanceTimersByTime(10_000);
  expect(told).not.toHaveBeenCalled();
  vi.advanceTimersByTime(250);
  expect(told).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(60_000);
  expect(told).toHaveBeenCalledTimes(1);
});

test("what happens meanwhile puts it off", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  const watch = clock.watch(told);
  watch.limit(10);
  vi.advanceTimersByTime(9_000);
  watch.touch();
  vi.advanceTimersByTime(9_000);
  expect(told).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_500);
  expect(told).toHaveBeenCalledTimes(1);
  watch.touch();
  vi.advanceTimersByTime(10_500);
  expect(told).toHaveBeenCalledTimes(2);
});

test("a credit puts it off by so much, and never beyond counting anew", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  const watch = clock.watch(told);
  watch.limit(10);
  vi.advanceTimersByTime(8_000);
  watch.credit(3);
  vi.advanceTimersByTime(4_500);
  expect(told).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1_000);
  expect(told).toHaveBeenCalledTimes(1);
  watch.credit(1_000);
  vi.advanceTimersByTime(9_500);
  expect(told).toHaveBeenCalledTimes(1);
  vi.advanceTimersByTime(1_000);
  expect(told).toHaveBeenCalledTimes(2);
});

test("another limit counts anew; without one, no time is too long", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  const watch = clock.watch(told);
  vi.advanceTimersByTime(3_600_000);
  watch.limit(10);
  vi.advanceTimersByTime(9_000);
  watch.limit(300);
  vi.advanceTimersByTime(299_000);
  watch.limit(Infinity);
  vi.advanceTimersByTime(3_600_000);
  expect(told).not.toHaveBeenCalled();
});

test("one that ended is told nothing, and when none is left there is no timer", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  const watch = clock.watch(told);
  watch.limit(1);
  watch.end();
  vi.advanceTimersByTime(5_000);
  expect(told).not.toHaveBeenCalled();
  expect(vi.getTimerCount()).toBe(0);
  clock.watch(told).limit(1);
  vi.advanceTimersByTime(1_500);
  expect(told).toHaveBeenCalledTimes(1);
});

test("one may end another when it is told", () => {
  const clock = new IdleClock();
  const told = vi.fn();
  const endOther = (other: () => IdleWatch) => () => {
    told();
    other().end();
  };
  const first: IdleWatch = clock.watch(endOther(() => second));
  const second: IdleWatch = clock.watch(endOther(() => first));
  first.limit(1);
  second.limit(1);
  vi.advanceTimersByTime(5_000);
  expect(told).toHaveBeenCalledTimes(1);
});
