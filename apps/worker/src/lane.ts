/**
 * A lane: the deliveries this worker has in hand for one destination, how many of them go at once,
 * and that each is recorded. How a delivery is made is the transport's business.
 */
import type { Relay } from "@postern/config";
import {
  type ClaimedDelivery,
  type DeliveryOutcome,
  type DestinationOutcome,
  isUnavailable,
} from "@postern/store";
import { conclude } from "./conclusion.ts";
import type { Delivering } from "./delivering.ts";
import { concludeOverdue } from "./overdue.ts";
import type { End } from "./places.ts";
import { Progress } from "./progress.ts";
import { scheduleOf } from "./retry.ts";
import { Transport } from "./transport.ts";
import { type Attempt, verdictForAll } from "./verdict.ts";

/** Deliveries at once to one destination. */
const AT_ONCE = 20;

/**
 * Outcomes on their way into the books while the next deliveries are made already. What the death of
 * this process would repeat is so much more; while Postgres is away nothing goes beyond it.
 */
const UNRECORDED = 60;

/** What is said while Postgres, where the content is, is away. */
const UNREAD = "451 4.3.0 The content could not be read";

interface Task {
  readonly delivery: ClaimedDelivery;
  readonly workerId: number;
}

/** Told of each delivery. */
interface Listener {
  /** Its attempt is over. */
  readonly ended: (end: End) => void;
  /** It is not in hand any more: it is recorded, given back, or was lost to others. */
  readonly left: () => void;
}

/** Delivers what it is given, several at once. */
export class Lane {
  readonly #delivering: Delivering;
  readonly #listener: Listener;
  readonly #waiting: Task[] = [];
  readonly #transport: Transport;
  /** Outcomes that are being recorded, the oldest first. */
  readonly #recording: Promise<void>[] = [];
  #active = 0;
  #givingBack = 0;
  /** How many attempts reached the destination. */
  #reached = 0;

  constructor(delivering: Delivering, listener: Listener) {
    this.#delivering = delivering;
    this.#listener = listener;
    this.#transport = new Transport(delivering);
  }

  /** Nothing to do and no session kept. */
  get isIdle(): boolean {
    return this.#waiting.length + this.#active + this.#recording.length + this.#givingBack === 0 &&
      this.#transport.isIdle;
  }

  add(delivery: ClaimedDelivery, workerId: number): void {
    this.#waiting.push({ delivery, workerId });
    if (this.#active < this.#atOnce(delivery)) {
      this.#active += 1;
      void this.#run();
    }
  }

  /** Gives up what has not begun and lets idle sessions go; answers what was given up. */
  close(): Task[] {
    this.#transport.close();
    return this.#waiting.splice(0);
  }

  /**
   * Gives back to the queue what has not begun, where others find it, or it waits for a destination that
   * fails. What is overdue stays: it needs no next hop.
   */
  async giveBack(): Promise<void> {
    const { queue, log } = this.#delivering;
    const waiting = this.#waiting.splice(0);
    this.#waiting.push(...waiting.filter(({ delivery }) => delivery.overdue !== undefined));
    const given = waiting.filter(({ delivery }) => delivery.overdue === undefined);
    if (given.length === 0) return;
    this.#givingBack += 1;
    for (const [workerId, tasks] of Map.groupBy(given, (task) => task.workerId)) {
      await queue.release(workerId, tasks.map(({ delivery }) => delivery)).catch((error) =>
        log.warning("claims were not given back", { count: tasks.length, error: String(error) })
      );
      for (const _ of tasks) this.#listener.left();
    }
    this.#givingBack -= 1;
  }

