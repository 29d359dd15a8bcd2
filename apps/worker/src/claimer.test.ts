import { expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Claimer } from "./claimer.ts";
import { HoldBack } from "./hold-back.ts";
import { testDelivering } from "./testing/delivering.ts";

test("nothing is claimed while delivery holds back, and all at once when it no longer does", async () => {
  let at = 0;
  let claims = 0;
  const holdBack = new HoldBack({
    now: () => at,
    processorTime: () => ({ idle: 0, all: at }),
    most: () => 5000,
  });
  const queue = {
    claim: () => {
      claims += 1;
      return Promise.resolve([]);
    },
    claimOverdue: () => Promise.resolve([]),
    untilNextDue: () => 1000,
  };
  const claimer = new Claimer(
    { ...testDelivering(), queue: queue as never },
    { id: 1 } as never,
    holdBack,
  );
  while (holdBack.pause() === 0) {
    at += 10;
    holdBack.accepted();
  }

  const running = claimer.run();
  for (let turn = 0; turn < 10; turn += 1) {
    claimer.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(claims).toBe(0);
  at += 1000;
  claimer.wake();
  await eventually("it claims again", () => claims > 0);
  claimer.stop();
  await running;
});
