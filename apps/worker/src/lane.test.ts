import type { DeliveryOutcome } from "@postern/store";
import { expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Lane } from "./lane.ts";
import { deliveryOf, testDelivering } from "./testing/delivering.ts";

test("when the destination has failed, what has not begun goes back to the queue", async () => {
  const recorded: DeliveryOutcome[] = [];
  const released: string[] = [];
  const ends: string[] = [];
  let left = 0;
  const delivering = {
    ...testDelivering(),
    recorder: {
      record: async (_: number, outcome: DeliveryOutcome) => {
        await new Promise((resolve) => setImmediate(resolve));
        recorded.push(outcome);
      },
    },
    queue: {
      release: (_: number, given: readonly { readonly messageId: string }[]) => {
        // Not before the books say that the destination fails.
        expect(recorded.length).toBeGreaterThan(0);
        return Promise.resolve(released.push(...given.map(({ messageId }) => messageId)));
      },
    },
  } as never;
  const lane = new Lane(delivering, { ended: (end) => ends.push(end), left: () => left += 1 });
  // Its relay is not configured.
  for (let one = 0; one < 30; one += 1) {
    lane.add(deliveryOf(["a@x.test"], { messageId: `${one}` }), 1);
  }
  lane.add(deliveryOf(["a@x.test"], { messageId: "late", overdue: "lifetime" }), 1);
  await eventually("nothing is in hand any more", () => left === 31 && lane.isIdle);
  expect(released).toEqual(Array.from({ length: 10 }, (_, index) => `${20 + index}`));
  expect(recorded.length).toBe(21);
  expect(ends.filter((end) => end === "failed").length).toBe(20);
  expect(ends.filter((end) => end === "untried").length).toBe(1);
});
