/** What workers of this process have in hand: claimed, and neither recorded nor given back yet. */

/** A delivery of a claim. */
interface Held {
  readonly workerId: number;
  readonly messageId: string;
  readonly destinationId: number;
  /** The number of the attempt, which tells this claim from a later one of the same delivery. */
  readonly attempts: number;
  /** It is to show whether its destination, which fails, is back. */
  readonly probe: boolean;
}

type Key = Pick<Held, "messageId" | "destinationId">;

/** The deliveries in hand. */
export class InHand {
  readonly #held = new Map<string, Held>();

  add(held: Held): void {
    this.#held.set(keyOf(held.workerId, held), held);
  }

  /** What a worker has in hand. */
  of(workerId: number): Held[] {
    return [...this.#held.values()].filter((held) => held.workerId === workerId);
  }

  /**
   * Lets go of a delivery; answers what was held. One whose attempt is another than said stays: it is of a
   * later claim, and what is said now was said before.
   */
  letGo(workerId: number, one: Key & { readonly attempts?: number | undefined }): Held | undefined {
    const key = keyOf(workerId, one);
    const held = this.#held.get(key);
    if (held === undefined || held.attempts !== (one.attempts ?? held.attempts)) return undefined;
    this.#held.delete(key);
    return held;
  }
}

function keyOf(workerId: number, { messageId, destinationId }: Key): string {
  return `${workerId} ${messageId} ${destinationId}`;
}