  /** A relay's own limit holds for all workers together: then the queue gives no more than that. */
  #atOnce({ destination }: ClaimedDelivery): number {
    const relay = this.#delivering.snapshot().relays.get(destination.relay);
    const limits = relay !== undefined && "limits" in relay ? relay.limits : undefined;
    return limits?.concurrency?.maximum ?? AT_ONCE;
  }

  /** Delivers one after another until none waits. */
  async #run(): Promise<void> {
    for (let task = this.#waiting.shift(); task !== undefined; task = this.#waiting.shift()) {
      while (this.#recording.length >= UNRECORDED) await this.#recording[0];
      const reachedBefore = this.#reached;
      const outcome = await this.#perform(task);
      const end = endOf(task, outcome);
      if (end === "reached") this.#reached += 1;
      this.#listener.ended(end);
      const recorded = this.#record(task, outcome);
      if (end !== "failed") continue;
      // Nothing begins until the books say that it fails: then all of its queue waits.
      await recorded;
      if (this.#reached === reachedBefore) await this.giveBack();
    }
    this.#active -= 1;
  }

  /** Records an outcome; without one the claim was lost. */
  #record({ delivery, workerId }: Task, outcome: DeliveryOutcome | undefined): Promise<void> {
    if (outcome === undefined) {
      this.#listener.left();
      return Promise.resolve();
    }
    const { recorder } = this.#delivering;
    const recording = recorder.record(workerId, { ...outcome, attempts: delivery.attempts })
      .then(() => {
        this.#recording.splice(this.#recording.indexOf(recording), 1);
        this.#listener.left();
      });
    this.#recording.push(recording);
    return recording;
  }

  async #perform({ delivery, workerId }: Task): Promise<DeliveryOutcome | undefined> {
    const { snapshot, lease, queue, log } = this.#delivering;
    // It may have waited for long: what others may have by now must not begin.
    if (!await lease.confirmed(workerId)) {
      log.info("a claim was lost before its delivery began", { id: delivery.messageId });
      await queue.release(workerId, [delivery]).catch(() => {});
      return undefined;
    }
    const relay = snapshot().relays.get(delivery.destination.relay);
    let attempt: Attempt | undefined;
    const progress = new Progress(delivery, workerId, relay, this.#delivering);
    try {
      if (delivery.overdue !== undefined) {
        return await concludeOverdue(delivery, delivery.overdue, relay, this.#delivering);
      }
      const isHeld = () => lease.holds(workerId);
      attempt = await this.#transport.deliver(delivery, relay, isHeld, progress.tell);
      if (attempt.error !== undefined) attempt = withRest(delivery, attempt);
      const rest = await progress.rest();
      const told = rest === delivery ? attempt : only(rest, attempt);
      const concluded = await conclude(rest, relay, told, this.#delivering);
      const destination = destinationOf(attempt, relay);
      return destination === undefined ? concluded : { ...concluded, destination };
    } catch (error) {
      return await this.#unforeseen(await progress.rest(), relay, attempt, error);
    }
  }

  /**
   * What fails in a way that nobody foresaw would fail so again: it is set aside for an
   * administrator. Not so while Postgres is away, which says nothing of this delivery.
   */
  async #unforeseen(
    delivery: ClaimedDelivery,
    relay: Relay | undefined,
    attempt: Attempt | undefined,
    error: unknown,
  ): Promise<DeliveryOutcome> {
    const { log, now } = this.#delivering;
    const { messageId, destinationId, destination, recipients } = delivery;
    const facts = { relay: destination.relay, seconds: 0, ...attempt?.facts, error: String(error) };
    if (attempt === undefined && isUnavailable(error)) {
      const verdicts = verdictForAll(delivery, "later", UNREAD);
      return await conclude(delivery, relay, { verdicts, facts }, this.#delivering);
    }
    log.error("delivery failed in an unforeseen way: set aside", {
      id: messageId,
      error: error instanceof Error ? error.stack : String(error),
    });
    return {
      messageId,
      destinationId,
      at: now(),
      recipients: recipients.map(({ ordinal }) => {
        const verdict = attempt?.verdicts.find((one) => one.ordinal === ordinal);
        return verdict?.status === "delivered"
          ? { ordinal, state: "delivered", reply: verdict.reply }
          : { ordinal, state: "held", reply: `451 4.3.0 Set aside: ${String(error)}` };
      }),
      dueAt: undefined,
      attempt: facts,
    };
  }
}

/**
 * The attempt with a verdict for those recipients that it did not come to while Postgres was away;
 * throws any other error that ended it, which is not to be expected.
 */
function withRest(delivery: ClaimedDelivery, { error, ...attempt }: Attempt): Attempt {
  if (!isUnavailable(error)) throw error;
  const known = new Set(attempt.verdicts.map(({ ordinal }) => ordinal));
  const rest = verdictForAll(delivery, "later", UNREAD).filter(({ ordinal }) =>
    !known.has(ordinal)
  );
  return { ...attempt, verdicts: [...attempt.verdicts, ...rest] };
}

/** What the outcome of a task tells of its destination; a kind of relay that has no next hop is there. */
function endOf({ delivery }: Task, outcome: DeliveryOutcome | undefined): End {
  if (outcome === undefined || delivery.overdue !== undefined) return "untried";
  return outcome.destination?.status ?? "reached";
}

/** The attempt with the verdicts of the delivery's recipients: the others are in the books. */
function only({ recipients }: ClaimedDelivery, attempt: Attempt): Attempt {
  const named = new Set(recipients.map(({ ordinal }) => ordinal));
  return { ...attempt, verdicts: attempt.verdicts.filter(({ ordinal }) => named.has(ordinal)) };
}

/** What an attempt says of its destination; nothing where it never came to one. */
function destinationOf(
  { destinationFailure, facts }: Attempt,
  relay: Relay | undefined,
): DestinationOutcome | undefined {
  if (destinationFailure === undefined) {
    return facts.host === undefined ? undefined : { status: "reached" };
  }
  const { delays } = scheduleOf(relay);
  return { status: "failed", reply: destinationFailure, delays };
}
