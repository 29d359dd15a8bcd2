/** Remembers things for a time, and not too many. */

interface Entry<T> {
  readonly value: T;
  readonly until: number;
}

/** What is known by name, for a time each. */
export class Remembered<T> {
  readonly #most: number;
  readonly #now: () => Date;
  readonly #entries = new Map<string, Entry<T>>();

  /** With more than `most` of them, the oldest is forgotten. */
  constructor(most: number, now: () => Date) {
    this.#most = most;
    this.#now = now;
  }

  get(name: string): T | undefined {
    const entry = this.#entries.get(name);
    return entry !== undefined && entry.until > this.#now().getTime() ? entry.value : undefined;
  }

  set(name: string, value: T, milliseconds: number): void {
    this.#entries.delete(name);
    this.#entries.set(name, { value, until: this.#now().getTime() + milliseconds });
    if (this.#entries.size > this.#most) this.#entries.delete(this.#entries.keys().next().value!);
  }
}
