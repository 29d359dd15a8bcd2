/**
 * Slows down the guessing of tokens: so many failures from one address, then one more each few
 * seconds. Whoever was let in from that address with the same token before is let in meanwhile, so
 * that a fool behind the same proxy locks nobody out. Bounded memory, no clock of its own.
 */

/** Failures that an address may have at once. */
const BURST = 20;
/** Milliseconds after which one is forgiven. */
const FORGIVEN_AFTER = 3000;
const MOST_ADDRESSES = 10_000;
const MOST_KNOWN = 10_000;

/** Counts failures for each address. */
export class FailureLimit {
  /** By address, when all its failures will be forgiven. */
  readonly #forgivenAt = new Map<string, number>();
  readonly #known = new Set<string>();

  /** Seconds to wait before another token may be tried; 0 when there is no need. */
  wait(address: string, digest: string, now: number): number {
    const network = networkOf(address);
    const until = (this.#forgivenAt.get(network) ?? 0) - (BURST - 1) * FORGIVEN_AFTER;
    if (until <= now || this.#known.has(`${network} ${digest}`)) return 0;
    return Math.ceil((until - now) / 1000);
  }

  /** A token was tried that is none. */
  failed(address: string, now: number): void {
    const network = networkOf(address);
    const before = Math.max(this.#forgivenAt.get(network) ?? 0, now);
    this.#forgivenAt.delete(network);
    this.#forgivenAt.set(network, before + FORGIVEN_AFTER);
    trim(this.#forgivenAt, MOST_ADDRESSES);
  }

  /** A token was good. */
  succeeded(address: string, digest: string): void {
    const entry = `${networkOf(address)} ${digest}`;
    if (this.#known.has(entry)) return;
    this.#known.add(entry);
    trim(this.#known, MOST_KNOWN);
  }
}

/** Whoever has one address of an IPv6 network of 64 bits has them all. */
function networkOf(address: string): string {
  if (!address.includes(":") || address.includes(".")) return address;
  const [head = ""] = address.split("::");
  const groups = head.split(":");
  return address.includes("::") ? [...groups, "0", "0", "0", "0"].slice(0, 4).join(":") : groups
    .slice(0, 4).join(":");
}

/** Takes out what was put in longest ago. */
function trim(entries: Map<string, unknown> | Set<string>, most: number): void {
  if (entries.size <= most) return;
  const [oldest] = entries.keys();
  entries.delete(oldest!);
}
