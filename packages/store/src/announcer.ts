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
 * The least time between two announcements of a process, in milliseconds: when there is much to
 * tell, so that one carries more; and when messages come one by one, whose delay would be felt.
 */
const BUSY_PAUSE = 25;
const QUIET_PAUSE = 1;

/** More commits than this since the last announcement are much to tell. */
const FEW = 2;

/** A payload is at most 7,999 bytes; more lines than this are announced as "look everywhere". */
const MOST_LINES = 300;

/** What an announcement of accepted mail begins with. */
const ACCEPTED = "+";

/** What is announced: mail that clients hand in, or what the queue itself adds, as reports. */
export type Source = "accepted" | "made";

/** Announces lines that got something new. */
export class Announcer {
  readonly #sql: Sql;
  readonly #prefix: string;
  #lines = new Set<string>();
  #resting = false;
  /** Commits to be told of with the next announcement. */
  #untold = 0;

  constructor(sql: Sql, source: Source) {
    this.#sql = sql;
    this.#prefix = source === "accepted" ? ACCEPTED : "";
  }

  /** Tells soon: at once when nothing was told just now. */
  announce(lines: Iterable<LineKey>): void {
    this.#untold += 1;
    for (const { destination, priority } of lines) this.#lines.add(`${destination}:${priority}`);
    if (!this.#resting && this.#lines.size > 0) void this.#tell();
  }

  async #tell(): Promise<void> {
    this.#resting = true;
    const lines = this.#lines.size > MOST_LINES ? "" : [...this.#lines].join(" ");
    const payload = this.#prefix + lines;
    this.#lines = new Set();
    const pause = this.#untold > FEW ? BUSY_PAUSE : QUIET_PAUSE;
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
  readonly source: Source;
  /** Undefined: look everywhere. */
  readonly lines: readonly LineKey[] | undefined;
}

/** Reads an announcement. */
export function announced(payload: string): Announcement {
  const source = payload.startsWith(ACCEPTED) ? "accepted" : "made";
  const lines = source === "accepted" ? payload.slice(ACCEPTED.length) : payload;
  if (lines === "") return { source, lines: undefined };
  return {
    source,
    lines: lines.split(" ").map((text) => {
      const [destination, priority] = text.split(":").map(Number);
      return { destination: destination!, priority: priority! };
    }),
  };
}
