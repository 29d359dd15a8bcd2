/**
 * The sessions with next hops that have nothing to do just now: kept a little, so that the next
 * delivery to the same destination need not connect again.
 */
import type { NextHopSession } from "./next-hop-session.ts";

/** A session without work is kept for so many milliseconds. */
const IDLE_MILLISECONDS = 2_000;

/** Keeps open sessions; the one that worked last is taken first. */
export class SessionPool {
  readonly #now: () => Date;
  readonly #kept: { readonly session: NextHopSession; readonly since: number }[] = [];
  #timer: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  constructor(now: () => Date) {
    this.#now = now;
  }

  get isEmpty(): boolean {
    return this.#kept.length === 0;
  }

  /** Takes a usable session out of the pool. */
  take(): NextHopSession | undefined {
    for (let kept = this.#kept.pop(); kept !== undefined; kept = this.#kept.pop()) {
      if (kept.session.usable) return kept.session;
    }
    return undefined;
  }

  /** Keeps a session, or lets it go if the pool is closed. */
  keep(session: NextHopSession): void {
    if (!session.usable) return;
    if (this.#closed) return session.quit();
    this.#kept.push({ session, since: this.#now().getTime() });
    this.#timer ??= setTimeout(this.#expire, IDLE_MILLISECONDS);
  }

  /** Says QUIT on all that is kept, and on all that is to be kept from now on. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const { session } of this.#kept.splice(0)) session.quit();
  }

  readonly #expire = (): void => {
    const now = this.#now().getTime();
    const fresh = this.#kept.findIndex(({ since }) => since + IDLE_MILLISECONDS > now);
    for (const { session } of this.#kept.splice(0, fresh < 0 ? this.#kept.length : fresh)) {
      session.quit();
    }
    const oldest = this.#kept[0];
    this.#timer = oldest === undefined
      ? undefined
      : setTimeout(this.#expire, oldest.since + IDLE_MILLISECONDS - now);
  };
}
