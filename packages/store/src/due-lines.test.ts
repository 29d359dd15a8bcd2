import fc from "fast-check";
import { expect, test } from "vitest";
import { DueLines } from "./due-lines.ts";

const always = () => true;

test("destinations take turns; a line is looked at when it is due, the highest priority first", () => {
  const lines = new DueLines();
  for (const destination of [1, 2, 3]) lines.hear({ destination, priority: 0 }, 10);
  lines.hear({ destination: 2, priority: 5 }, 10);
  expect(lines.next(always)).toBe(10);
  expect(lines.take(9, 10, always)).toEqual([]);
  expect(lines.take(10, 2, always)).toEqual([
    { destination: 1, priorities: [0] },
    { destination: 2, priorities: [5, 0] },
  ]);
  lines.hear({ destination: 1, priority: 0 }, 11);
  lines.hear({ destination: 2, priority: 0 }, 11);
  expect(lines.take(11, 2, always).map(({ destination }) => destination)).toEqual([3, 1]);
});

test("what is heard while a line is looked at stands", () => {
  const lines = new DueLines();
  const line = { destination: 1, priority: 0 };
  lines.hear(line, 0);
  lines.take(1, 1, always);
  lines.hear(line, 2);
  lines.hear(line, 500);
  expect(lines.next(always)).toBe(2);
});

test("a destination that is not wanted keeps its turn", () => {
  const lines = new DueLines();
  lines.hear({ destination: 1, priority: 0 }, 0);
  lines.hear({ destination: 2, priority: 0 }, 0);
  expect(lines.take(1, 1, (id) => id !== 1).map(({ destination }) => destination)).toEqual([2]);
  lines.hear({ destination: 2, priority: 0 }, 1);
  expect(lines.next((id) => id !== 1)).toBe(1);
  expect(lines.take(1, 2, always).map(({ destination }) => destination)).toEqual([1, 2]);
  lines.forgetEmpty();
  expect(lines.next(always)).toBe(Infinity);
});

test("a destination that is kept is looked at later, all of it and the highest first", () => {
  const lines = new DueLines();
  lines.hear({ destination: 1, priority: 4 }, 0);
  lines.keep(1, 200);
  lines.hear({ destination: 1, priority: 0 }, 100);
  lines.hear({ destination: 2, priority: 0 }, 100);
  expect(lines.next(always)).toBe(100);
  expect(lines.take(100, 10, always)).toEqual([{ destination: 2, priorities: [0] }]);
  expect(lines.next(always)).toBe(200);
  expect(lines.take(200, 10, always)).toEqual([{ destination: 1, priorities: [4, 0] }]);
  lines.hear({ destination: 1, priority: 0 }, 300);
  lines.keep(1, 500);
  lines.hurry(1, 300);
  expect(lines.take(300, 10, always)).toEqual([{ destination: 1, priorities: [4, 0] }]);
});

test("what was kept is looked at again when why is forgotten, and not before its time", () => {
  const lines = new DueLines();
  lines.hear({ destination: 1, priority: 0 }, 10);
  lines.keep(1, 1000);
  lines.hear({ destination: 2, priority: 0 }, 50);
  lines.keep(2, 1000);
  expect(lines.take(20, 10, always)).toEqual([]);
  lines.forgetKept();
  expect(lines.next(always)).toBe(10);
  expect(lines.take(20, 10, always)).toEqual([{ destination: 1, priorities: [0] }]);
  expect(lines.next(always)).toBe(50);
});

/** What {@link DueLines} does, by going through all that is known. */
class Plain {
  #turn = 0;
  readonly #known = new Map<number, { lines: Map<number, number>; turn: number; kept: number }>();

