/**
 * Destinations as people look at them: how much waits, since when, what was said last, and what
 * holds it up.
 */
import type { Sql } from "postgres";
import type { Database } from "./connection.ts";
import type { Destination } from "./records.ts";

/** A destination as it is shown. */
export interface DestinationSummary extends Destination {
  readonly id: number;
  /** Deliveries in the queue: waiting and in flight. */
  readonly depth: number;
  /** Deliveries that workers have in hand. */
  readonly inFlight: number;
  /** When the oldest message in its queue was received; null when nothing waits. */
  readonly oldest: string | null;
  readonly lastReply: string | null;
  readonly lastReplyAt: string | null;
  /** Nothing is tried before this time: the destination failed as a whole. */
  readonly notBefore: string | null;
  /** How often in a row it failed as a whole. */
  readonly failures: number;
  /** Since when it is paused. */
  readonly pausedAt: string | null;
  /** Deliveries at once, where its relay limits them and it has been learnt. */
  readonly concurrency: number | null;
}

/** What to look for; all given conditions must hold. */
export interface DestinationQuery {
  readonly relay?: string;
  readonly nextHop?: string;
  /** `waiting`: with something in its queue; `failing`: with something that waits for its return. */
  readonly state?: "waiting" | "failing" | "paused";
  readonly limit: number;
  /** The id that the page before ended with. */
  readonly after?: number;
}

/** By id. One more than `limit` is answered where there are more. */
export async function listDestinations(
  { sql }: Database,
  { relay, nextHop, state, limit, after }: DestinationQuery,
): Promise<DestinationSummary[]> {
  // Counts on deliveries_due and deliveries_claimed, read once for the whole page: a million
  // deliveries at the destinations of a page take a third of a second, few take none.
  const rows = await sql`
    with page as materialized (
      select * from destinations x
      where id > ${after ?? 0}
        ${relay === undefined ? sql`` : sql`and relay = ${relay}`}
        ${nextHop === undefined ? sql`` : sql`and next_hop = ${nextHop}`}
        ${state === "paused" ? sql`and paused_at is not null` : sql``}
        ${state === "failing" ? sql`and failures > 0` : sql``}
        ${state === "waiting" || state === "failing" ? sql`and ${hasQueue(sql)}` : sql``}
      order by id limit ${limit}
    ), depth as (
      select destination_id, sum(waiting)::int as waiting, sum(claimed)::int as claimed,
        min(first)::uuid as first
      from (
        select destination_id, count(*) as waiting, 0 as claimed, min(message_id::text) as first
        from deliveries
        where destination_id = any (array(select id from page)) and worker_id is null group by 1
        union all
        select destination_id, 0, count(*), min(message_id::text)
        from deliveries
        where destination_id = any (array(select id from page)) and worker_id is not null group by 1
      ) d
      group by 1
    )
    select page.*, coalesce(waiting, 0) as waiting, coalesce(claimed, 0) as claimed,
      m.received_at as oldest
    from page
    left join depth on depth.destination_id = page.id
    left join messages m on m.id = depth.first
    order by page.id`;
  return rows.map((row) => ({
    id: Number(row.id),
    relay: row.relay,
    nextHop: row.next_hop,
    depth: row.waiting + row.claimed,
    inFlight: row.claimed,
    oldest: instant(row.oldest),
    lastReply: row.last_reply,
    lastReplyAt: instant(row.last_reply_at),
    notBefore: instant(row.not_before),
    failures: row.failures,
    pausedAt: instant(row.paused_at),
    concurrency: row.concurrency === null ? null : Number(row.concurrency),
  }));
}

/**
 * Whether a destination (`x`) has anything in its queue, by an index for what waits and one for what
 * is claimed. One that has nothing does not count as failing: nothing tells when it is back.
 */
export function hasQueue(sql: Sql) {
  return sql`(exists (select 1 from deliveries where destination_id = x.id and worker_id is null)
    or exists (select 1 from deliveries where destination_id = x.id and worker_id is not null))`;
}

function instant(at: Date | null): string | null {
  return at?.toISOString() ?? null;
}
