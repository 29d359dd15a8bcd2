/**
 * Where there may be something due: what a worker knows of the queue without asking Postgres.
 *
 * A line is what waits at one destination with one priority. For each the time is kept from which a
 * look at it may find something. Lines come from a scan of the queue, from the notifications of
 * whoever adds to it, and from each look itself. So a claim touches only destinations with work,
 * however many there are. A line that is wrongly known as due costs an empty look; one that is not
 * known waits for the next scan.
 */

/** A line: its destination and the priority. */
export interface LineKey {
  readonly destination: number;
  readonly priority: number;
}

interface Known {
  /** Milliseconds; a look before finds nothing. */
  at: number;
}

/** The lines of the queue, each with the time from which it is worth a look. */
export class DueLines {
  /** By destination, then by priority; the destination that waits longest for a look comes first. */
  readonly #destinations = new Map<number, Map<number, Known>>();
  /** Destinations of which no line is looked at before a time. */
  readonly #kept = new Map<number, number>();

  /** Something of this line is due from then on, or may be. */
  hear({ destination, priority }: LineKey, at: number): void {
    let lines = this.#destinations.get(destination);
    if (lines === undefined) this.#destinations.set(destination, lines = new Map());
    const known = lines.get(priority);
    if (known === undefined) lines.set(priority, { at });
    else known.at = Math.min(known.at, at);
  }

  /**
   * The destinations to look at now, in turn, at most so many, each with its due priorities, the
   * highest first. Each counts as looked at: what is heard from now on stands.
   */
  take(
    now: number,
    most: number,
    wanted: (destination: number) => boolean,
  ): { readonly destination: number; readonly priorities: readonly number[] }[] {
    const taken: { destination: number; priorities: number[] }[] = [];
    for (const [destination, lines] of this.#destinations) {
      if (taken.length >= most) break;
      if (this.#keptUntil(destination) > now) continue;
      const priorities = [...lines].filter(([, { at }]) => at <= now).map(([priority]) => priority);
      if (priorities.length === 0 || !wanted(destination)) continue;
      taken.push({ destination, priorities: priorities.sort((a, b) => b - a) });
    }
    for (const { destination, priorities } of taken) {
      this.#kept.delete(destination);
      const lines = this.#destinations.get(destination)!;
      for (const priority of priorities) lines.get(priority)!.at = Infinity;
      this.#destinations.delete(destination);
      this.#destinations.set(destination, lines);
    }
    return taken;
  }

  /**
   * No line of the destination is looked at before then, whatever is heard of it meanwhile: what comes
   * later must not overtake what has to wait.
   */
  keep(destination: number, until: number): void {
    this.#kept.set(destination, until);
  }

  /** The lines that are known of a destination are worth a look from then on, and it is not kept. */
  hurry(destination: number, at: number): void {
    this.#kept.delete(destination);
    for (const known of this.#destinations.get(destination)?.values() ?? []) {
      known.at = Math.min(known.at, at);
    }
  }

  /** When the first line that is wanted is worth a look; Infinity when none is known. */
  next(wanted: (destination: number) => boolean): number {
    let next = Infinity;
    for (const [destination, lines] of this.#destinations) {
      let at = Infinity;
      for (const known of lines.values()) at = Math.min(at, known.at);
      at = Math.max(at, this.#keptUntil(destination));
      if (at < next && wanted(destination)) next = at;
    }
    return next;
  }

  /** Forgets the lines in which nothing waits. */
  forgetEmpty(): void {
    for (const [destination, lines] of this.#destinations) {
      for (const [priority, { at }] of lines) if (at === Infinity) lines.delete(priority);
      if (lines.size > 0) continue;
      this.#destinations.delete(destination);
      this.#kept.delete(destination);
    }
  }

  #keptUntil(destination: number): number {
    return this.#kept.get(destination) ?? -Infinity;
  }
}
