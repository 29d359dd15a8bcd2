/**
 * Claims what is due and hands it to the lanes, never more than this worker can deliver soon: what
 * it does not claim, other workers can.
 */
import type { Registration } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import { Lane } from "./lane.ts";

/** Deliveries in hand at most, in all and of one destination. */
const IN_HAND = 400;
const IN_HAND_OF_ONE = 100;

/** Asks again after so many milliseconds even if nothing woke it. */
const POLL_MILLISECONDS = 5_000;

/** Claims and delivers until it is stopped. */
export class Claimer {
  readonly #delivering: Delivering;
  readonly #registration: Registration;
  readonly #lanes = new Map<number, Lane>();
  #stopped = false;
  #woken = false;
  #wake: (() => void) | undefined;

  constructor(delivering: Delivering, registration: Registration) {
    this.#delivering = delivering;
    this.#registration = registration;
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
      if (wait > 0) await this.#pause(wait);
    }
    await this.#drain();
  }

  stop(): void {
    this.#stopped = true;
    this.wake();
  }

  get #inHand(): number {
    let count = 0;
    for (const lane of this.#lanes.values()) count += lane.inHand;
    return count;
  }

  /** Claims once; answers for how long to wait before the next time. */
  async #claim(): Promise<number> {
    const limit = IN_HAND - this.#inHand;
    if (limit < IN_HAND / 4) return POLL_MILLISECONDS;
    const except = [...this.#lanes].flatMap(([id, lane]) =>
      lane.inHand >= IN_HAND_OF_ONE / 2 ? [id] : []
    );
    const workerId = this.#registration.id;
    const claimed = await this.#delivering.queue.claim({
      workerId,
      limit,
      perDestination: IN_HAND_OF_ONE,
      except,
    });
    for (const delivery of claimed) this.#lane(delivery.destinationId).add(delivery, workerId);
    if (claimed.length > 0) return 0;
    for (const [id, lane] of this.#lanes) {
      if (lane.isIdle) this.#lanes.delete(id);
    }
    if (except.length > 0) return POLL_MILLISECONDS;
    const due = await this.#delivering.queue.untilNextDue();
    return Math.min(Math.max(due, 20), POLL_MILLISECONDS);
  }

  #lane(id: number): Lane {
    const lane = this.#lanes.get(id) ?? new Lane(this.#delivering, this.wake);
    this.#lanes.set(id, lane);
    return lane;
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
    for (const lane of this.#lanes.values()) {
      for (const { delivery, workerId } of lane.close()) {
        await this.#delivering.queue.release(workerId, [delivery]).catch((error) =>
          this.#delivering.log.warning("a claim was not given back", { error: String(error) })
        );
      }
    }
    while (this.#inHand > 0) {
      this.#woken = false;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    for (const lane of this.#lanes.values()) lane.close();
  }
}
