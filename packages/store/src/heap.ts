/** A binary heap: of what is in it, the first is at hand. Knows nothing of what it holds. */

/** Holds things, of which the one with the smallest key is taken first. */
export class Heap<Thing> {
  readonly #keyOf: (thing: Thing) => number;
  /** No thing's key is smaller than that of its parent, which is at (index - 1) >> 1. */
  readonly #things: Thing[] = [];

  constructor(keyOf: (thing: Thing) => number, things: Iterable<Thing> = []) {
    this.#keyOf = keyOf;
    for (const thing of things) this.push(thing);
  }

  get size(): number {
    return this.#things.length;
  }

  get first(): Thing | undefined {
    return this.#things[0];
  }

  push(thing: Thing): void {
    const things = this.#things;
    const key = this.#keyOf(thing);
    let at = things.length;
    for (let parent = (at - 1) >> 1; at > 0; at = parent, parent = (at - 1) >> 1) {
      if (this.#keyOf(things[parent]!) <= key) break;
      things[at] = things[parent]!;
    }
    things[at] = thing;
  }

  /** Takes the first out. */
  pop(): Thing | undefined {
    const things = this.#things;
    const first = things[0];
    const last = things.pop();
    if (last === undefined || things.length === 0) return first;
    // The last one goes where the first was, and down until none below has a smaller key.
    const key = this.#keyOf(last);
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= things.length) break;
      const isRightFirst = child + 1 < things.length &&
        this.#keyOf(things[child + 1]!) < this.#keyOf(things[child]!);
      if (isRightFirst) child += 1;
      if (this.#keyOf(things[child]!) >= key) break;
      things[at] = things[child]!;
      at = child;
    }
    things[at] = last;
    return first;
  }
}
