/**
 * Notices where nothing happens for too long, for many connections with one timer. A timer for each
 * would be made, put back and dropped several times for every message.
 *
 * Time goes in ticks: a limit is up to one tick late, and never early.
 */
import { Roster } from "./roster.ts";

/** The length of a tick, in milliseconds. */
const TICK = 250;

/** Somebody who is to be told when nothing happens for too long. */
export interface IdleWatch {
  /** Something happened: counts anew. */
  touch(): void;
  /** Something happened that is worth so many seconds: these are added to what is left of the limit. */
  credit(seconds: number): void;
  /** From now on so many seconds without anything are too long; `Infinity`: no time is. */
  limit(seconds: number): void;
  /** Watches no longer. */
  end(): void;
}

/** The clock of a process, or of a part of it. */
export class IdleClock {
  readonly #watches = new Roster<Watch>();
  #ticks = 0;
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #now = () => this.#ticks;

  /** Calls `onIdle` when a limit, none at first, has run out; again only after something happened. */
  watch(onIdle: () => void): IdleWatch {
    const watch = new Watch(onIdle, this.#now, () => this.#watches.remove(place));
    const place = this.#watches.add(watch);
    this.#timer ??= setInterval(() => this.#tick(), TICK);
    return watch;
  }

  #tick(): void {
    this.#ticks += 1;
    this.#watches.forEach((watch) => watch.look());
    // Only here: connections come and go faster than a timer should.
    if (this.#watches.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

class Watch implements IdleWatch {
  readonly end: () => void;
  readonly #onIdle: () => void;
  readonly #now: () => number;
  #limit = Infinity;
  /** The tick in which something happened last. */
  #last: number;

  constructor(onIdle: () => void, now: () => number, end: () => void) {
    this.#onIdle = onIdle;
    this.#now = now;
    this.#last = now();
    this.end = end;
  }

  touch(): void {
    this.#last = this.#now();
  }

  credit(seconds: number): void {
    this.#last = Math.min(this.#now(), this.#last + seconds * 1000 / TICK);
  }

  limit(seconds: number): void {
    this.#limit = seconds * 1000 / TICK;
    this.#last = this.#now();
  }

  look(): void {
    // What happened within a tick may have happened at its very end.
    if (this.#now() - this.#last <= this.#limit) return;
    this.#last = Infinity;
    this.#onIdle();
  }
}
