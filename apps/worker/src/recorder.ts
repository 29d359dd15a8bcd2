/**
 * Records outcomes, many in one commit: what comes while one commit is under way goes into the
 * next. While Postgres is away outcomes wait here and are recorded when it is back.
 */
import type { Log } from "@postern/process";
import { type DeliveryOutcome, isPassing, isUnavailable, type Queue } from "@postern/store";

/** Most outcomes in one commit. */
const BATCH = 200;

/**
 * More outcomes than these in one commit are much to record: then the next waits for company, as a
 * commit costs the same for many as for few: until there are enough, and so many milliseconds at most.
 */
const FEW = 3;
const ENOUGH = 30;
const GATHER = 10;

/** Pause before an outcome that could not be recorded is tried again, in milliseconds. */
const PAUSE = 500;

/** Tries while others are in the way; while Postgres is away there is no end to them. */
const TRIES = 5;

/** Where it cannot be held, another attempt is made after so many milliseconds. */
const LAST_RESORT = 300_000;

/**
 * Where not even that can be recorded, the outcome is tried again after so many milliseconds. Its
 * claim is not given back: what was delivered would go out again and again.
 */
const AGAIN = 5_000;

interface Waiting {
  readonly workerId: number;
  readonly outcome: DeliveryOutcome;
  readonly done: () => void;
}

/** Takes outcomes; `record` resolves when the outcome is committed or refused for good. */
export class Recorder {
  readonly #queue: Queue;
  readonly #log: Log;
  readonly #again: number;
  #waiting: Waiting[] = [];
  #running = false;
  /** Ends the wait for company. */
  #enough: (() => void) | undefined;

  /** Only tests try again after another time. */
  constructor(queue: Queue, log: Log, again = AGAIN) {
    this.#queue = queue;
    this.#log = log;
    this.#again = again;
  }

  record(workerId: number, outcome: DeliveryOutcome): Promise<void> {
    return new Promise((done) => this.#add({ workerId, outcome, done }));
  }

  #add(waiting: Waiting): void {
    this.#waiting.push(waiting);
    if (!this.#running) {
      this.#running = true;
      queueMicrotask(() => void this.#drain());
    } else if (this.#waiting.length >= ENOUGH) this.#enough?.();
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const workerId = this.#waiting[0]!.workerId;
      const other = this.#waiting.findIndex((one) => one.workerId !== workerId);
      const count = Math.min(other < 0 ? this.#waiting.length : other, BATCH);
      await this.#commit(workerId, this.#waiting.splice(0, count));
      if (count > FEW && this.#waiting.length < ENOUGH) await this.#gather();
    }
    this.#running = false;
  }

  /** Waits for company. */
  async #gather(): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER);
      this.#enough = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#enough = undefined;
  }

  /** Commits them together; where one of them is at fault, by halves until it is alone. */
  async #commit(workerId: number, batch: readonly Waiting[]): Promise<void> {
    const error = await this.#enter(workerId, batch.map(({ outcome }) => outcome));
    if (error !== undefined && batch.length > 1) {
      const half = batch.length >> 1;
      await this.#commit(workerId, batch.slice(0, half));
      return await this.#commit(workerId, batch.slice(half));
    }
    if (error !== undefined && !await this.#setAside(workerId, batch[0]!.outcome, error)) {
      setTimeout(() => this.#add(batch[0]!), this.#again);
      return;
    }
    for (const { done } of batch) done();
  }

  /** Records them, waiting for what passes; answers why they are refused for good. */
  async #enter(workerId: number, outcomes: readonly DeliveryOutcome[]): Promise<unknown> {
    for (let tries = 1;; tries += 1) {
      try {
        const refused = await this.#queue.record(workerId, outcomes);
        if (refused > 0) this.#log.warning("claims were lost before their outcome", { refused });
        return undefined;
      } catch (error) {
        const passes = isUnavailable(error) || (isPassing(error) && tries < TRIES);
        if (!passes) return error ?? new Error("refused");
        this.#log.warning("outcomes not recorded yet", { error: String(error) });
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  /**
   * An outcome that the database will not take must not come again and again: it is set aside. False
   * where the database takes nothing at all.
   */
  async #setAside(workerId: number, outcome: DeliveryOutcome, error: unknown): Promise<boolean> {
    const { messageId, destinationId } = outcome;
    this.#log.error("outcome refused by the database: set aside", {
      id: messageId,
      destination: destinationId,
      error: String(error),
    });
    for (const instead of insteadOf(outcome, error)) {
      const again = await this.#enter(workerId, [instead]);
      if (again === undefined) return true;
      this.#log.error("not set aside", { id: messageId, error: String(again) });
    }
    return false;
  }
}

/** What is recorded instead of an outcome that is refused; the last is there for when all fails. */
function insteadOf(
  { messageId, destinationId, attempts, at, recipients, waitsOn }: DeliveryOutcome,
  error: unknown,
): DeliveryOutcome[] {
  const why = `The outcome could not be recorded: ${String(error)}`;
  const delivery = {
    messageId,
    destinationId,
    ...(attempts === undefined ? {} : { attempts }),
    at,
    attempt: { error: why },
  };
  if (waitsOn !== undefined) {
    // Nothing was tried: it waits on, and nobody is told.
    return [{ ...delivery, recipients: [], dueAt: undefined, waitsOn }];
  }
  return [
    {
      ...delivery,
      recipients: recipients.map(({ ordinal, state }) =>
        state === "delivered"
          ? { ordinal, state, reply: "250 2.0.0 Delivered; the reply could not be recorded" }
          : { ordinal, state: "held", reply: `451 4.3.0 Set aside: ${why}` }
      ),
      dueAt: undefined,
    },
    { ...delivery, recipients: [], dueAt: new Date(at.getTime() + LAST_RESORT) },
  ];
}