  hear({ destination, priority }: { destination: number; priority: number }, at: number): void {
    const known = this.#known.get(destination) ??
      { lines: new Map<number, number>(), turn: this.#turn++, kept: -Infinity };
    this.#known.set(destination, known);
    known.lines.set(priority, Math.min(known.lines.get(priority) ?? Infinity, at));
  }

  take(now: number, most: number, wanted: (destination: number) => boolean) {
    return [...this.#known]
      .filter(([id, { lines, kept }]) =>
        kept <= now && Math.min(...lines.values()) <= now && wanted(id)
      )
      .sort(([, one], [, other]) => one.turn - other.turn)
      .slice(0, most)
      .map(([destination, known]) => {
        const priorities = [...known.lines].filter(([, at]) => at <= now).map(([one]) => one);
        for (const priority of priorities) known.lines.set(priority, Infinity);
        Object.assign(known, { turn: this.#turn++, kept: -Infinity });
        return { destination, priorities: priorities.sort((a, b) => b - a) };
      });
  }

  keep(destination: number, until: number): void {
    const known = this.#known.get(destination);
    if (known !== undefined) known.kept = until;
  }

  hurry(destination: number, at: number): void {
    this.keep(destination, -Infinity);
    const lines = this.#known.get(destination)?.lines ?? new Map<number, number>();
    for (const [priority, before] of lines) lines.set(priority, Math.min(before, at));
  }

  forgetKept(): void {
    for (const known of this.#known.values()) known.kept = -Infinity;
  }

  forgetEmpty(): void {
    for (const [id, { lines }] of this.#known) {
      for (const [priority, at] of lines) if (at === Infinity) lines.delete(priority);
      if (lines.size === 0) this.#known.delete(id);
    }
  }

  get next(): number {
    const times = [...this.#known.values()].map(({ lines, kept }) =>
      Math.max(kept, Math.min(...lines.values()))
    );
    return Math.min(Infinity, ...times);
  }
}

test("whatever happens, turns and times are those of a walk through all that is known", () => {
  const destination = fc.integer({ min: 0, max: 9 });
  const priority = fc.integer({ min: 0, max: 2 });
  const later = fc.integer({ min: -20, max: 100 });
  const step = fc.oneof(
    fc.record({ hear: fc.record({ destination, priority }), in: later }),
    fc.record({ take: fc.integer({ min: 1, max: 4 }), unwanted: fc.array(destination) }),
    fc.record({ keep: destination, in: later }),
    fc.record({ hurry: destination }),
    fc.constantFrom("forgetKept" as const, "forgetEmpty" as const),
  );
  fc.assert(
    fc.property(fc.array(step, { minLength: 20, maxLength: 200 }), (steps) => {
      const [lines, plain] = [new DueLines(), new Plain()];
      steps.forEach((step, index) => {
        const now = 10 * index;
        if (typeof step === "string") { for (const one of [lines, plain]) one[step](); }
        else if ("hear" in step) {
          for (const one of [lines, plain]) one.hear(step.hear, now + step.in);
        } else if ("keep" in step) {
          for (const one of [lines, plain]) one.keep(step.keep, now + step.in);
        } else if ("hurry" in step) {
          for (const one of [lines, plain]) one.hurry(step.hurry, now);
        } else {
          const wanted = (id: number) => !step.unwanted.includes(id);
          expect(lines.take(now, step.take, wanted)).toEqual(plain.take(now, step.take, wanted));
        }
        expect(Math.max(now, lines.next(always))).toBe(Math.max(now, plain.next));
      });
    }),
    { seed: 17, numRuns: 300 },
  );
});

test("a look costs what is due, however much is known", () => {
  const lines = new DueLines();
  for (let destination = 0; destination < 20_000; destination += 1) {
    lines.hear({ destination, priority: 0 }, 1_000_000 - destination);
  }
  lines.hear({ destination: 0, priority: 1 }, 5);
  let asked = 0;
  const wanted = () => {
    asked += 1;
    return true;
  };
  expect(lines.take(5, 10, wanted)).toEqual([{ destination: 0, priorities: [1] }]);
  expect(lines.next(wanted)).toBe(1_000_000 - 19_999);
  expect(asked).toBe(1);
});
