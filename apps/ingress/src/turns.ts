/** Lets a bounded number of things go on at once, and of one kind only a part of them. */

interface Waiter {
  readonly kind: string;
  readonly go: (mine: boolean) => void;
}

/** Who may go on now, and who waits. */
export class Turns {
  readonly #most: number;
  readonly #mostOfAKind: number;
  readonly #waiting = new Set<Waiter>();
  readonly #ofKind = new Map<string, number>();
  #active = 0;

  constructor(most: number, mostOfAKind: number) {
    this.#most = most;
    this.#mostOfAKind = mostOfAKind;
  }

  /** Waits for a turn; false: the signal came first. Who has had a turn gives it back. */
  take(kind: string, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const waiter = { kind, go: resolve };
      this.#waiting.add(waiter);
      signal.addEventListener("abort", () => {
        if (this.#waiting.delete(waiter)) resolve(false);
      }, { once: true });
      this.#next();
    });
  }

  giveBack(kind: string): void {
    this.#active -= 1;
    this.#count(kind, -1);
    this.#next();
  }

  /** The first who waits and may go, goes. */
  #next(): void {
    if (this.#active >= this.#most) return;
    for (const waiter of this.#waiting) {
      if ((this.#ofKind.get(waiter.kind) ?? 0) >= this.#mostOfAKind) continue;
      this.#waiting.delete(waiter);
      this.#active += 1;
      this.#count(waiter.kind, 1);
      return waiter.go(true);
    }
  }

  #count(kind: string, by: number): void {
    const count = (this.#ofKind.get(kind) ?? 0) + by;
    if (count === 0) this.#ofKind.delete(kind);
    else this.#ofKind.set(kind, count);
  }
}
