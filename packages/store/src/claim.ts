/**
 * The statements of a claim: mark deliveries with the worker's id, then read what they are.
 *
 * A claim asks for lines (a destination and a priority) and so touches no destination without work.
 * For each line the plan counts on the index deliveries_due, from where something may be due on:
 * before it may lie any number of entries of what was delivered, while a long transaction is open.
 */
import type { Sql, TransactionSql } from "postgres";
import type { LineKey } from "./due-lines.ts";
import { INLINE_BYTES } from "./pieces.ts";
import { afterPauses } from "./pauses.ts";
import type { ClaimedDelivery, ClaimedRecipient, Overdue } from "./records.ts";

/** How many deliveries of a line are wanted. */
export interface Asked extends LineKey {
  readonly count: number;
  /** Only what is due since then, by Postgres's clock in milliseconds; all when undefined. */
  readonly since: number | undefined;
}

/** What was marked, in the order of the queue. */
export interface Marked extends LineKey {
  readonly messageId: string;
  readonly attempts: number;
  /** Since when it waits, as Postgres writes times; null where the message alone tells. */
  readonly waitsFrom: string | null;
  readonly overdue?: Overdue;
}

/** What a look at a line told. */
export interface Look extends LineKey {
  readonly paused: boolean;
  /** The destination fails; this many milliseconds pass before it may be probed. */
  readonly failing: boolean;
  readonly gate: number;
  /** This worker probes it with what it was given. */
  readonly probing: boolean;
  /** Milliseconds until the next of the line is due; null when none is. */
  readonly next: number | null;
}

/** While a destination fails, one delivery at a time probes it, for so long at most. */
const PROBE_MINUTES = 5;

/**
 * Marks what is due in these lines as this worker's, at most so many, and tells of each line. Only what
 * has been due for `dueFor` milliseconds, unless its priority is above 0.
 */
export async function mark(
  sql: Sql | TransactionSql,
  workerId: number,
  asked: readonly Asked[],
  limit: number,
  dueFor: number,
): Promise<{ readonly marked: Marked[]; readonly looks: Look[] }> {
  const [row] = await sql`
    with asked as materialized (
      select a.o, a.id, a.p, a.n, x.paused_at, x.failures,
        greatest(x.not_before, x.probe_until) as gate,
        coalesce(to_timestamp(a.since / 1000), '-infinity') as since,
        now() - make_interval(secs => case when a.p > 0 then 0 else ${
    dueFor / 1000
  }::float8 end) as due
      from json_to_recordset(${JSON.stringify(asked.map(askedRow))}::text::json)
        as a (o int, id bigint, p smallint, n int, since float8)
      join destinations x on x.id = a.id
    ), open as (
      -- Whoever gets to lock the row may probe, with one delivery.
      select y.id, line.p
      from destinations y
      cross join lateral (
        select max(a.p) as p from asked a
        where a.id = y.id and exists (
          select 1 from deliveries d where d.destination_id = a.id and d.priority = a.p
            and d.worker_id is null and d.due_at between a.since and a.due)
      ) line
      where y.id in (select id from asked where failures > 0 and paused_at is null)
        and y.failures > 0 and coalesce(y.not_before, now()) <= now()
        and coalesce(y.probe_until, now()) <= now() and line.p is not null
      for update of y skip locked
    ), candidate as (
      select d.message_id, d.destination_id
      from (
        select a.id, a.p, a.since, a.due, case when open.id is null then a.n else 1 end as n
        from asked a left join open on open.id = a.id and open.p = a.p
        where a.paused_at is null and (a.failures = 0 or open.id is not null)
        order by a.o
      ) a
      cross join lateral (
        select message_id, destination_id from deliveries
        where destination_id = a.id and priority = a.p and worker_id is null
          and due_at between a.since and a.due
        order by due_at limit a.n
        for update skip locked
      ) d
      limit ${limit}
    ), marked as (
      update deliveries d set worker_id = ${workerId}
      from candidate c
      where d.message_id = c.message_id and d.destination_id = c.destination_id
      returning d.message_id, d.destination_id, d.priority, d.attempts, d.due_at,
        coalesce(d.waits_from, d.late_from) as waits_from
    ), probing as (
      update destinations x set probe_until = now() + make_interval(mins => ${PROBE_MINUTES})
      from open join marked m on m.destination_id = open.id
      where x.id = open.id
      returning x.id
    )
    select
      (select coalesce(json_agg(json_build_array(message_id, destination_id, priority, attempts,
          waits_from)
        order by priority desc, due_at), '[]') from marked) as marked,
      (select coalesce(json_agg(json_build_array(a.id, a.p, a.paused_at is not null,
          a.failures > 0, extract(epoch from a.gate - now()) * 1000, probing.id is not null,
          extract(epoch from next.due_at - now()) * 1000)), '[]')
        from asked a
        left join probing on probing.id = a.id
        left join lateral (
          select due_at from deliveries
          where destination_id = a.id and priority = a.p and worker_id is null and due_at > now()
          order by due_at limit 1
        ) next on true) as looks`;
  return {
    marked: (row?.marked as [string, number, number, number, string | null][]).map(
      ([messageId, destination, priority, attempts, waitsFrom]) => (
        { messageId, destination, priority, attempts, waitsFrom }
      ),
    ),
    looks: (row?.looks as [number, number, boolean, boolean, number | null, boolean, number][]).map(
      ([destination, priority, paused, failing, gate, probing, next]) => (
        { destination, priority, paused, failing, gate: gate ?? 0, probing, next }
      ),
    ),
  };
}

