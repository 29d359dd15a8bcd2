/**
 * Connects to the first of several addresses that answers (RFC 8305 §5): an attempt that fails
 * makes way for the next at once, one that only waits does after a quarter of a second, and goes
 * on beside it.
 *
 * This file must not know sockets or clocks: dialling and waiting are handed in.
 */

/** Milliseconds until the next address is tried beside those that have not answered. */
const STAGGER_MILLISECONDS = 250;

/** An attempt to connect to one address. */
export interface Dialling<T> {
  readonly done: Promise<{ readonly value: T } | { readonly problem: string }>;
  /** Gives the attempt up; what connects after all is closed. */
  cancel(): void;
}

/** How to reach out. */
export interface Reach<T> {
  dial(address: string): Dialling<T>;
  /** Calls back after so many milliseconds; answers how to call that off. */
  after(milliseconds: number, callBack: () => void): () => void;
}

/** The first connection, and where to; or what each address was in want of. */
export type Reached<T> =
  | { readonly value: T; readonly address: string }
  | { readonly problems: readonly { readonly address: string; readonly problem: string }[] };

/** Dials the addresses in their order. */
export function reachFirst<T>(
  addresses: readonly string[],
  { dial, after }: Reach<T>,
): Promise<Reached<T>> {
  return new Promise((resolve) => {
    const problems: { readonly address: string; readonly problem: string }[] = [];
    const underWay = new Set<Dialling<T>>();
    let next = 0;
    let settled = false;
    let callOff = () => {};

    const settle = (reached: Reached<T>) => {
      settled = true;
      callOff();
      for (const dialling of underWay) dialling.cancel();
      resolve(reached);
    };
    const dialNext = () => {
      callOff();
      const address = addresses[next++];
      if (address === undefined) {
        if (underWay.size === 0) settle({ problems });
        return;
      }
      const dialling = dial(address);
      underWay.add(dialling);
      void dialling.done.then((result) => {
        underWay.delete(dialling);
        if (settled) return;
        if ("value" in result) return settle({ value: result.value, address });
        problems.push({ address, problem: result.problem });
        dialNext();
      });
      if (next < addresses.length) callOff = after(STAGGER_MILLISECONDS, dialNext);
    };
    dialNext();
  });
}
