/**
 * Tells the workers what was added to the queue, at most once in a few milliseconds.
 *
 * Postgres lets only one transaction with a NOTIFY commit at a time, across the whole server. So it
 * stays out of the commits that carry mail, and costs none of its own under load. An announcement
 * that is lost with its process is made up for by the workers' scan.
 */
import type { Sql } from "postgres";
import { QUEUE_CHANNEL } from "./channels.ts";
import type { LineKey } from "./due-lines.ts";

/**
 * The least time between two announcements of a process when there is much to tell, in milliseconds:
 * each costs all processes, so that one is to carry more.
 */
export const ANNOUNCEMENT_PAUSE = 25;

/** The same when messages come one by one, whose delay would be felt. */
const QUIET_PAUSE = 1;

/** More commits than this since the last announcement are much to tell. */
const FEW = 2;

/** A payload is at most 7,999 bytes; more lines than this are announced as "look everywhere". */
const MOST_LINES = 300;

/** What an announcement of accepted mail begins with; their number follows. */
const ACCEPTED = "+";

/** Announces lines that got something new. */
export class Announcer {
  readonly #sql: Sql;
  #lines = new Set<string>();
  #resting = false;
  /** Commits to be told of with the next announcement, and messages that clients handed in with them. */
  #untold = 0;
  #accepted = 0;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /**
   * Tells soon: at once when nothing was told just now. `accepted` is the number of messages that
   * clients handed in; what the queue itself adds, as reports, is none of them.
   */
  announce(lines: Iterable<LineKey>, accepted = 0): void {
    this.#untold += 1;
    this.#accepted += accepted;
    for (const { destination, priority } of lines) this.#lines.add(`${destination}:${priority}`);
    if (!this.#resting && this.#lines.size > 0) void this.#tell();
  }

  async #tell(): Promise<void> {
    this.#resting = true;
    const payload = [
      ...(this.#accepted > 0 ? [`${ACCEPTED}${this.#accepted}`] : []),
      ...(this.#lines.size > MOST_LINES ? [] : this.#lines),
    ].join(" ");
    const pause = this.#untold > FEW ? ANNOUNCEMENT_PAUSE : QUIET_PAUSE;
    this.#lines = new Set();
    this.#accepted = 0;
    this.#untold = 0;
    try {
      // Nothing is lost with an announcement that a crash of the server swallows: no sync for it.
      await this.#sql`
        select set_config('synchronous_commit', 'off', true), pg_notify(${QUEUE_CHANNEL}, ${payload})`;
    } catch {
      // Postgres is away; the workers look by themselves when it is back.
    }
    setTimeout(() => {
      this.#resting = false;
      if (this.#lines.size > 0) void this.#tell();
    }, pause);
  }
}

/** An announcement, read. */
export interface Announcement {
  /** Messages that clients handed in. */
  readonly accepted: number;
  /** Undefined: look everywhere. */
  readonly lines: readonly LineKey[] | undefined;
}

/** Reads an announcement; an empty one says to look everywhere. */
export function announced(payload: string): Announcement {
  const words = payload === "" ? [] : payload.split(" ");
  const accepted = words[0]?.startsWith(ACCEPTED) === true ? Number(words.shift()) : 0;
  if (words.length === 0) return { accepted, lines: undefined };
  return {
    accepted,
    lines: words.map((word) => {
      const [destination, priority] = word.split(":").map(Number);
      return { destination: destination!, priority: priority! };
    }),
  };
}
