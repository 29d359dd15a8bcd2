/**
 * How many messages and recipients clients and users may send over time, counted for all ingresses
 * together. Counted is in fixed windows of a second, a minute and an hour, so that a claim is one
 * statement; what is claimed while a statement is under way goes together in the next one.
 *
 * The counts are in a table that is not logged: after a crash of Postgres they begin anew.
 */
import type { Rate } from "@postern/config";
import type { Database } from "./connection.ts";

/** One claim on a rate. */
export interface RateClaim {
  /** Whose rate of what: `client lan messages`. All who share the key share the rate. */
  readonly key: string;
  readonly rate: Rate;
}

const PERIODS = [["perSecond", 1], ["perMinute", 60], ["perHour", 3600]] as const;

/** The most claims of one statement. */
const CLAIMS_AT_ONCE = 1000;

interface Waiting {
  readonly claims: readonly RateClaim[];
  readonly resolve: (granted: boolean) => void;
  readonly reject: (error: unknown) => void;
}

/** Claims on the rates of senders; make one for each process. */
export class SenderRates {
  readonly #sql: Database["sql"];
  readonly #waiting: Waiting[] = [];
  #claiming = false;

  constructor({ sql }: Database) {
    this.#sql = sql;
  }

  /**
   * Claims one of each; true when no rate is exceeded. What is refused counts all the same until its
   * window ends.
   *
   * @throws when Postgres is away (`isUnavailable`): answer 451
   */
  claim(claims: readonly RateClaim[]): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ claims, resolve, reject });
      if (this.#claiming) return;
      this.#claiming = true;
      // Once this turn's input is dealt with, so that what arrived together is claimed together.
      queueMicrotask(() => void this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, CLAIMS_AT_ONCE);
      try {
        const used = await this.#count(batch);
        for (const { claims, resolve } of batch) resolve(grant(claims, used));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
    this.#claiming = false;
  }

  /** Adds the batch to the counts; answers the counts from before it. */
  async #count(batch: readonly Waiting[]): Promise<Map<string, number>> {
    const added = new Map<string, { key: string; seconds: number; added: number }>();
    for (const { claims } of batch) {
      for (const { key, rate } of claims) {
        for (const [name, seconds] of PERIODS) {
          if (rate[name] === undefined) continue;
          const row = added.get(`${seconds} ${key}`);
          if (row === undefined) added.set(`${seconds} ${key}`, { key, seconds, added: 1 });
          else row.added += 1;
        }
      }
    }
    if (added.size === 0) return new Map();
    // In one order in all processes, so that none waits for one that waits for it.
    const rows = [...added.entries()].sort(([a], [b]) => a < b ? -1 : 1).map(([, row]) => row);
    const counted = await this.#sql`
      insert into sender_counts as c (key, seconds, started, used)
      select key, seconds, floor(extract(epoch from clock_timestamp()) / seconds)::bigint, added
      from json_to_recordset(${JSON.stringify(rows)}::text::json)
        as r (key text, seconds int, added int)
      on conflict (key, seconds) do update set
        used = excluded.used + case when c.started >= excluded.started then c.used else 0 end,
        started = greatest(c.started, excluded.started)
      returning key, seconds, used`;
    return new Map(counted.map(({ key, seconds, used }) => {
      const name = `${seconds} ${key}`;
      return [name, Number(used) - added.get(name)!.added];
    }));
  }
}

/** Whether all claims fit; counts them in `used`, so that the next of the batch finds them there. */
function grant(claims: readonly RateClaim[], used: Map<string, number>): boolean {
  let granted = true;
  for (const { key, rate } of claims) {
    for (const [name, seconds] of PERIODS) {
      const most = rate[name];
      if (most === undefined) continue;
      const before = used.get(`${seconds} ${key}`) ?? 0;
      used.set(`${seconds} ${key}`, before + 1);
      if (before >= most) granted = false;
    }
  }
  return granted;
}
