/**
 * How much of each destination this worker may have in hand, so that destinations leave each other
 * alone, however many of them are silent, dead, slow or busy.
 *
 * A delivery that only waits for a peer may take minutes, so places are of two kinds. A destination is
 * trusted that was reached within the last five minutes, is not known to fail, and has let no five
 * seconds pass without an end of anything in hand. Trusted ones share places of their own; one gets a
 * quarter of what is free at most, and as much as its pace is worth. Of all others, which are doubted, one
 * has two deliveries in hand until it is reached. When half of the doubted's places are taken, the rest is
 * for those of which nothing is known: so old newcomers that prove silent leave room for new ones.
 * A destination comes to be doubted with what it has in hand, which leaves its places to those who deliver.
 *
 * Must not know what a delivery is.
 */
import { Pace } from "./pace.ts";

/** Places of destinations that are trusted, of those that are doubted, and in all. */
const TRUSTED = 1_000;
const DOUBTED = 1_000;
const ALL = 3_000;

/** At most so much of what is free goes to one destination that is trusted: 1/4. */
const SHARE = 4;

/** The same for one that is doubted and known, and for a new one: a claim asks so many of these. */
const SHARE_KNOWN = 50;
const SHARE_NEW = 200;

/** In hand of a destination that has not been reached since it was taken up. */
const TRIAL = 2;

/** A destination is trusted for so long after it was reached, and without an end, in milliseconds. */
const TRUST_MILLISECONDS = 300_000;
const QUIET_MILLISECONDS = 5_000;

/** How often it is looked which are quiet, in milliseconds. */
const SWEEP_MILLISECONDS = 500;

/** How a delivery ended, as far as it tells of its destination. */
export type End = "reached" | "failed" | "untried";

/** A destination that has something in hand, or had lately. */
interface Served {
  readonly pace: Pace;
  isTrusted: boolean;
  /** Reached since it was taken up, and not failed since. */
  isReached: boolean;
  hasFailed: boolean;
  /** When something ended, or was taken while nothing was in hand. */
  movedAt: number;
}

/** The places of one worker. */
export class Places {
  readonly #now: () => number;
  readonly #served = new Map<number, Served>();
  /** When destinations were last reached, the longest ago first. */
  readonly #reached = new Map<number, number>();
  #trusted = 0;
  #doubted = 0;
  #isCrowded = false;
  #sweptAt = -Infinity;

  /** `now` is a clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  get inHand(): number {
    return this.#trusted + this.#doubted;
  }

  /** So many more may be had in all. */
  get free(): number {
    const free = Math.max(0, TRUSTED - this.#trusted) + Math.max(0, DOUBTED - this.#doubted);
    return Math.min(free, ALL - this.inHand);
  }

  /** All places of the doubted were taken, and not many are free again. */
  get isCrowded(): boolean {
    return this.#isCrowded;
  }

  /** How many more deliveries to a destination are wanted now; 0 while it has enough in hand. */
  room(id: number, failing = false): number {
    const served = this.#served.get(id);
    const share = this.#share(id, failing || served?.hasFailed === true);
    if (share <= 0) return 0;
    const { pace, isReached } = served ?? {};
    const own = pace !== undefined && isReached ? pace.room : TRIAL - (pace?.inHand ?? 0);
    return Math.max(0, Math.min(own, share));
  }

  took(id: number): void {
    const served = this.#served.get(id) ?? this.#takeUp(id);
    if (served.pace.inHand === 0) served.movedAt = this.#now();
    served.pace.took();
    this.#count(served, 1);
  }

  /** A delivery came to an end; it has its place until that is recorded. */
  ended(id: number, end: End): void {
    const served = this.#served.get(id)!;
    served.movedAt = this.#now();
    if (end === "untried") return;
    served.isReached = end === "reached";
    served.hasFailed = end === "failed";
    this.#reached.delete(id);
    if (end === "reached") this.#reached.set(id, this.#now());
    this.#trust(served, end === "reached");
  }

  /** A place comes free. */
  left(id: number): void {
    const served = this.#served.get(id)!;
    served.pace.finished();
    this.#count(served, -1);
  }

  /** Answers which destinations have become quiet; at most now and then. */
  sweep(): number[] {
    const now = this.#now();
    if (now < this.#sweptAt + SWEEP_MILLISECONDS) return [];
    this.#sweptAt = now;
    for (const [id, at] of this.#reached) {
      if (at > now - TRUST_MILLISECONDS) break;
      this.#reached.delete(id);
    }
    const quiet: number[] = [];
    for (const [id, served] of this.#served) {
      if (!served.isTrusted || !this.#isQuiet(served)) continue;
      this.#trust(served, false);
      quiet.push(id);
    }
    return quiet;
  }

  /** Nothing of the destination is in hand any more. What is known of it stays. */
  forget(id: number): void {
    this.#served.delete(id);
  }

  /** What one destination may have of what is free. */
  #share(id: number, failing: boolean): number {
    const served = this.#served.get(id);
    const isTrusted = served?.isTrusted ?? this.#reached.has(id);
    if (isTrusted && !failing) return Math.ceil((TRUSTED - this.#trusted) / SHARE);
    if (failing || served?.isReached || (served !== undefined && this.#isQuiet(served))) {
      return Math.ceil((DOUBTED / 2 - this.#doubted) / SHARE_KNOWN);
    }
    return this.#isCrowded ? 0 : Math.ceil((DOUBTED - this.#doubted) / SHARE_NEW);
  }

  #takeUp(id: number): Served {
    const served = {
      pace: new Pace(this.#now),
      isTrusted: this.#reached.has(id),
      isReached: false,
      hasFailed: false,
      movedAt: this.#now(),
    };
    this.#served.set(id, served);
    return served;
  }

  #isQuiet({ pace, movedAt }: Served): boolean {
    return pace.inHand > 0 && this.#now() >= movedAt + QUIET_MILLISECONDS;
  }

  /** Moves a destination with what it has in hand. */
  #trust(served: Served, isTrusted: boolean): void {
    if (served.isTrusted === isTrusted) return;
    const { inHand } = served.pace;
    this.#count(served, -inHand);
    served.isTrusted = isTrusted;
    this.#count(served, inHand);
  }

  #count(served: Served, change: number): void {
    if (served.isTrusted) this.#trusted += change;
    else this.#doubted += change;
    if (this.#doubted >= DOUBTED) this.#isCrowded = true;
    else if (this.#doubted <= DOUBTED - SHARE_NEW) this.#isCrowded = false;
  }
}
