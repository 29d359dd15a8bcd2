/**
 * Turns at things of which there are only so many; who asks first comes first. Knows nothing of what
 * is done with them.
 */

/** Lends things to pieces of work, each to one at a time. */
export class Turns<Thing> {
  readonly #free: Thing[];
  readonly #waiting: ((thing: Thing) => void)[] = [];

  constructor(things: Iterable<Thing>) {
    this.#free = [...things];
  }

  /** Does the work when its turn has come; what it throws is thrown. */
  async run<T>(work: (thing: Thing) => Promise<T>): Promise<T> {
    const thing = this.#free.pop() ??
      await new Promise<Thing>((begin) => this.#waiting.push(begin));
    try {
      return await work(thing);
    } finally {
      // It goes to the next in line before anybody new can take it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#free.push(thing);
      else next(thing);
    }
  }
}
