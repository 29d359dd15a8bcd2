/**
 * The sessions with next hops that have nothing to do just now: kept a little, so that the next
 * delivery to the same destination need not connect again.
 */
import type { NextHopSession } from "./next-hop-session.ts";
import type { HostRelay } from "./next-hops.ts";

/** Seconds that a session without work is kept, where the relay does not say. */
const IDLE_SECONDS = 2;

/**
 * Seconds for which a session is used again, so that hosts that came back, or whose turn it is, get their
 * share also while there is always something to deliver.
 */
const REUSED_SECONDS = 300;

interface Kept {
  readonly session: NextHopSession;
  /** Milliseconds since 1970. */
  readonly until: number;
}

/** Keeps open sessions; the one that worked last is taken first. */
export class SessionPool {
  readonly #now: () => Date;
  #kept: Kept[] = [];
  /** When each session was kept first, in milliseconds since 1970. */
  readonly #since = new WeakMap<NextHopSession, number>();
  #relay: HostRelay | undefined;
  #definition = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(now: () => Date) {
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0;
  }

  /** Takes a usable session out of the pool, one that was opened for this definition of the relay. */
  take(relay: HostRelay): NextHopSession | undefined {
    this.#follow(relay);
    for (let kept = this.#kept.pop(); kept !== undefined; kept = this.#kept.pop()) {
      if (kept.session.usable) return kept.session;
    }
    return undefined;
  }

  /** Keeps a session, or lets it go if it served enough, for another definition, or the pool is closed. */
  keep(session: NextHopSession, relay: HostRelay): void {
    if (!session.usable) return;
    const { messagesPerConnection = Infinity, idleSeconds = IDLE_SECONDS } = relay.limits ?? {};
    const now = this.#now().getTime();
    const since = this.#since.get(session) ?? now;
    this.#since.set(session, since);
    const spent = session.transactions >= messagesPerConnection ||
      now - since >= REUSED_SECONDS * 1000;
    if (this.#closed || spent || this.#relay !== relay) return session.quit();
    this.#kept.push({ session, until: now + idleSeconds * 1000 });
    this.#timer ??= setTimeout(this.#expire, idleSeconds * 1000);
  }

  /** Says QUIT on all that is kept, and on all that is to be kept from now on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#letGo();
  }

  /** Sessions of a former definition of the relay are not used: hosts, TLS or user may have changed. */
  #follow(relay: HostRelay): void {
    if (relay === this.#relay) return;
    this.#relay = relay;
    const definition = JSON.stringify(relay);
    if (definition !== this.#definition) this.#letGo();
    this.#definition = definition;
  }

  #letGo(): void {
    for (const { session } of this.#kept.splice(0)) session.quit();
  }

  readonly #expire = (): void => {
    const now = this.#now().getTime();
    const expired = this.#kept.filter(({ until }) => until <= now);
    this.#kept = this.#kept.filter(({ until }) => until > now);
    for (const { session } of expired) session.quit();
    const oldest = this.#kept[0];
    this.#timer = oldest === undefined
      ? undefined
      : setTimeout(this.#expire, Math.max(oldest.until - now, 1));
  };
}