function askedRow({ destination, priority, count, since }: Asked, order: number) {
  return { o: order, id: destination, p: priority, n: count, since };
}

/** A delivery's place in a map. */
export function keyOf(messageId: string, destination: number): string {
  return `${messageId} ${destination}`;
}

/** What was marked, read, each by its {@link keyOf}; without those whose message is not there any more. */
export async function read(
  sql: Sql,
  marked: readonly Pick<Marked, "messageId" | "destination" | "waitsFrom">[],
): Promise<Map<string, Omit<ClaimedDelivery, "attempts" | "destination">>> {
  // Bounds spare the statement the partitions that hold none of these.
  const ids = marked.map(({ messageId }) => messageId).sort();
  const [first, last] = [ids[0] ?? null, ids.at(-1) ?? null];
  const keys = marked.map(({ messageId, destination, waitsFrom }) => (
    { m: messageId, d: destination, f: waitsFrom }
  ));
  const rows = await sql`
    select m.id, k.d, m.received_at, ${
    afterPauses(sql, { since: sql`w.since`, destination: sql`k.d` })
  } as lifetime_from, m.reverse_path, m.parameters, m.size, m.configuration_version, c.bytes,
      r.recipients
    from json_to_recordset(${
    JSON.stringify(keys)
  }::text::json) as k (m uuid, d bigint, f timestamptz)
    -- One by one, by their keys: a limit keeps the planner from reading whole partitions.
    cross join lateral (
      select * from messages where id = k.m and id between ${first} and ${last} limit 1
    ) m
    cross join lateral (select coalesce(k.f, m.released_at, m.received_at) as since) w
    left join lateral (
      select bytes from contents
      where message_id = k.m and message_id between ${first} and ${last} and ordinal = 0 limit 1
    ) c on m.size < ${INLINE_BYTES}
    cross join lateral (
      select coalesce(json_agg(json_build_object('ordinal', ordinal, 'forwardPath', forward_path,
        'acceptedAs', decision ->> 'recipient', 'parameters', parameters, 'treatment', treatment, 'delayReported',
        delay_reported_at is not null, 'lastReply', last_reply) order by ordinal), '[]') as recipients
      from recipients
      where message_id = k.m and message_id between ${first} and ${last}
        and destination_id = k.d and state in ('queued', 'deferred')
    ) r`;
  return new Map(rows.map((row) => {
    const size = Number(row.size);
    return [keyOf(row.id, Number(row.d)), {
      messageId: row.id,
      destinationId: Number(row.d),
      receivedAt: row.received_at,
      lifetimeFrom: row.lifetime_from,
      reversePath: row.reverse_path,
      parameters: row.parameters,
      size,
      configurationVersion: Number(row.configuration_version),
      recipients: row.recipients as ClaimedRecipient[],
      content: row.bytes ?? (size === 0 ? new Uint8Array() : undefined),
    }];
  }));
}

/** What a look through the whole queue found. */
interface Scan {
  /** When that was, by Postgres's clock in milliseconds. */
  readonly at: number;
  /**
   * Each line with the milliseconds until it is worth a look, the time its first is due, and whether
   * its destination fails.
   */
  readonly lines: readonly {
    readonly key: LineKey;
    readonly wait: number;
    readonly due: number;
    readonly failing: boolean;
  }[];
}

/**
 * The lines of the whole queue: from entry to entry of deliveries_due, one step for each line, however
 * much waits in it. Paused ones are left out.
 */
export async function scan(sql: Sql): Promise<Scan> {
  const rows = await sql`
    with recursive line as (
      (select destination_id, priority, due_at from deliveries where worker_id is null
        order by destination_id, priority, due_at limit 1)
      union all
      select following.* from line
      cross join lateral (
        select destination_id, priority, due_at from deliveries
        where worker_id is null and (destination_id, priority) > (line.destination_id, line.priority)
        order by destination_id, priority, due_at limit 1
      ) following
    )
    select extract(epoch from now()) * 1000 as at, found.*
    from (values (1)) as always
    left join (
      select line.destination_id, line.priority, extract(epoch from line.due_at) * 1000 as due,
        extract(epoch from greatest(line.due_at, x.not_before, x.probe_until) - now()) * 1000 as wait,
        x.failures > 0 as failing
      from line join destinations x on x.id = line.destination_id
      where x.paused_at is null
    ) found on true`;
  return {
    at: Number(rows[0]?.at),
    lines: rows.filter((row) => row.destination_id !== null).map((row) => ({
      key: { destination: Number(row.destination_id), priority: row.priority },
      wait: Number(row.wait),
      due: Number(row.due),
      failing: row.failing,
    })),
  };
}
