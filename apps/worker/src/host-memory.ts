/**
 * What this process remembers of hosts across messages and destinations: which could not be
 * connected to a moment ago, and which cannot do TLS although they offer it.
 *
 * This file must not know sockets; the time is handed in.
 */

/** A host that could not be connected to is tried after the others for so many milliseconds. */
const SHUNNED_MILLISECONDS = 60_000;

/** A host whose TLS handshake failed is spoken to in clear for so many milliseconds. */
const CLEAR_MILLISECONDS = 600_000;

/** Hosts remembered at most; beyond that the oldest are forgotten. */
const CAPACITY = 10_000;

/** A host as connections see it. */
export interface Host {
  readonly host: string;
  readonly port: number;
}

/** Remembers hosts for a while. */
export class HostMemory {
  readonly #now: () => Date;
  readonly #shunned = new Map<string, number>();
  readonly #clear = new Map<string, number>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** It could not be connected to. */
  shun(host: Host): void {
    remember(this.#shunned, host, this.#now().getTime() + SHUNNED_MILLISECONDS);
  }

  /** It could be connected to. */
  forgive(host: Host): void {
    this.#shunned.delete(keyOf(host));
  }

  /** Its TLS handshake failed, where TLS is not demanded. */
  goInClear(host: Host): void {
    remember(this.#clear, host, this.#now().getTime() + CLEAR_MILLISECONDS);
  }

  goesInClear(host: Host): boolean {
    return this.#remembers(this.#clear, host);
  }

  /** The hosts in their order, those that are shunned after the others. */
  inOrder<T extends Host>(hosts: readonly T[]): T[] {
    if (this.#shunned.size === 0) return [...hosts];
    const shunned = new Set(hosts.filter((host) => this.#remembers(this.#shunned, host)));
    return [...hosts.filter((host) => !shunned.has(host)), ...shunned];
  }

  #remembers(memory: Map<string, number>, host: Host): boolean {
    const until = memory.get(keyOf(host));
    if (until === undefined) return false;
    if (until > this.#now().getTime()) return true;
    memory.delete(keyOf(host));
    return false;
  }
}

function keyOf({ host, port }: Host): string {
  return `${host.toLowerCase()}:${port}`;
}

function remember(memory: Map<string, number>, host: Host, until: number): void {
  // A key that is set anew goes to the end, so that the first one is the oldest.
  memory.delete(keyOf(host));
  memory.set(keyOf(host), until);
  if (memory.size > CAPACITY) memory.delete(memory.keys().next().value!);
}
