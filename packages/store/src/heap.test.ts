import fc from "fast-check";
import { expect, test } from "vitest";
import { Heap } from "./heap.ts";

test("what comes out is in order, whatever goes in between", () => {
  fc.assert(
    fc.property(
      fc.array(fc.option(fc.integer({ min: 0, max: 50 }), { nil: "pop" as const })),
      (steps) => {
        const heap = new Heap<number>((key) => key);
        const model: number[] = [];
        for (const step of steps) {
          if (step === "pop") expect(heap.pop()).toBe(model.shift());
          else {
            heap.push(step);
            model.push(step);
            model.sort((a, b) => a - b);
          }
          expect([heap.size, heap.first]).toEqual([model.length, model[0]]);
        }
      },
    ),
    { seed: 17 },
  );
});

test("it can begin with many", () => {
  const heap = new Heap<{ at: number }>(({ at }) => at, [{ at: 3 }, { at: 1 }, { at: 2 }]);
  expect([heap.pop(), heap.pop(), heap.pop(), heap.pop()].map((one) => one?.at))
    .toEqual([1, 2, 3, undefined]);
});
