/**
 * Claims what is due and hands it to the lanes, never more than this worker can deliver soon: what
 * it does not claim, other workers can.
 *
 * How much a destination may have in hand depends on its pace, and on how much is in hand in all:
 * the fuller the worker, the smaller the share that any one destination is given. So destinations
 * that are slow, or that have much waiting, leave room for all others.
 */
import type { Relay } from "@postern/config";
import type { Registration, WaitingTimes } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import type { HoldBack } from "./hold-back.ts";
import { Lane } from "./lane.ts";
import { Pace } from "./pace.ts";
import { delayNoticeOf, scheduleOf } from "./retry.ts";

/** Deliveries in hand at most. */
const IN_HAND = 1_000;

/** At most so much of what is still free goes to one destination: 1/4. */
const SHARE = 4;

/** Asks again after so many milliseconds even if nothing woke it. */
const POLL_MILLISECONDS = 5_000;

/** While it has all in hand that it may, it sees so often what has come free, in milliseconds. */
const FULL_MILLISECONDS = 50;

/** How often it looks for deliveries that have waited too long for a destination that fails. */
const OVERDUE_MILLISECONDS = 30_000;

/** Of these it takes so many at once. */
const OVERDUE_AT_ONCE = 100;

/** While delivery holds back it asks at most so often, in milliseconds, and says so at most so often. */
const HELD_MILLISECONDS = 50;
const TOLD_MILLISECONDS = 60_000;

interface Served {
  readonly lane: Lane;
  readonly pace: Pace;
}

/** Claims and delivers until it is stopped. */
export class Claimer {
  readonly #delivering: Delivering;
  readonly #registration: Registration;
  readonly #holdBack: HoldBack;
  readonly #clock: () => number;
  readonly #lanes = new Map<number, Served>();
  #inHand = 0;
  #overdueAt = -Infinity;
  #claimedAt = -Infinity;
  #toldAt = -Infinity;
  #stopped = false;
  #woken = false;
  #wake: (() => void) | undefined;

  /** `clock` tells milliseconds and is never set. */
  constructor(
    delivering: Delivering,
    registration: Registration,
    holdBack: HoldBack,
    clock: () => number,
  ) {
    this.#delivering = delivering;
    this.#registration = registration;
    this.#holdBack = holdBack;
    this.#clock = clock;
  }

  /** There may be something to do. */
  readonly wake = (): void => {
    this.#woken = true;
    this.#wake?.();
  };

  /** Resolves when stopped and all that was in hand is recorded or given back. */
  async run(): Promise<void> {
    while (!this.#stopped) {
      this.#woken = false;
      let wait = POLL_MILLISECONDS;
      try {
        wait = await this.#claim();
      } catch (error) {
        this.#delivering.log.warning("the queue cannot be read", { error: String(error) });
        wait = 500;
      }
      if (wait > 0) await this.#pause(Math.min(wait, POLL_MILLISECONDS));
    }
    await this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  /** How many more deliveries to a destination are wanted now; 0 while it has enough in hand. */
  readonly #room = (id: number): number => {
    const free = IN_HAND - this.#inHand;
    if (free <= 0) return 0;
    const served = this.#lanes.get(id);
    const room = served === undefined ? Pace.FIRST : served.pace.room;
    return Math.min(room, Math.ceil(free / SHARE));
  };

  /** Claims once; answers for how long to wait before the next time. */
  async #claim(): Promise<number> {
    const { queue } = this.#delivering;
    const workerId = this.#registration.id;
    if (this.#clock() >= this.#overdueAt && this.#inHand + OVERDUE_AT_ONCE <= IN_HAND) {
      this.#overdueAt = this.#clock() + OVERDUE_MILLISECONDS;
      const overdue = await queue.claimOverdue({
        workerId,
        limit: OVERDUE_AT_ONCE,
        times: this.#waitingTimes(),
      });
      this.#take(overdue, workerId);
      if (overdue.length === OVERDUE_AT_ONCE) this.#overdueAt = -Infinity;
    }
    const limit = IN_HAND - this.#inHand;
    if (limit <= 0) return FULL_MILLISECONDS;
    const dueFor = this.#heldBack();
    if (dueFor > 0) {
      const wait = this.#claimedAt + HELD_MILLISECONDS - this.#clock();
      if (wait > 0) return wait;
    }
    this.#claimedAt = this.#clock();
    const claimed = await queue.claim({ workerId, limit, room: this.#room, dueFor });
    this.#take(claimed, workerId);
    if (claimed.length > 0) return 0;
    for (const [id, { lane }] of this.#lanes) if (lane.isIdle) this.#lanes.delete(id);
    if (dueFor > 0) return HELD_MILLISECONDS;
    return queue.untilNextDue(this.#room);
  }

  /** For how many milliseconds something must have been due before it is claimed now. */
  #heldBack(): number {
    const { snapshot, log } = this.#delivering;
    const { holdBackSeconds } = snapshot().settings.delivery;
    if (holdBackSeconds === 0 || !this.#holdBack.wanted) return 0;
    if (this.#clock() >= this.#toldAt + TOLD_MILLISECONDS) {
      this.#toldAt = this.#clock();
      log.info("much mail comes in: delivery leaves the processors to it", { holdBackSeconds });
    }
    return holdBackSeconds * 1000;
  }

  #take(claimed: readonly Parameters<Lane["add"]>[0][], workerId: number): void {
    for (const delivery of claimed) {
      const { lane, pace } = this.#serve(delivery.destinationId);
      this.#inHand += 1;
      pace.took();
      lane.add(delivery, workerId);
    }
  }

  #serve(id: number): Served {
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    const pace = new Pace(this.#clock);
    const lane = new Lane(this.#delivering, () => {
      this.#inHand -= 1;
      const before = this.#room(id);
      pace.finished();
      // Only room that the destination did not have before is a reason to ask again.
      if (this.#stopped || before === 0 || this.#inHand === 0) this.wake();
    });
    const served = { lane, pace };
    this.#lanes.set(id, served);
    return served;
  }

  #waitingTimes(): WaitingTimes {
    const timesOf = (relay: Relay | undefined) => {
      const schedule = scheduleOf(relay);
      return { lifetime: schedule.lifetime, delayNotice: delayNoticeOf(schedule) ?? null };
    };
    const relays = [...this.#delivering.snapshot().relays]
      .filter(([, relay]) => "retry" in relay && relay.retry !== undefined)
      .map(([name, relay]) => [name, timesOf(relay)] as const);
    return { relays: Object.fromEntries(relays), others: timesOf(undefined) };
  }

  async #pause(milliseconds: number): Promise<void> {
    if (this.#woken || this.#stopped) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }

  async #drain(): Promise<void> {
    const { queue, log } = this.#delivering;
    const given = [...this.#lanes.values()].flatMap(({ lane }) => lane.close());
    this.#inHand -= given.length;
    for (const [workerId, tasks] of Map.groupBy(given, (task) => task.workerId)) {
      await queue.release(workerId, tasks.map(({ delivery }) => delivery)).catch((error) =>
        log.warning("claims were not given back", { count: tasks.length, error: String(error) })
      );
    }
    while (this.#inHand > 0) {
      this.#woken = false;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}
