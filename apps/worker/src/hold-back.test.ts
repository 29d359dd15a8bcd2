import { describe, expect, test } from "vitest";
import { HoldBack, processorTime } from "./hold-back.ts";

/** A machine on which time passes as it is told. */
function machine() {
  let at = 0;
  let idle = 0;
  const holdBack = new HoldBack({ now: () => at, processorTime: () => ({ idle, all: 2 * at }) });
  /** So long, with so much of it idle, and so many messages each so many milliseconds. */
  const pass = (milliseconds: number, { share = 0, every = 20, messages = 3 } = {}) => {
    const wanted: boolean[] = [];
    for (let passed = 0; passed < milliseconds; passed += 10) {
      at += 10;
      idle += 20 * share;
      if (at % every === 0) holdBack.accepted(messages);
      wanted.push(holdBack.wanted);
    }
    return wanted;
  };
  return { holdBack, pass };
}

describe("delivery should hold back", () => {
  test("while much mail comes and processors are short, and at no other time", () => {
    const { holdBack, pass } = machine();
    expect(pass(1000, { share: 0.5 })).not.toContain(true);
    pass(400, { share: 0.1 });
    expect(holdBack.wanted).toBe(true);
    // Between the two bounds it stays as it is.
    expect(pass(1000, { share: 0.25 })).not.toContain(false);
    pass(400, { share: 0.4 });
    expect(holdBack.wanted).toBe(false);
    expect(pass(1000, { share: 0.25 })).not.toContain(true);
  });

  test("not for a little mail on a machine that does other work", () => {
    expect(machine().pass(5000, { messages: 1 })).not.toContain(true);
    expect(machine().pass(5000, { every: 200, messages: 15 })).not.toContain(true);
  });

  test("until nothing more comes", () => {
    const { holdBack, pass } = machine();
    pass(600);
    expect(holdBack.wanted).toBe(true);
    // Processors that are short make ingresses late with what they tell.
    expect(pass(80, { every: Infinity })).not.toContain(false);
    pass(20, { every: Infinity });
    expect(holdBack.wanted).toBe(false);
  });

  test("not by what processors did long ago", () => {
    const { pass } = machine();
    pass(200);
    pass(10_000, { every: Infinity });
    expect(pass(100)).not.toContain(true);
  });

  test("never where nothing is known of the processors", () => {
    let at = 0;
    const blind = new HoldBack({ now: () => at += 10, processorTime: () => undefined });
    for (let turn = 0; turn < 500; turn += 1) {
      blind.accepted(100);
      expect(blind.wanted).toBe(false);
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
