/**
 * Claims from destinations whose relays limit them: deliveries at once, and deliveries over time.
 *
 * All workers together keep to the limits, so each claim locks the destinations it asks (and passes
 * by those that another worker has locked), counts what is in flight, takes what is left, and writes
 * down what it took: one transaction. Destinations without limits never come here.
 */
import type { DestinationLimits } from "@postern/config";
import type { Sql, TransactionSql } from "postgres";
import { type Asked, type Look, mark, type Marked } from "./claim.ts";
import { type Allowance, allowed, atOnce, refill, spend, untilAllowed } from "./limits.ts";

/** Before the next look where another worker is just claiming, or all permits are taken. */
const LOCKED_MILLISECONDS = 20;
const FULL_MILLISECONDS = 200;

/** What a claim within limits got. */
export interface LimitedClaim {
  /** What was asked in the end, with the counts that the limits left. */
  readonly asked: readonly Asked[];
  readonly marked: Marked[];
  readonly looks: Look[];
  /** Lines that the limits kept back, and for how many milliseconds. */
  readonly waits: readonly { readonly line: Asked; readonly wait: number }[];
}

/** Marks what is due in these lines, one line to a destination, as far as limits allow. */
export async function claimLimited(
  sql: Sql,
  workerId: number,
  lines: readonly Asked[],
  limit: number,
  dueFor: number,
  limitsOf: (destination: number) => DestinationLimits,
): Promise<LimitedClaim> {
  const ids = lines.map(({ destination }) => destination);
  return await sql.begin(async (transaction) => {
    const rows = await transaction`
      select id, concurrency, allowance, extract(epoch from clock_timestamp()) * 1000 as now
      from destinations where id = any (${ids}::bigint[]) order by id for update skip locked`;
    const states = new Map(rows.map((row) => [Number(row.id), row]));
    const bounded = [...states.keys()].filter((id) => limitsOf(id).concurrency !== undefined);
    const inFlight = await countInFlight(transaction, bounded);

    const asked: Asked[] = [];
    const waits: { line: Asked; wait: number }[] = [];
    const allowances = new Map<number, Allowance>();
    let left = limit;
    for (const line of lines) {
      const { destination: id } = line;
      const state = states.get(id);
      if (state === undefined || left === 0) {
        waits.push({ line, wait: state === undefined ? LOCKED_MILLISECONDS : 0 });
        continue;
      }
      const { concurrency, rate } = limitsOf(id);
      let count = Math.min(line.count, left);
      if (concurrency !== undefined) {
        const most = Math.floor(atOnce(concurrency, state.concurrency));
        count = Math.min(count, most - (inFlight.get(id) ?? 0));
        if (count <= 0) {
          waits.push({ line, wait: FULL_MILLISECONDS });
          continue;
        }
      }
      if (rate !== undefined) {
        const allowance = refill(rate, state.allowance as Allowance | null, Number(state.now));
        allowances.set(id, allowance);
        count = Math.min(count, allowed(allowance));
        if (count === 0) {
          waits.push({ line, wait: untilAllowed(rate, allowance) });
          continue;
        }
      }
      asked.push({ ...line, count });
      left -= count;
    }
    if (asked.length === 0) return { asked, marked: [], looks: [], waits };
    const { marked, looks } = await mark(transaction, workerId, asked, limit, dueFor);

    const written = asked.flatMap(({ destination: id }) => {
      const took = marked.filter(({ destination }) => destination === id).length;
      if (took === 0) return [];
      const allowance = allowances.get(id);
      const { concurrency } = limitsOf(id);
      return [{
        id,
        concurrency: concurrency === undefined
          ? null
          : atOnce(concurrency, states.get(id)!.concurrency),
        allowance: allowance === undefined ? null : spend(allowance, took),
      }];
    });
    if (written.length > 0) {
      await transaction`
        update destinations x set concurrency = w.concurrency, allowance = w.allowance
        from json_to_recordset(${JSON.stringify(written)}::text::json)
          as w (id bigint, concurrency real, allowance jsonb)
        where x.id = w.id`;
    }
    return { asked, marked, looks, waits };
  });
}

/**
 * What all workers have in hand of destinations. A statement of its own, after the locks: it must see what
 * others committed before they let them go.
 *
 * While a long transaction is open, such as pg_dump, it reads on past all that was in hand since.
 */
async function countInFlight(
  sql: TransactionSql,
  ids: readonly number[],
): Promise<ReadonlyMap<number, number>> {
  if (ids.length === 0) return new Map();
  const rows = await sql`
    select destination_id, count(*)::int as count from deliveries
    where destination_id = any (${[...ids]}::bigint[]) and worker_id is not null
    group by destination_id`;
  return new Map(rows.map((row) => [Number(row.destination_id), Number(row.count)]));
}
