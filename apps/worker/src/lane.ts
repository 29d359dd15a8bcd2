/**
 * A lane: the deliveries this worker has in hand for one destination, how many of them go at once,
 * and that each is recorded. How a delivery is made is the transport's business.
 */
import type { ClaimedDelivery } from "@postern/store";
import { conclude } from "./conclusion.ts";
import type { Delivering } from "./delivering.ts";
import { Transport } from "./transport.ts";
import { type Attempt, verdictForAll } from "./verdict.ts";

/** Deliveries at once to one destination. */
const AT_ONCE = 20;

interface Task {
  readonly delivery: ClaimedDelivery;
  readonly workerId: number;
}

/** Delivers what it is given, several at once. */
export class Lane {
  readonly #delivering: Delivering;
  readonly #onProgress: () => void;
  readonly #waiting: Task[] = [];
  readonly #transport: Transport;
  #active = 0;

  constructor(delivering: Delivering, onProgress: () => void) {
    this.#delivering = delivering;
    this.#onProgress = onProgress;
    this.#transport = new Transport(delivering);
  }

  /** Deliveries that are not recorded yet. */
  get inHand(): number {
    return this.#waiting.length + this.#active;
  }

  /** Nothing to do and no session kept. */
  get isIdle(): boolean {
    return this.inHand === 0 && this.#transport.isIdle;
  }

  add(delivery: ClaimedDelivery, workerId: number): void {
    this.#waiting.push({ delivery, workerId });
    if (this.#active < AT_ONCE) {
      this.#active += 1;
      void this.#run();
    }
  }

  /** Gives up what has not begun and lets idle sessions go; answers what was given up. */
  close(): Task[] {
    this.#transport.close();
    return this.#waiting.splice(0);
  }

  /** Delivers one after another until none waits. */
  async #run(): Promise<void> {
    for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
      await this.#perform(task);
      this.#onProgress();
    }
    this.#active -= 1;
    this.#onProgress();
  }

  async #perform({ delivery, workerId }: Task): Promise<void> {
    const { snapshot, recorder } = this.#delivering;
    const { relay: name } = delivery.destination;
    const relay = snapshot().relays.get(name);
    const attempt = await this.#transport.deliver(delivery, relay).catch((error): Attempt => {
      this.#delivering.log.error("delivery failed in an unforeseen way", {
        id: delivery.messageId,
        error: error instanceof Error ? error.stack : String(error),
      });
      const verdicts = verdictForAll(delivery, "later", "451 4.3.0 Internal error");
      return { verdicts, facts: { relay: name, seconds: 0 } };
    });
    await recorder.record(workerId, await conclude(delivery, relay, attempt, this.#delivering));
  }
}
