/**
 * What waits too long for a destination that does not come back.
 *
 * Where mail goes through, each delivery is tried when it is due, and seen to then; behind a
 * destination that fails most never have their turn. Here they are marked like a claim, at most so
 * many at once, each by one worker. A paused destination has nobody seen to. Each search begins
 * where an index says that something is overdue, and ends after as many rows as are wanted: what
 * waits and is not overdue, or was seen to, is not read, however much it is.
 */
import type { Sql } from "postgres";
import type { Marked } from "./claim.ts";
import type { Overdue } from "./records.ts";

/** Seconds that mail may wait at a relay, and after which its sender is told; null: never. */
interface Times {
  readonly lifetime: number;
  readonly delayNotice: number | null;
}

/** These times by the name of the relay, and those of all relays not named. */
export interface WaitingTimes {
  readonly relays: Readonly<Record<string, Times>>;
  readonly others: Times;
}

/** Marks deliveries at failing destinations that are overdue, at most so many in all. */
export async function markOverdue(
  sql: Sql,
  workerId: number,
  limit: number,
  times: WaitingTimes,
): Promise<Marked[]> {
  const marked: Marked[] = [];
  for (const [overdue, search] of Object.entries(SEARCHES) as [Overdue, typeof pastLifetime][]) {
    const left = limit - marked.length;
    if (left === 0) break;
    const rows = await sql`
      with failing as (
        select x.id, make_interval(secs => (t ->> 'lifetime')::float8) as lifetime,
          make_interval(secs => (t ->> 'delayNotice')::float8) as notice
        from destinations x
        cross join lateral coalesce(${JSON.stringify(times.relays)}::text::json -> x.relay,
          ${JSON.stringify(times.others)}::text::json) as t
        where x.failures > 0 and x.paused_at is null
      ), candidate as (
        select d.message_id, d.destination_id
        from failing cross join lateral (${search(sql, left)}) d
        limit ${left}
      )
      update deliveries d set worker_id = ${workerId}
      from candidate c
      where d.message_id = c.message_id and d.destination_id = c.destination_id
      returning d.message_id, d.destination_id, d.priority, d.attempts`;
    marked.push(...rows.map((row) => ({
      messageId: row.message_id as string,
      destination: Number(row.destination_id),
      priority: row.priority as number,
      attempts: row.attempts as number,
      overdue,
    })));
  }
  return marked;
}

const SEARCHES: Readonly<Record<Overdue, typeof pastLifetime>> = {
  lifetime: pastLifetime,
  deliverBy: pastDeliverBy,
  notice: pastNotice,
};

/** Ids sort by time, so what is too young is not read. */
function pastLifetime(sql: Sql, limit: number) {
  return sql`
    select d.message_id, d.destination_id
    from deliveries d join messages m on m.id = d.message_id
    where d.destination_id = failing.id and d.worker_id is null
      and d.message_id < (lpad(to_hex(
          (extract(epoch from now() - failing.lifetime) * 1000)::bigint), 12, '0')
          || repeat('0', 20))::uuid
      and coalesce(m.released_at, m.received_at) + (
          select coalesce(sum(p.resumed_at - greatest(p.paused_at, m.released_at, m.received_at)),
            '0') from destination_pauses p
          where p.destination_id = failing.id
            and p.resumed_at > coalesce(m.released_at, m.received_at)
        ) < now() - failing.lifetime
    limit ${limit}
    for update of d skip locked`;
}

/** From entry to entry of deliveries_deliver_by. Pauses do not count: the sender's time runs on. */
function pastDeliverBy(sql: Sql, limit: number) {
  return sql`
    select d.message_id, d.destination_id from deliveries d
    where d.destination_id = failing.id and d.worker_id is null and d.deliver_by <= now()
    order by d.deliver_by limit ${limit}
    for update of d skip locked`;
}

/**
 * From entry to entry of deliveries_waiting. What waits longer was paused for at least as long: so
 * when the first ones are not late because of pauses, no others are.
 */
function pastNotice(sql: Sql, limit: number) {
  return sql`
    select w.message_id, w.destination_id
    from (
      select d.message_id, d.destination_id, d.waits_from from deliveries d
      where d.destination_id = failing.id and d.worker_id is null
        and d.waits_from <= now() - failing.notice
      order by d.waits_from limit ${limit}
      for update of d skip locked
    ) w
    where w.waits_from + (
        select coalesce(sum(p.resumed_at - greatest(p.paused_at, w.waits_from)), '0')
        from destination_pauses p
        where p.destination_id = failing.id and p.resumed_at > w.waits_from
      ) <= now() - failing.notice`;
}
