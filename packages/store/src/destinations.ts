/**
 * What people do to a destination: pause, resume, flush.
 *
 * A pause stops claims, not what workers have in hand; the time of each pause is kept, because it
 * does not count against the lifetime of what waited.
 */
import type { Sql, TransactionSql } from "postgres";
import { type AuditEntry, recordWith } from "./audit.ts";
import type { Database } from "./connection.ts";
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Destination } from "./records.ts";

/** Does it together with its entry in the audit log, where it is to have one and something was done. */
async function recorded<Done>(
  { sql }: Database,
  audit: AuditEntry | undefined,
  act: (tx: TransactionSql) => Promise<Done>,
): Promise<Done> {
  return await sql.begin(async (tx) => {
    const done = await act(tx);
    if (done !== false && done !== undefined) await recordWith(tx, audit);
    return done;
  }) as Done;
}

/** Stops claims for a destination; false when there is no such destination. */
export async function pauseDestination(
  database: Database,
  id: number,
  audit?: AuditEntry,
): Promise<boolean> {
  return await recorded(database, audit, async (tx) => {
    const rows = await tx`
      update destinations set paused_at = coalesce(paused_at, now()) where id = ${id} returning id`;
    return rows.length > 0;
  });
}

/** Ends a pause, if there is one; false when there is no such destination. */
export async function resumeDestination(
  database: Database,
  id: number,
  audit?: AuditEntry,
): Promise<boolean> {
  return await recorded(database, audit, async (tx) => {
    const [row] = await tx`
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
  });
}

/** So many deliveries become due in one transaction: for the time it takes nobody else has them. */
const FLUSHED_AT_ONCE = 2_000;

/**
 * Makes all that waits at a destination due now; one that fails is probed at once. What a sender
 * wants delivered later (RFC 4865) stays for later. Answers how many deliveries became due,
 * undefined when there is no such destination. Should it end before its time, another one goes on.
 */
export async function flushDestination(
  database: Database,
  destination: number | Destination,
  audit?: AuditEntry,
): Promise<number | undefined> {
  // By itself: whoever has to say something of the destination does not wait for its whole queue.
  const id = await recorded(database, audit, async (tx): Promise<number | undefined> => {
    const which = typeof destination === "number"
      ? tx`id = ${destination}`
      : tx`relay = ${destination.relay} and next_hop = ${destination.nextHop}`;
    const [row] = await tx`
      with flushed as (
        update destinations set not_before = case when failures > 0 then now() end, probe_until = null
        where ${which} returning id
      )
      select id, pg_notify(${QUEUE_CHANNEL}, '') from flushed`;
    return row === undefined ? undefined : Number(row.id);
  });
  if (id === undefined) return undefined;
  let due = 0;
  let from = { priority: -9, at: "-infinity" };
  for (;;) {
    const page = await flushPage(database.sql, id, from);
    due += page.count;
    // What failed again meanwhile is not waited for.
    if (page.count < FLUSHED_AT_ONCE) return due;
    from = page.last;
  }
}

/** A place in a destination's entries of the index deliveries_due. */
interface Place {
  readonly priority: number;
  readonly at: string;
}

/** Makes due what waits from a place on, entry by entry; what others have just locked they see to. */
async function flushPage(
  sql: Sql,
  id: number,
  from: Place,
): Promise<{ readonly count: number; readonly last: Place }> {
  const [row] = await sql`
    with page as (
      select message_id, priority, due_at from deliveries
      where destination_id = ${id} and worker_id is null and due_at > now() and attempts > 0
        and (priority, due_at) >= (${from.priority}::smallint, ${from.at}::text::timestamptz)
      order by priority, due_at limit ${sql.unsafe(String(FLUSHED_AT_ONCE))}
      for update skip locked
    ), due as (
      update deliveries d set due_at = now() from page
      where d.message_id = page.message_id and d.destination_id = ${id}
    )
    select (select count(*)::int from page) as count, priority, due_at::text as at,
      pg_notify(${QUEUE_CHANNEL}, '')
    from page order by priority desc, due_at desc limit 1`;
  if (row === undefined) return { count: 0, last: from };
  return { count: row.count, last: { priority: row.priority, at: row.at } };
}
