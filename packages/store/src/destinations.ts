/**
 * What people do to a destination: pause, resume, flush.
 *
 * A pause stops claims, not what workers have in hand; the time of each pause is kept, because it
 * does not count against the lifetime of what waited.
 */
import type { Database } from "./connection.ts";
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Destination } from "./records.ts";

/** Stops claims for a destination; false when there is no such destination. */
export async function pauseDestination({ sql }: Database, id: number): Promise<boolean> {
  const rows = await sql`
    update destinations set paused_at = coalesce(paused_at, now()) where id = ${id} returning id`;
  return rows.length > 0;
}

/** Ends a pause, if there is one; false when there is no such destination. */
export async function resumeDestination({ sql }: Database, id: number): Promise<boolean> {
  const [row] = await sql`
    with old as (
      select id, paused_at from destinations where id = ${id} for update
    ), pause as (
      insert into destination_pauses (destination_id, paused_at, resumed_at)
      select id, paused_at, now() from old where paused_at is not null
    ), resumed as (
      update destinations d set paused_at = null from old where d.id = old.id
    )
    select (select count(*) from old)::int as found, pg_notify(${QUEUE_CHANNEL}, '')`;
  return Number(row?.found) > 0;
}

/**
 * Makes all that waits at a destination due now; one that fails is probed at once. What a sender
 * wants delivered later (RFC 4865) stays for later. Answers how many deliveries became due,
 * undefined when there is no such destination.
 */
export async function flushDestination(
  { sql }: Database,
  destination: number | Destination,
): Promise<number | undefined> {
  const which = typeof destination === "number"
    ? sql`id = ${destination}`
    : sql`relay = ${destination.relay} and next_hop = ${destination.nextHop}`;
  const [row] = await sql`
    with flushed as (
      update destinations set not_before = case when failures > 0 then now() end, probe_until = null
      where ${which} returning id
    ), due as (
      update deliveries set due_at = now()
      where destination_id in (select id from flushed) and worker_id is null and due_at > now()
        and attempts > 0
      returning 1
    )
    select (select count(*) from flushed)::int as found, (select count(*) from due)::int as due,
      pg_notify(${QUEUE_CHANNEL}, '')`;
  return Number(row?.found) > 0 ? Number(row?.due) : undefined;
}
