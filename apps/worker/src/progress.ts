/**
 * What is recorded of a delivery while it goes on, transaction after transaction: the recipients that
 * are delivered. The death of this process repeats so much less, and people see how far it is.
 *
 * A delivery that is over soon is recorded once, at its end: this costs it nothing.
 */
import type { Relay } from "@postern/config";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import { concern } from "./concern.ts";
import { conclude } from "./conclusion.ts";
import type { Delivering } from "./delivering.ts";
import { scheduleOf } from "./retry.ts";
import type { AttemptFacts, Verdict } from "./verdict.ts";

/** Milliseconds that a delivery goes on without a record. */
const UNRECORDED_FOR = 2_000;

/** How a transport tells of verdicts while others are still to come. */
export type Tell = (verdicts: readonly Verdict[], facts: AttemptFacts) => void;

/** The records of one delivery before its end. */
export class Progress {
  readonly #delivery: ClaimedDelivery;
  readonly #workerId: number;
  readonly #relay: Relay | undefined;
  readonly #delivering: Delivering;
  /** Recipients that are in the books, by their ordinals; undefined while none is. */
  #recorded: Set<number> | undefined;
  /** In milliseconds since 1970. */
  #lastRecord: number;
  #recording: Promise<void> | undefined;

  constructor(
    delivery: ClaimedDelivery,
    workerId: number,
    relay: Relay | undefined,
    delivering: Delivering,
  ) {
    this.#delivery = delivery;
    this.#workerId = workerId;
    this.#relay = relay;
    this.#delivering = delivering;
    this.#lastRecord = delivering.now().getTime();
  }

  /** Hears what there is so far. The delivery does not wait for the books. */
  readonly tell: Tell = (verdicts, facts) => {
    const now = this.#delivering.now().getTime();
    if (this.#recording !== undefined || now - this.#lastRecord < UNRECORDED_FOR) return;
    this.#lastRecord = now;
    const recipients = new Map(this.#delivery.recipients.map((one) => [one.ordinal, one]));
    const done = verdicts.filter((verdict) =>
      !this.#recorded?.has(verdict.ordinal) && this.#isDone(verdict, recipients)
    );
    if (done.length === 0) return;
    this.#recording = this.#record(done, facts).finally(() => this.#recording = undefined);
  };

  /** The delivery with the recipients that its outcome is to name. */
  async rest(): Promise<ClaimedDelivery> {
    await this.#recording;
    const recorded = this.#recorded;
    if (recorded === undefined) return this.#delivery;
    const { recipients } = this.#delivery;
    return {
      ...this.#delivery,
      recipients: recipients.filter(({ ordinal }) => !recorded.has(ordinal)),
    };
  }

  /** Whether it is delivered and nobody is to be told: reports are made once, at the end. */
  #isDone(
    { ordinal, status, reply, owed }: Verdict,
    recipients: ReadonlyMap<number, ClaimedRecipient>,
  ): boolean {
    const recipient = recipients.get(ordinal);
    if (status !== "delivered" || recipient === undefined) return false;
    const concerns = concern(this.#delivery, recipient, { ordinal, state: "delivered", reply }, {
      schedule: scheduleOf(this.#relay),
      now: this.#delivering.now(),
      ...(owed === undefined ? {} : { owed }),
    });
    return concerns.length === 0;
  }

  /** What could not be recorded now is in the outcome at the end. */
  async #record(verdicts: readonly Verdict[], facts: AttemptFacts): Promise<void> {
    const { queue, log } = this.#delivering;
    const { attempts, messageId } = this.#delivery;
    try {
      const part = await conclude(
        this.#delivery,
        this.#relay,
        { verdicts, facts },
        this.#delivering,
      );
      if (!await queue.recordPart(this.#workerId, { ...part, attempts })) return;
      this.#recorded ??= new Set();
      for (const { ordinal } of verdicts) this.#recorded.add(ordinal);
    } catch (error) {
      log.warning("not recorded while it goes on", { id: messageId, error: String(error) });
    }
  }
}
