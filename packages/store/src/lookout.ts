/**
 * When to look where: the lines that one process knows of, kept true by what it hears, by what each
 * claim saw, and by a look through the whole queue now and then.
 */
import type { Sql } from "postgres";
import { type Asked, type Look, type Marked, scan } from "./claim.ts";
import { DueLines, type LineKey } from "./due-lines.ts";

/** The whole queue is looked through at most so often, and unasked so often, in milliseconds. */
const PAUSE = 100;
const INTERVAL = 5_000;

/**
 * What comes after a look may be due since so many milliseconds before it, as the clock of who accepted
 * it may be behind. What is due for longer, as what a dead worker had in hand, the next look finds.
 */
const BEHIND = 10_000;

/** Knows where a claim may find something. */
export class Lookout {
  readonly lines = new DueLines();
  readonly #sql: Sql;
  #known = false;
  #wanted = true;
  /** Whoever asked for a look may have changed why lines are kept. */
  #anew = false;
  #lookedAt = -Infinity;
  /** Since when the first of each line is due, and what may come, by Postgres's clock. */
  #dueSince = new Map<string, number>();
  #newSince: number | undefined;
  #failing = new Set<number>();
  #pause = PAUSE;
  #wake: (() => void) | undefined;
  #looking: Promise<void> | undefined;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** The clock of all lines, in milliseconds. */
  now(): number {
    return performance.now();
  }

  /**
   * Somebody said to look everywhere, or it begins to be heard. `wake`: whom to wake after a look;
   * undefined when nobody hears any more of what is added.
   */
  listening(wake: (() => void) | undefined): void {
    this.#wake = wake;
    this.#wanted = true;
    this.#anew = true;
  }

  /** Something may be due anywhere. */
  lookSoon(): void {
    this.#wanted = true;
  }

  /**
   * Looks through the queue when it is time. Only who knows nothing yet waits for it; others claim
   * from what they know meanwhile.
   */
  async refresh(): Promise<void> {
    if (this.now() < this.#due()) return;
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    if (this.#wake === undefined || !this.#known) return await this.#looking;
    this.#looking.then(this.#wake, this.#wake);
  }

  /** Nothing of a line is due since before then, by Postgres's clock; undefined before the first look. */
  dueSince(line: LineKey): number | undefined {
    return this.#dueSince.get(nameOf(line)) ?? this.#newSince;
  }

  /** Whether a destination was failing when it was last looked at. */
  fails(destination: number): boolean {
    return this.#failing.has(destination);
  }

  /** Milliseconds until a claim may find something at the destinations that are wanted. */
  untilNext(wanted: (destination: number) => boolean): number {
    const look = this.#looking === undefined ? this.#due() : Infinity;
    return Math.max(0, Math.min(look, this.lines.next(wanted)) - this.now());
  }

  /** After a claim: when the lines asked are worth another look. `more`: it may have left some. */
  settle(
    asked: readonly Asked[],
    { looks, marked, more }: {
      readonly looks: readonly Look[];
      readonly marked: readonly Marked[];
      readonly more: boolean;
    },
  ): void {
    const at = this.now();
    const counts = new Map<string, number>();
    for (const line of marked) {
      const key = nameOf(line);
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const { destination, failing } of looks) {
      if (failing) this.#failing.add(destination);
      else this.#failing.delete(destination);
    }
    const byLine = new Map(looks.map((look) => [nameOf(look), look]));
    for (const line of asked) {
      const key = nameOf(line);
      const look = byLine.get(key);
      // Whoever resumes a destination announces it, and so does the outcome of a probe.
      if (look === undefined || look.paused) continue;
      if (look.failing && (look.probing || look.gate > 0)) {
        this.lines.hear(line, at + (look.probing ? INTERVAL : look.gate));
      } else if (more || !look.failing && (counts.get(key) ?? 0) >= line.count) {
        this.lines.hear(line, at);
      } else if (look.next !== null) this.lines.hear(line, at + look.next);
    }
  }

  #due(): number {
    // Who hears nothing of what is added has to look each time.
    if (this.#wake === undefined) return -Infinity;
    return this.#lookedAt + (this.#wanted ? this.#pause : Math.max(INTERVAL, 10 * this.#pause));
  }

  async #look(): Promise<void> {
    this.#wanted = false;
    const isAnew = this.#anew;
    this.#anew = false;
    const began = this.now();
    try {
      const { at, lines } = await scan(this.#sql);
      this.lines.forgetEmpty();
      if (isAnew) this.lines.forgetKept();
      for (const { key, wait } of lines) this.lines.hear(key, began + wait);
      const newSince = Math.floor(at) - BEHIND;
      this.#newSince = newSince;
      this.#dueSince = new Map(
        lines.map(({ key, due }) => [nameOf(key), Math.min(Math.floor(due), newSince)]),
      );
      this.#failing = new Set(
        lines.filter(({ failing }) => failing).map(({ key }) => key.destination),
      );
      this.#known = true;
      // A queue with so many destinations that this takes long is looked through less often.
      this.#pause = Math.max(PAUSE, 5 * (this.now() - began));
    } catch (error) {
      this.#wanted = true;
      this.#anew ||= isAnew;
      throw error;
    } finally {
      this.#lookedAt = this.now();
    }
  }
}

function nameOf({ destination, priority }: LineKey): string {
  return `${destination} ${priority}`;
}
