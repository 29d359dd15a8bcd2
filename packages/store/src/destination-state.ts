/**
 * What outcomes say of destinations: whether they fail as a whole and how long their queues wait,
 * how many deliveries at once they bear, and what they said last.
 */
import type { DestinationLimits } from "@postern/config";
import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";
import type { DeliveryOutcome } from "./records.ts";
import { storableJson } from "./storable.ts";

/** So long a probe may last, host after host that says nothing. */
const PROBE_SECONDS = 3_600;

/**
 * What a batch of outcomes says of one destination; neither reached nor failed where only its probe is
 * over, without result.
 */
export interface Feedback {
  readonly id: number;
  /** Deliveries for which the destination was there, whatever it said of the message. */
  readonly reached: number;
  readonly failed: boolean;
  /** Seconds to wait after the first, second, … failure in a row. */
  readonly delays: readonly number[];
  /** The last reply other than one that accepts. */
  readonly reply: string | null;
}

/** The probe of a destination came to no result. */
export function probeEnded(id: number): Feedback {
  return { id, reached: 0, failed: false, delays: [], reply: null };
}

/** The bounds of how many deliveries at once a destination may have; undefined: no limit. */
export type ConcurrencyOf = (
  id: number,
) => NonNullable<DestinationLimits["concurrency"]> | undefined;

/** Sums up outcomes by destination. A destination that anybody reached has not failed. */
export function feedbackOf(outcomes: readonly DeliveryOutcome[]): Feedback[] {
  const sums = new Map<number, Feedback>();
  for (const { destinationId: id, destination, recipients } of outcomes) {
    if (destination === undefined) continue;
    const sum = sums.get(id) ?? { id, reached: 0, failed: false, delays: [], reply: null };
    const deferred = recipients.find(({ state }) => state === "deferred");
    sums.set(
      id,
      destination.status === "reached"
        ? { ...sum, reached: sum.reached + 1, reply: deferred?.reply ?? sum.reply }
        : { ...sum, failed: true, delays: destination.delays, reply: destination.reply },
    );
  }
  return [...sums.values()];
}

/**
 * Writes what was learnt, except of destinations that another statement has locked just now; answers the
 * ids of the others. Rows are locked in the order of their ids, as every statement that locks
 * several does. A failure counts once while the queue waits for its end: others that were under way
 * add nothing. Success ends the waiting at once. Where nothing was tried for longer than any probe
 * waits, nothing did wait: a failure is the first one again.
 */
export async function learnOf(
  sql: Sql,
  feedback: readonly Feedback[],
  concurrencyOf: ConcurrencyOf,
): Promise<number[]> {
  const rows = feedback.map(({ delays, ...one }) => {
    const bounds = concurrencyOf(one.id);
    return { ...one, delays, minimum: bounds?.minimum ?? null, maximum: bounds?.maximum ?? null };
  });
  const learnt = await sql`
    with f as (
      select * from json_to_recordset(${storableJson(rows)}::text::json)
        as f (id bigint, reached int, failed boolean, delays float8[], reply text,
          minimum real, maximum real)
    ), locked as (
      select x.id, f.failed and f.reached = 0 and (x.failures = 0 or x.probe_until is not null)
          as failure,
        case when x.not_before < now() - make_interval(secs => 2 * longest + ${PROBE_SECONDS}) then 0
          else x.failures end as failures
      from destinations x join f on f.id = x.id
      cross join lateral (select max(delay) as longest from unnest(f.delays) delay) d
      order by x.id for update of x skip locked
    )
    update destinations x set
      failures = case when f.reached > 0 then 0 when l.failure then l.failures + 1
        else x.failures end,
      -- A tenth of jitter: what failed together is not probed together.
      not_before = case when f.reached > 0 then null
        when l.failure then now() + make_interval(secs => (1 + 0.1 * random()) *
          f.delays[least(l.failures + 1, array_length(f.delays, 1))])
        else x.not_before end,
      probe_until = null,
      last_reply = coalesce(f.reply, x.last_reply),
      last_reply_at = case when f.reply is null then x.last_reply_at else now() end,
      concurrency = case
        when f.maximum is null then null
        when f.failed and f.reached = 0
          then greatest(f.minimum, least(f.maximum, coalesce(x.concurrency, f.maximum)) / 2)
        when x.concurrency is null then null
        else least(f.maximum, x.concurrency + f.reached / greatest(x.concurrency, 1)) end
    from f join locked l on l.id = f.id
    where x.id = f.id
    returning x.id`;
  return learnt.map(({ id }) => Number(id));
}

/**
 * Expressions for the `with` of a statement: `freed` are the deliveries (`d`) of which that holds, whose
 * claims come free. Each may have been a probe, so their destinations may be probed again: at once, or when
 * the time of the probe is over where another statement has the destination locked.
 */
export function freeing(sql: Sql | TransactionSql, condition: PendingQuery<Row[]>) {
  return sql`
    freed as (
      -- Said in so many words, so that an index of what is claimed serves, and not all that waits is read.
      update deliveries d set worker_id = null where d.worker_id is not null and (${condition})
      returning d.destination_id
    ), probed as (
      select id from destinations
      where id in (select destination_id from freed) and probe_until is not null
      order by id for update skip locked
    ), probe_ended as (
      update destinations x set probe_until = null from probed where x.id = probed.id
    )`;
}
