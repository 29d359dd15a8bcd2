import type { Relay } from "@postern/config";
import type { Claim, ClaimedDelivery, DeliveryOutcome } from "@postern/store";
import { afterEach, expect, test, vi } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Claimer } from "./claimer.ts";
import { HoldBack } from "./hold-back.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";

afterEach(() => void vi.useRealTimers());

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

test("slow destinations that fill the worker keep what they leave free from nobody", async () => {
  vi.useFakeTimers();
  const [destinations, each, slow] = [400, 10, 20];
  const waiting = new Map(Array.from({ length: destinations }, (_, id) => [id, each]));
  const queue = {
    claim: ({ limit, room }: Claim) => {
      const claimed: ClaimedDelivery[] = [];
      for (const [destinationId, count] of waiting) {
        const most = Math.min(count, room!(destinationId, false), limit - claimed.length);
        for (let one = 0; one < most; one += 1) claimed.push(deliveryOf(["a"], { destinationId }));
        waiting.set(destinationId, count - most);
      }
      return Promise.resolve(claimed);
    },
    claimOverdue: () => Promise.resolve([]),
    untilNextDue: (room: NonNullable<Claim["room"]>) =>
      [...waiting].some(([id, count]) => count > 0 && room(id, false) > 0) ? 0 : Infinity,
  };
  let recorded = 0;
  const recorder = {
    record: async (_: number, { destinationId }: DeliveryOutcome) => {
      const milliseconds = destinationId < slow ? 12_000 : 300;
      await new Promise((resolve) => setTimeout(resolve, milliseconds));
      recorded += 1;
    },
  };
  const { snapshot, ...delivering } = testDelivering();
  const relays = new Map([["relay", relayOf({ kind: "discard" })]]);
  const claimer = new Claimer(
    {
      ...delivering,
      queue: queue as never,
      recorder: recorder as never,
      snapshot: () => ({ ...snapshot(), relays }),
    },
    { id: 1 } as never,
    { wanted: false } as never,
    () => performance.now(),
  );

  const running = claimer.run();
  await vi.advanceTimersByTimeAsync(3_000);
  expect(recorded).toBe((destinations - slow) * each);
  claimer.stop();
  await vi.advanceTimersByTimeAsync(12_000);
  await running;
});

test("next hops that say nothing, however many, keep mail for others from nowhere", async () => {
  const waiting = new Map(Array.from({ length: 300 }, (_, id) => [id, 10]));
  const good = 1_000;
  const queue = {
    claim: ({ limit, room }: Claim) => {
      const claimed: ClaimedDelivery[] = [];
      for (const [destinationId, count] of waiting) {
        const most = Math.min(count, room!(destinationId, false), limit - claimed.length);
        const destination = { relay: destinationId === good ? "good" : "silent", nextHop: "" };
        for (let one = 0; one < most; one += 1) {
          claimed.push(deliveryOf(["a"], { destinationId, destination }));
        }
        waiting.set(destinationId, count - most);
      }
      return Promise.resolve(claimed);
    },
    claimOverdue: () => Promise.resolve([]),
    release: () => Promise.resolve(),
    untilNextDue: () => 1000,
  };
  const recorded: number[] = [];
  const recorder = {
    record: (_: number, { destinationId }: DeliveryOutcome) => {
      recorded.push(destinationId);
      return Promise.resolve();
    },
  };
  const answers = Promise.withResolvers<never>();
  let asked = 0;
  const resolver = {
    query: () => {
      asked += 1;
      return answers.promise;
    },
  };
  const { snapshot, ...delivering } = testDelivering();
  const relays = new Map<string, Relay>([
    ["good", relayOf({ kind: "discard" })],
    ["silent", relayOf({ kind: "smtp", hosts: [{ host: "silent.test" }] })],
  ]);
  const claimer = new Claimer(
    {
      ...delivering,
      queue: queue as never,
      recorder: recorder as never,
      resolver: resolver as never,
      snapshot: () => ({ ...snapshot(), relays }),
    },
    { id: 1 } as never,
    { wanted: false } as never,
    () => performance.now(),
  );

  const running = claimer.run();
  await eventually("each has begun", () => asked >= 2 * 300);
  waiting.set(good, 50);
  claimer.wake();
  await eventually("the others have theirs", () => recorded.length === 50);
  expect(new Set(recorded)).toEqual(new Set([good]));
  claimer.stop();
  answers.resolve({ status: "noName" } as never);
  await running;
});

test("claims do not wait for the look for what is overdue; the end waits for both", async () => {
  const found = Promise.withResolvers<ClaimedDelivery[]>();
  let claims = 0;
  const given: string[] = [];
  const queue = {
    claim: async () => {
      claims += 1;
      await new Promise((resolve) => setImmediate(resolve));
      return [];
    },
    claimOverdue: () => found.promise,
    untilNextDue: () => 0,
    release: (_: number, deliveries: readonly ClaimedDelivery[]) => {
      given.push(...deliveries.map(({ messageId }) => messageId));
      return Promise.resolve();
    },
  };
  const recorded: string[] = [];
  const recorder = {
    record: (_: number, { messageId }: DeliveryOutcome) => {
      recorded.push(messageId);
      return Promise.resolve();
    },
  };
  const claimer = new Claimer(
    { ...testDelivering(), queue: queue as never, recorder: recorder as never },
    { id: 1 } as never,
    { wanted: false } as never,
    () => performance.now(),
  );
  const running = claimer.run();
  await eventually("it claims", () => claims > 3);
  claimer.stop();
  const overdue = deliveryOf(["a@x.test"], { overdue: "notice" });
  found.resolve([overdue]);
  await running;
  expect([...recorded, ...given]).toEqual([overdue.messageId]);
});
