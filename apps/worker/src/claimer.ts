/**
 * Claims what is due and hands it to the lanes, never more than this worker can deliver soon: what
 * it does not claim, other workers can.
 *
 * How much of which destination that is, `places.ts` says. What has not begun at a destination that has
 * become quiet goes back to the queue.
 */
import type { DestinationLimits, Relay } from "@postern/config";
import type { Registration, WaitingTimes } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import type { HoldBack } from "./hold-back.ts";
import { Lane } from "./lane.ts";
import { Places } from "./places.ts";
import { delayNoticeOf, scheduleOf } from "./retry.ts";

/** Asks again after so many milliseconds even if nothing woke it. */
const POLL_MILLISECONDS = 5_000;

/**
 * While it has all in hand that it may, it sees so often what has come free, in milliseconds; while
 * anything is in hand, which destinations have become quiet.
 */
const FULL_MILLISECONDS = 50;
const QUIET_MILLISECONDS = 1_000;

/** How often it looks for deliveries that have waited too long without having their turn. */
const OVERDUE_MILLISECONDS = 30_000;

/** Of these it takes so many at once. */
const OVERDUE_AT_ONCE = 100;

/** While delivery holds back it asks at most so often, in milliseconds, and says so at most so often. */
const HELD_MILLISECONDS = 50;
const TOLD_MILLISECONDS = 60_000;

/** Claims and delivers until it is stopped. */
export class Claimer {
  readonly #delivering: Delivering;
  readonly #registration: Registration;
  readonly #holdBack: HoldBack;
  readonly #clock: () => number;
  readonly #lanes = new Map<number, Lane>();
  readonly #places: Places;
  #overdueAt = -Infinity;
  #overdue: Promise<void> | undefined;
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
    this.#places = new Places(clock);
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

  readonly #room = (id: number, failing: boolean): number => this.#places.room(id, failing);

  /** Claims once; answers for how long to wait before the next time. */
  async #claim(): Promise<number> {
    const { queue } = this.#delivering;
    const workerId = this.#registration.id;
    for (const id of this.#places.sweep()) void this.#lanes.get(id)?.giveBack();
    this.#lookForOverdue(workerId);
    const limit = this.#places.free;
    if (limit <= 0) return FULL_MILLISECONDS;
    const dueFor = this.#heldBack();
    // While new destinations find no place, a claim goes through all of them that wait.
    if (dueFor > 0 || this.#places.isCrowded) {
      const pause = dueFor > 0 ? HELD_MILLISECONDS : FULL_MILLISECONDS;
      const wait = this.#claimedAt + pause - this.#clock();
      if (wait > 0) return wait;
    }
    this.#claimedAt = this.#clock();
    const claimed = await queue.claim({ workerId, limit, room: this.#room, dueFor });
    this.#take(claimed, workerId);
    if (claimed.length > 0) return 0;
    for (const [id, lane] of this.#lanes) {
      if (!lane.isIdle) continue;
      this.#lanes.delete(id);
      this.#places.forget(id);
    }
    if (dueFor > 0) return HELD_MILLISECONDS;
    const wait = queue.untilNextDue(this.#room);
    return this.#places.inHand > 0 ? Math.min(wait, QUIET_MILLISECONDS) : wait;
  }

  /** Looks for what is overdue when it is time; claims go on meanwhile. */
  #lookForOverdue(workerId: number): void {
    if (this.#overdue !== undefined || this.#clock() < this.#overdueAt) return;
    if (this.#places.free < OVERDUE_AT_ONCE) return;
    this.#overdueAt = this.#clock() + OVERDUE_MILLISECONDS;
    const { queue, log } = this.#delivering;
    const options = { workerId, limit: OVERDUE_AT_ONCE, times: this.#waitingTimes() };
    this.#overdue = queue.claimOverdue(options).then((overdue) => {
      this.#take(overdue, workerId);
      if (overdue.length < OVERDUE_AT_ONCE) return;
      this.#overdueAt = -Infinity;
      this.wake();
    }).catch((error) => log.warning("what is overdue cannot be read", { error: String(error) }))
      .finally(() => this.#overdue = undefined);
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
      this.#places.took(delivery.destinationId);
      this.#laneOf(delivery.destinationId).add(delivery, workerId);
    }
  }

  #laneOf(id: number): Lane {
    const known = this.#lanes.get(id);
    if (known !== undefined) return known;
    const places = this.#places;
    // Only room that the destination did not have before is a reason to ask again.
    const change = (made: () => void) => {
      const before = places.room(id);
      made();
      if (this.#stopped || places.inHand === 0 || before === 0) this.wake();
    };
    const lane = new Lane(this.#delivering, {
      ended: (end) => change(() => places.ended(id, end)),
      left: () => change(() => places.left(id)),
    });
    this.#lanes.set(id, lane);
    return lane;
  }

  #waitingTimes(): WaitingTimes {
    const timesOf = (relay: Relay | undefined) => {
      const schedule = scheduleOf(relay);
      const { rate, concurrency } = limitsOf(relay);
      return {
        lifetime: schedule.lifetime,
        delayNotice: delayNoticeOf(schedule) ?? null,
        isLimited: rate !== undefined || concurrency !== undefined,
      };
    };
    const relays = [...this.#delivering.snapshot().relays]
      .filter(([, relay]) => "retry" in relay && relay.retry || "limits" in relay && relay.limits)
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
    await this.#overdue;
    const given = [...this.#lanes.values()].flatMap((lane) => lane.close());
    for (const { delivery } of given) this.#places.left(delivery.destinationId);
    for (const [workerId, tasks] of Map.groupBy(given, (task) => task.workerId)) {
      await queue.release(workerId, tasks.map(({ delivery }) => delivery)).catch((error) =>
        log.warning("claims were not given back", { count: tasks.length, error: String(error) })
      );
    }
    while (this.#places.inHand > 0) {
      this.#woken = false;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

function limitsOf(relay: Relay | undefined): DestinationLimits {
  return relay !== undefined && "limits" in relay && relay.limits || {};
}
