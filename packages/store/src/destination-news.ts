/**
 * Tells the books what outcomes say of destinations. The recorder waits for that with the outcomes of
 * all destinations, so no row is waited for that somebody else has locked. Such news is kept, joined
 * with what comes after it, and told again soon: that a destination failed or is back must not be lost.
 */
import type { Sql } from "postgres";
import { QUEUE_CHANNEL } from "./channels.ts";
import { type ConcurrencyOf, type Feedback, learnOf } from "./destination-state.ts";

/** Before kept news is told again, in milliseconds: the first time, doubled each time, and at most. */
const FIRST_PAUSE = 20;
const LONGEST_PAUSE = 1_000;

/** What this process has to say of destinations. */
export class DestinationNews {
  readonly #sql: Sql;
  readonly #concurrencyOf: ConcurrencyOf;
  #kept = new Map<number, Feedback>();
  /** How many statements are telling of a destination. */
  readonly #underWay = new Map<number, number>();
  #pause = FIRST_PAUSE;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(sql: Sql, concurrencyOf: ConcurrencyOf) {
    this.#sql = sql;
    this.#concurrencyOf = concurrencyOf;
  }

  /** Whether there is news of a destination that is not in the books yet: what comes after it counts. */
  isPending(id: number): boolean {
    return this.#kept.has(id) || this.#underWay.has(id);
  }

  /** Resolves when all is told or kept. */
  async tell(feedback: readonly Feedback[]): Promise<void> {
    const news = this.#kept;
    this.#kept = new Map();
    for (const one of feedback) news.set(one.id, joined(news.get(one.id), one));
    if (news.size === 0) return;
    const ids = [...news.keys()];
    this.#count(ids, 1);
    const told = await learnOf(this.#sql, [...news.values()], this.#concurrencyOf)
      .finally(() => this.#count(ids, -1));
    for (const id of told) news.delete(id);
    for (const [id, one] of news) this.#kept.set(id, joined(one, this.#kept.get(id)));
    if (this.#kept.size > 0) this.#timer ??= setTimeout(() => void this.#tellKept(), this.#pause);
    else this.#pause = FIRST_PAUSE;
  }

  #count(ids: readonly number[], change: 1 | -1): void {
    for (const id of ids) {
      const count = (this.#underWay.get(id) ?? 0) + change;
      if (count > 0) this.#underWay.set(id, count);
      else this.#underWay.delete(id);
    }
  }

  async #tellKept(): Promise<void> {
    this.#timer = undefined;
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
    try {
      await this.tell([]);
      // Others may have looked before it was told.
      await this.#sql`select pg_notify(${QUEUE_CHANNEL}, '')`;
    } catch {
      // Postgres is away. The next outcomes say it again, and a probe is over in any case some time.
    }
  }
}

/** What two batches of outcomes say together; the later one knows better. */
function joined(earlier: Feedback | undefined, later: Feedback | undefined): Feedback {
  if (earlier === undefined || later === undefined) return (earlier ?? later)!;
  if (later.reached === 0) return later.failed ? later : earlier;
  return {
    ...later,
    reached: earlier.reached + later.reached,
    reply: later.reply ?? earlier.reply,
  };
}
