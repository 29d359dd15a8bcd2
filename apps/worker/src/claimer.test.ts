import type { Claim } from "@postern/store";
import { expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Claimer } from "./claimer.ts";
import { HoldBack } from "./hold-back.ts";
import { testDelivering } from "./testing/delivering.ts";

test("while delivery holds back, what waits is claimed now and then; then all of it at once", async () => {
  let at = 0;
  const claims: (number | undefined)[] = [];
  const holdBack = new HoldBack({ now: () => at, processorTime: () => ({ idle: 0, all: at }) });
  const queue = {
    claim: ({ dueFor }: Claim) => {
      claims.push(dueFor);
      return Promise.resolve([]);
    },
    claimOverdue: () => Promise.resolve([]),
    untilNextDue: () => 1000,
  };
  const timeOfDay = () => {
    throw new Error("it may be set back");
  };
  const delivering = { ...testDelivering(), queue: queue as never, now: timeOfDay };
  const claimer = new Claimer(delivering, { id: 1 } as never, holdBack, () => at);
  while (!holdBack.wanted) {
    at += 10;
    holdBack.accepted(1);
  }

  const running = claimer.run();
  await eventually("it claims what has waited", () => claims.length > 0);
  for (let turn = 0; turn < 10; turn += 1) {
    claimer.wake();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(claims).toEqual([250]);
  at += 1000;
  claimer.wake();
  await eventually("it claims everything", () => claims.includes(0));
  claimer.stop();
  await running;
});
