/**
 * What waits too long: behind a destination that does not come back, or for its turn within limits.
 *
 * Where mail goes through, each delivery is tried when it is due, and seen to then; behind a
 * destination that fails, or in a long queue that a limit lets go slowly, most do not have their turn.
 * Here they are marked like a claim, at most so many at once, each by one worker. In a pause lifetime
 * and delay notice rest; the time that a sender set for delivery (RFC 2852) runs on, wherever it waits.
 *
 * Each search goes from destination to destination by an index of what may become overdue, and looks
 * at the first entry of each: what waits and is not overdue, or was seen to, is not read, however much
 * it is.
 */
import type { Sql } from "postgres";
import type { Marked } from "./claim.ts";
import { afterPauses } from "./pauses.ts";
import type { Overdue } from "./records.ts";

/** Seconds that mail may wait at a relay, and after which its sender is told; null: never. */
interface Times {
  readonly lifetime: number;
  readonly delayNotice: number | null;
  /** The relay has limits that keep mail back. */
  readonly isLimited: boolean;
}

/** These times by the name of the relay, and those of all relays not named. */
export interface WaitingTimes {
  readonly relays: Readonly<Record<string, Times>>;
  readonly others: Times;
}

/**
 * Where a destination is there, what has limits is tried a last time when its lifetime ends. Only what
 * has still not had its turn after so many seconds more is given up here.
 */
const LAST_TURN = 60;

/** A column of `deliveries` with an index by destination, of what may become overdue in this way. */
interface Search {
  readonly overdue: Overdue;
  readonly column: "waits_from" | "late_from" | "deliver_by";
}

/** What is over for good comes first. What was looked at for its notice is not in waits_from any more. */
const SEARCHES: readonly Search[] = [
  { overdue: "lifetime", column: "waits_from" },
  { overdue: "lifetime", column: "late_from" },
  { overdue: "deliverBy", column: "deliver_by" },
  { overdue: "notice", column: "waits_from" },
];

/** Marks deliveries that are overdue, at most so many in all. */
export async function markOverdue(
  sql: Sql,
  workerId: number,
  limit: number,
  times: WaitingTimes,
): Promise<Marked[]> {
  const marked: Marked[] = [];
  for (const { overdue, column } of SEARCHES) {
    const left = limit - marked.length;
    if (left === 0) break;
    const since = sql(column);
    // What waits longer was paused for at least as long: so when the first ones are not overdue because of
    // pauses, no others are.
    const waitsFrom = afterPauses(sql, {
      since: sql`d.since`,
      destination: sql`d.destination_id`,
    });
    const rows = await sql`
      with recursive first as (
        (select destination_id, ${since} as since from deliveries
          where worker_id is null and ${since} is not null
          order by destination_id, ${since} limit 1)
        union all
        select following.* from first
        cross join lateral (
          select destination_id, ${since} from deliveries
          where worker_id is null and ${since} is not null and destination_id > first.destination_id
          order by destination_id, ${since} limit 1
        ) following
      ), asked as (
        select x.id, first.since as oldest, ${boundOf(sql, overdue)} as since
        from first join destinations x on x.id = first.destination_id
        left join json_each(${
      JSON.stringify(times.relays)
    }::text::json) named on named.key = x.relay
        cross join lateral coalesce(named.value, ${JSON.stringify(times.others)}::text::json) as t
        where ${
      overdue === "deliverBy"
        ? sql`true`
        : sql`x.paused_at is null and (x.failures > 0 or (t ->> 'isLimited')::boolean)`
    }
      ), candidate as (
        select d.message_id, d.destination_id
        from asked
        cross join lateral (
          select message_id, destination_id, ${since} as since from deliveries
          where destination_id = asked.id and worker_id is null and ${since} <= asked.since
          order by ${since} limit ${left}
          for update skip locked
        ) d
        where asked.oldest <= asked.since
          and ${overdue === "deliverBy" ? sql`true` : sql`${waitsFrom} <= asked.since`}
        limit ${left}
      )
      update deliveries d set worker_id = ${workerId}
      from candidate c
      where d.message_id = c.message_id and d.destination_id = c.destination_id
      returning d.message_id, d.destination_id, d.priority, d.attempts,
        coalesce(d.waits_from, d.late_from)::text as waits_from`;
    marked.push(...rows.map((row) => ({
      messageId: row.message_id as string,
      destination: Number(row.destination_id),
      priority: row.priority as number,
      attempts: row.attempts as number,
      waitsFrom: row.waits_from as string | null,
      overdue,
    })));
  }
  return marked;
}

/** What has waited since then is overdue at a destination (`x`) with these times (`t`); null: nothing. */
function boundOf(sql: Sql, overdue: Overdue) {
  switch (overdue) {
    case "deliverBy":
      return sql`now()`;
    case "notice":
      return sql`now() - make_interval(secs => (t ->> 'delayNotice')::float8)`;
    case "lifetime":
      return sql`now() - make_interval(secs => (t ->> 'lifetime')::float8
        + case when x.failures > 0 then 0 else ${LAST_TURN}::float8 end)`;
  }
}
