/**
 * How fast a destination takes mail, and so how much of it is worth having in hand: what goes at
 * once, and what will go in the next moment. What waits here too long would wait better in the
 * queue, where other workers find it. Must not know what a delivery is.
 */

/** Work for so many seconds is kept in hand. */
const AHEAD_SECONDS = 0.25;

/** In hand at most. */
const MOST = 250;

/** The weight of the last measurement in the average, and the least time between two, in seconds. */
const WEIGHT = 0.5;
const MEASURE_SECONDS = 0.1;

/** When nothing was finished for so many seconds, what was measured before holds no more. */
const STALE_SECONDS = 1;

/** The pace of one destination. */
export class Pace {
  /** In hand of a destination whose pace is not known. */
  static readonly FIRST = 20;

  readonly #now: () => number;
  #inHand = 0;
  #perSecond = 0;
  #finished = 0;
  #since: number;

  /** `now` is a clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#since = now();
  }

  get inHand(): number {
    return this.#inHand;
  }

  took(): void {
    if (this.#inHand === 0) {
      // Time without work says nothing of the pace.
      this.#since = this.#now();
      this.#finished = 0;
    }
    this.#inHand += 1;
  }

  finished(): void {
    this.#inHand -= 1;
    this.#finished += 1;
    const seconds = (this.#now() - this.#since) / 1000;
    if (seconds < MEASURE_SECONDS && this.#inHand > 0) return;
    const measured = this.#finished / Math.max(seconds, 0.001);
    this.#perSecond += WEIGHT * (measured - this.#perSecond);
    this.#finished = 0;
    this.#since = this.#now();
  }

  /** How many more are worth having; 0 while what is in hand lasts, so that claims come in batches. */
  get room(): number {
    const seconds = (this.#now() - this.#since) / 1000;
    const isStale = this.#inHand > 0 && seconds > STALE_SECONDS;
    const perSecond = isStale ? Math.min(this.#perSecond, 1 / seconds) : this.#perSecond;
    const target = Math.min(MOST, Math.max(Pace.FIRST, perSecond * AHEAD_SECONDS));
    return this.#inHand > target / 2 ? 0 : Math.floor(target) - this.#inHand;
  }
}
