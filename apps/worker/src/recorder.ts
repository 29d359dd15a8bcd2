/**
 * Records outcomes, many in one commit: what comes while one commit is under way goes into the
 * next. While Postgres is away outcomes wait here and are recorded when it is back.
 */
import type { Log } from "@postern/process";
import { type DeliveryOutcome, isUnavailable, type Queue } from "@postern/store";

/** Most outcomes in one commit. */
const BATCH = 200;

/** Pause before an outcome that could not be recorded is tried again, in milliseconds. */
const PAUSE = 500;

interface Waiting {
  readonly workerId: number;
  readonly outcome: DeliveryOutcome;
  readonly done: () => void;
}

/** Takes outcomes; `record` resolves when the outcome is committed or refused for good. */
export class Recorder {
  readonly #queue: Queue;
  readonly #log: Log;
  #waiting: Waiting[] = [];
  #running = false;

  constructor(queue: Queue, log: Log) {
    this.#queue = queue;
    this.#log = log;
  }

  record(workerId: number, outcome: DeliveryOutcome): Promise<void> {
    return new Promise((done) => {
      this.#waiting.push({ workerId, outcome, done });
      if (!this.#running) {
        this.#running = true;
        queueMicrotask(() => void this.#drain());
      }
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const workerId = this.#waiting[0]!.workerId;
      const other = this.#waiting.findIndex((one) => one.workerId !== workerId);
      const count = Math.min(other < 0 ? this.#waiting.length : other, BATCH);
      const batch = this.#waiting.splice(0, count);
      await this.#commit(workerId, batch);
      for (const { done } of batch) done();
    }
    this.#running = false;
  }

  async #commit(workerId: number, batch: readonly Waiting[]): Promise<void> {
    for (;;) {
      try {
        const refused = await this.#queue.record(workerId, batch.map(({ outcome }) => outcome));
        if (refused > 0) this.#log.warning("claims were lost before their outcome", { refused });
        return;
      } catch (error) {
        this.#log.warning("outcomes not recorded yet", { error: String(error) });
        if (!isUnavailable(error) && batch.length > 1) {
          for (const one of batch) await this.#commit(workerId, [one]);
          return;
        }
        if (!isUnavailable(error)) return this.#giveBack(workerId, batch[0]!, error);
        await new Promise((resolve) => setTimeout(resolve, PAUSE));
      }
    }
  }

  /** An outcome that the database will not take must not stall the others: it is tried again later. */
  async #giveBack(workerId: number, { outcome }: Waiting, error: unknown): Promise<void> {
    const { messageId, destinationId, at, attempts } = outcome;
    this.#log.error("outcome refused by the database", { messageId, error: String(error) });
    await this.#queue.record(workerId, [{
      messageId,
      destinationId,
      ...(attempts === undefined ? {} : { attempts }),
      at,
      recipients: [],
      dueAt: new Date(at.getTime() + 300_000),
      attempt: { error: "the outcome could not be recorded" },
    }]).catch((again) => this.#log.error("not given back", { messageId, error: String(again) }));
  }
}
