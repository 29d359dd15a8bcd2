/**
 * Where there may be something due: what a worker knows of the queue without asking Postgres.
 *
 * A line is what waits at one destination with one priority. For each the time is kept from which a
 * look at it may find something. Lines come from a scan of the queue, from the notifications of
 * whoever adds to it, and from each look itself. So a claim touches only destinations with work,
 * however many there are. A line that is wrongly known as due costs an empty look; one that is not
 * known waits for the next scan.
 *
 * Destinations that are not due lie in a heap by their time, those that are due in a list by their
 * turn. So a look costs what is due, not what is known.
 */
import { Heap } from "./heap.ts";

/** A line: its destination and the priority. */
export interface LineKey {
  readonly destination: number;
  readonly priority: number;
}

interface Known {
  readonly destination: number;
  /** By priority, from when the line is worth a look, in milliseconds. */
  readonly lines: Map<number, number>;
  /** The smaller, the longer it waits for a look. */
  turn: number;
  /** No line is looked at before. */
  keptUntil: number;
  /** Where it is filed; undefined while none of its lines is worth a look. */
  filed: Filed | undefined;
}

/** A place in the heap or the list. One that its destination does not point at any more is void. */
interface Filed {
  readonly known: Known;
  readonly at: number;
  readonly turn: number;
  /** In the list. */
  readonly isDue: boolean;
}

/** Void places in the heap are cleared away when they are more than those that count, and than so many. */
const VOID = 64;

/** The lines of the queue, each with the time from which it is worth a look. */
export class DueLines {
  readonly #destinations = new Map<number, Known>();
  /** Not due when it was last looked. */
  #later = new Heap<Filed>(({ at }) => at);
  /** Due, the destination that waits longest for a look first. */
  #due: Filed[] = [];
  #turn = 0;

  /** Something of this line is due from then on, or may be. */
  hear({ destination, priority }: LineKey, at: number): void {
    let known = this.#destinations.get(destination);
    if (known === undefined) {
      const lines = new Map<number, number>();
      known = { destination, lines, turn: this.#turn++, keptUntil: -Infinity, filed: undefined };
      this.#destinations.set(destination, known);
    }
    if (at >= (known.lines.get(priority) ?? Infinity)) {
      if (!known.lines.has(priority)) known.lines.set(priority, at);
      return;
    }
    known.lines.set(priority, at);
    this.#file(known);
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
    this.#becomeDue(now);
    const taken: Known[] = [];
    const passed: Filed[] = [];
    let index = 0;
    for (; index < this.#due.length && taken.length < most; index += 1) {
      const filed = this.#due[index]!;
      const { known } = filed;
      if (known.filed !== filed) continue;
      if (wanted(known.destination)) taken.push(known);
      else passed.push(filed);
    }
    if (index > 0) this.#due = passed.concat(this.#due.slice(index));
    return taken.map((known) => {
      const { destination, lines } = known;
      const priorities = [...lines].filter(([, at]) => at <= now).map(([priority]) => priority);
      for (const priority of priorities) lines.set(priority, Infinity);
      known.turn = this.#turn++;
      known.keptUntil = -Infinity;
      known.filed = undefined;
      this.#file(known);
      return { destination, priorities: priorities.sort((a, b) => b - a) };
    });
  }

  /**
   * No line of the destination is looked at before then, whatever is heard of it meanwhile: what comes
   * later must not overtake what has to wait.
   */
  keep(destination: number, until: number): void {
    const known = this.#destinations.get(destination);
    if (known === undefined) return;
    known.keptUntil = until;
    known.filed = undefined;
    this.#file(known);
  }

  /** What was kept is looked at when its lines are worth it: why it was kept may be over. */
  forgetKept(): void {
    for (const known of this.#destinations.values()) {
      if (known.keptUntil > -Infinity) this.#unkeep(known);
    }
  }

  /** The lines that are known of a destination are worth a look from then on, and it is not kept. */
  hurry(destination: number, at: number): void {
    const known = this.#destinations.get(destination);
    if (known === undefined) return;
    for (const [priority, before] of known.lines) {
      known.lines.set(priority, Math.min(before, at));
    }
    this.#unkeep(known);
  }

  /**
   * When a look at one that is wanted may find something; Infinity when nothing is known. Of what was
   * not due at the last look it is not asked whether it is wanted.
   */
  next(wanted: (destination: number) => boolean): number {
    const due = this.#due.find((filed) =>
      filed.known.filed === filed && wanted(filed.known.destination)
    );
    if (due !== undefined) return due.at;
    while (isVoid(this.#later.first)) this.#later.pop();
    return this.#later.first?.at ?? Infinity;
  }

  /** Forgets the lines in which nothing waits. */
  forgetEmpty(): void {
    for (const [destination, { lines }] of this.#destinations) {
      for (const [priority, at] of lines) if (at === Infinity) lines.delete(priority);
      if (lines.size === 0) this.#destinations.delete(destination);
    }
  }

  #unkeep(known: Known): void {
    known.keptUntil = -Infinity;
    this.#file(known);
  }

  /** Files a destination by the first of its lines, unless it is due or filed for no later time. */
  #file(known: Known): void {
    let at = Infinity;
    for (const one of known.lines.values()) at = Math.min(at, one);
    at = Math.max(at, known.keptUntil);
    const { filed } = known;
    if (at === Infinity || filed?.isDue === true || (filed !== undefined && filed.at <= at)) return;
    known.filed = { known, at, turn: known.turn, isDue: false };
    this.#later.push(known.filed);
    if (this.#later.size > 2 * this.#destinations.size + VOID) this.#clear();
  }

  #clear(): void {
    const filed = [...this.#destinations.values()].flatMap(({ filed }) =>
      filed === undefined || filed.isDue ? [] : [filed]
    );
    this.#later = new Heap(({ at }) => at, filed);
  }

  #becomeDue(now: number): void {
    let isInOrder = true;
    for (let { first } = this.#later; first !== undefined && first.at <= now;) {
      this.#later.pop();
      if (!isVoid(first)) {
        const filed = { ...first, isDue: true };
        first.known.filed = filed;
        isInOrder &&= filed.turn >= (this.#due.at(-1)?.turn ?? -1);
        this.#due.push(filed);
      }
      first = this.#later.first;
    }
    if (!isInOrder) this.#due.sort((one, other) => one.turn - other.turn);
  }
}

function isVoid(filed: Filed | undefined): boolean {
  return filed !== undefined && filed.known.filed !== filed;
}
