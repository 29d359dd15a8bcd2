import { describe, expect, test } from "vitest";
import { HoldBack, processorTime } from "./hold-back.ts";

/** A machine on which time passes as it is told. */
function machine({ most = 5000 } = {}) {
  let at = 0;
  let idle = 0;
  let begun = 0;
  const holdBack = new HoldBack({
    now: () => at,
    processorTime: () => ({ idle, all: 2 * at }),
    most: () => most,
    onBegin: () => begun += 1,
  });
  return {
    holdBack,
    begun: () => begun,
    /** So long, with so much of it idle and an announcement each so many milliseconds. */
    pass(milliseconds: number, { share = 0, every = 10 } = {}) {
      const pauses: number[] = [];
      for (let passed = 0; passed < milliseconds; passed += 10) {
        at += 10;
        idle += 20 * share;
        if (at % every === 0) holdBack.accepted();
        pauses.push(holdBack.pause());
      }
      return pauses;
    },
  };
}

describe("delivery holds back", () => {
  test("while much mail comes and processors are short, and at no other time", () => {
    const { holdBack, pass, begun } = machine();
    expect(pass(1000, { share: 0.5 }).some((pause) => pause > 0)).toBe(false);
    expect(begun()).toBe(0);
    pass(400, { share: 0.1 });
    expect(holdBack.pause()).toBe(50);
    expect(begun()).toBe(1);
    // Between the two bounds it stays as it is.
    pass(1000, { share: 0.25 });
    expect(holdBack.pause()).toBe(50);
    pass(400, { share: 0.4 });
    expect(holdBack.pause()).toBe(0);
    pass(1000, { share: 0.25 });
    expect(holdBack.pause()).toBe(0);
  });

  test("not for a little mail on a machine that does other work", () => {
    const { pass } = machine();
    expect(pass(5000, { every: 40 }).some((pause) => pause > 0)).toBe(false);
  });

  test("until nothing more comes", () => {
    const { holdBack, pass } = machine();
    pass(600);
    expect(holdBack.pause()).toBe(50);
    pass(60, { every: Infinity });
    expect(holdBack.pause()).toBe(0);
  });

  test("for so long at most, and then not before nothing was due", () => {
    const { holdBack, pass, begun } = machine({ most: 2000 });
    const held = pass(60_000).filter((pause) => pause > 0).length * 10;
    expect(held).toBeGreaterThan(1900);
    expect(held).toBeLessThanOrEqual(2000);
    expect(begun()).toBe(1);
    holdBack.nothingDue();
    expect(pass(10_000).filter((pause) => pause > 0).length * 10).toBeLessThanOrEqual(2000);
    expect(begun()).toBe(2);
  });

  test("that time goes on while there is room in between", () => {
    const { pass } = machine({ most: 2000 });
    let held = 0;
    for (let turn = 0; turn < 20; turn += 1) {
      held += pass(600).filter((pause) => pause > 0).length * 10;
      pass(600, { share: 0.5 });
    }
    expect(held).toBeLessThanOrEqual(2000);
  });

  test("never where that is so wished, or where nothing is known of the processors", () => {
    const { pass, begun } = machine({ most: 0 });
    expect(pass(5000).some((pause) => pause > 0)).toBe(false);
    expect(begun()).toBe(0);
    let at = 0;
    const blind = new HoldBack({
      now: () => at += 10,
      processorTime: () => undefined,
      most: () => 5000,
    });
    for (let turn = 0; turn < 500; turn += 1) {
      blind.accepted();
      expect(blind.pause()).toBe(0);
    }
  });
});

test("the processors of this machine are never idle for longer than time passes", async () => {
  const before = processorTime()!;
  await new Promise((resolve) => setTimeout(resolve, 50));
  const after = processorTime()!;
  expect(after.all).toBeGreaterThan(before.all);
  // The system counts in ticks.
  expect(after.idle - before.idle).toBeLessThanOrEqual(after.all - before.all + 100);
});
