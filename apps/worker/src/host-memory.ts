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

interface Memory {
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly why: string;
}

/** Remembers hosts for a while. */
export class HostMemory {
  readonly #now: () => Date;
  readonly #shunned = new Map<string, Memory>();
  readonly #clear = new Map<string, Memory>();

  constructor(now: () => Date) {
    this.#now = now;
  }

  /** It could not be connected to. */
  shun(host: Host): void {
    this.#remember(this.#shunned, host, SHUNNED_MILLISECONDS);
  }

  /** It could be connected to. */
  forgive(host: Host): void {
    this.#shunned.delete(keyOf(host));
  }

  /** Its TLS failed for this reason, where TLS is not demanded. */
  goInClear(host: Host, problem: string): void {
    this.#remember(this.#clear, host, CLEAR_MILLISECONDS, problem);
  }

  /** Why its TLS failed lately; undefined where it did not. */
  tlsProblem(host: Host): string | undefined {
    return this.#recall(this.#clear, host)?.why;
  }

  /** The hosts in their order, those that are shunned after the others. */
  inOrder<T extends Host>(hosts: readonly T[]): T[] {
    if (this.#shunned.size === 0) return [...hosts];
    const shunned = new Set(hosts.filter((host) => this.#recall(this.#shunned, host)));
    return [...hosts.filter((host) => !shunned.has(host)), ...shunned];
  }

  #remember(memory: Map<string, Memory>, host: Host, milliseconds: number, why = ""): void {
    // A key that is set anew goes to the end, so that the first one is the oldest.
    memory.delete(keyOf(host));
    memory.set(keyOf(host), { until: this.#now().getTime() + milliseconds, why });
    if (memory.size > CAPACITY) memory.delete(memory.keys().next().value!);
  }

  #recall(memory: Map<string, Memory>, host: Host): Memory | undefined {
    const remembered = memory.get(keyOf(host));
    if (remembered === undefined || remembered.until > this.#now().getTime()) return remembered;
    memory.delete(keyOf(host));
    return undefined;
  }
}

/** What tells hosts apart. */
export function keyOf({ host, port }: Host): string {
  return `${host.toLowerCase()}:${port}`;
}
