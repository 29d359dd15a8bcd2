/** What waits for a destination that does not come back, until its lifetime is over. */
import type { Sql } from "postgres";
import type { Marked } from "./claim.ts";

/** Lifetimes in seconds by the name of the relay, and that of all relays not named. */
export interface Lifetimes {
  readonly relays: Readonly<Record<string, number>>;
  readonly others: number;
}

/**
 * Marks deliveries at failing destinations whose lifetime is over, at most so many. Where mail goes
 * through each is tried when it is due and given up then; here most never have their turn. A paused
 * destination gives up nothing. Ids sort by time, so what is too young is not read.
 */
export async function giveUpWaiting(
  sql: Sql,
  workerId: number,
  limit: number,
  { relays, others }: Lifetimes,
): Promise<Marked[]> {
  const rows = await sql`
    with failing as (
      select x.id, make_interval(secs => coalesce(
        (${JSON.stringify(relays)}::text::json ->> x.relay)::float8, ${others}::float8)) as lifetime
      from destinations x where x.failures > 0 and x.paused_at is null
    ), candidate as (
      select d.message_id, d.destination_id
      from failing
      cross join lateral (
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
        for update of d skip locked
      ) d
      limit ${limit}
    )
    update deliveries d set worker_id = ${workerId}
    from candidate c
    where d.message_id = c.message_id and d.destination_id = c.destination_id
    returning d.message_id, d.destination_id, d.priority, d.attempts`;
  return rows.map((row) => ({
    messageId: row.message_id,
    destination: Number(row.destination_id),
    priority: row.priority,
    attempts: row.attempts,
  }));
}
