/**
 * What administrators do to messages in the queue: hold, release, retry, cancel, reroute.
 *
 * An action locks the message's deliveries first. A worker claims by skipping what is locked, and
 * records outcomes by updating the same rows, so what is seen under the lock stays so until the
 * action is committed. A delivery that a worker has in hand is left as it is: nobody is taken out of
 * it, as the next hop may have said 250 already, and nobody joins it, as it ends with its outcome.
 */
import type { TransactionSql } from "postgres";
import { type AuditEntry, recordWith } from "./audit.ts";
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Database } from "./connection.ts";
import { DestinationIds } from "./destination-ids.ts";
import { afterPauses } from "./pauses.ts";
import { ACTION_EVENTS, type RecipientAction, stateAfter } from "./recipient-actions.ts";
import type { Destination, RecipientState, Treatment } from "./records.ts";

/** A new way for a recipient. */
export interface NewWay {
  readonly destination: Destination;
  readonly decision: object;
  /** Its copy's; as before when absent. */
  readonly treatment?: Treatment;
}

/** What is to be done. */
export interface MessageAction {
  readonly action: RecipientAction;
  /** Whose name the events bear. */
  readonly author: string;
  /** The recipients to act on, by forward-path; when absent, all to whom the action applies. */
  readonly recipients?: readonly string[];
  /** For `reroute`: the new way of each recipient, by forward-path. Who is not there is left alone. */
  readonly ways?: ReadonlyMap<string, NewWay>;
  /** What the audit log is to say of it. */
  readonly audit?: AuditEntry;
}

/** Why one recipient stands in the way. */
export interface Obstacle {
  readonly recipient: string;
  readonly state: RecipientState;
  /**
   * `delivering`: a worker has in hand the delivery that it is in or would join; `state`: not in this
   * state; `unknown`: no such one.
   */
  readonly reason: "delivering" | "state" | "unknown";
}

/** What became of an action. */
export type ActionOutcome =
  | { readonly status: "done"; readonly recipients: readonly string[] }
  /** There is no such message. */
  | { readonly status: "unknown" }
  /** Nothing was changed. */
  | { readonly status: "refused"; readonly obstacles: readonly Obstacle[] };

/** Where a changed recipient goes now, and since when it has waited, if it has. */
interface Touched {
  readonly destination: number;
  readonly since: string | null;
}

interface Row {
  readonly ordinal: number;
  readonly path: string;
  readonly state: RecipientState;
  readonly destination: number;
}

/** Acts on a message, all of it or not at all. */
export async function actOnMessage(
  { sql }: Database,
  id: string,
  { action, author, recipients, ways, audit }: MessageAction,
): Promise<ActionOutcome> {
  const destinations = new DestinationIds(sql);
  await destinations.learn([...ways?.values() ?? []].map(({ destination }) => destination));
  return await sql.begin(async (tx): Promise<ActionOutcome> => {
    const [message] = await tx`select 1 from messages where id = ${id} for update`;
    if (message === undefined) return { status: "unknown" };
    const { inHand, waitsFrom } = await lockDeliveries(tx, id);
    const rows = await recipientsOf(tx, id);
    const wayOf = (row: Row) => {
      const way = ways?.get(row.path);
      if (way === undefined) return { destination: row.destination };
      return { ...way, destination: destinations.idOf(way.destination) };
    };
    const isInHand = (row: Row) =>
      waits(row.state) && inHand.has(row.destination) ||
      waits(stateAfter(action, row.state)) && inHand.has(wayOf(row).destination);
    const chosen = choose(rows, action, recipients, isInHand);
    if ("obstacles" in chosen) return { status: "refused", obstacles: chosen.obstacles };
    await recordWith(tx, audit);
    const changed = chosen.rows.filter(({ path }) => ways === undefined || ways.has(path));
    if (changed.length === 0) return { status: "done", recipients: [] };
    await write(tx, id, action, author, changed, wayOf);
    const touched = changed.map((row) => {
      const { destination } = wayOf(row);
      const from = waits(row.state) ? waitsFrom.get(row.destination) : undefined;
      // The pauses of its destination count where it stays; those of the one it leaves go along.
      const since = destination === row.destination ? from?.since : from?.afterPauses;
      return { destination, since: since ?? null };
    });
    await bringQueueInLine(tx, id, action, touched);
    await tx`select pg_notify(${QUEUE_CHANNEL}, '')`;
    return { status: "done", recipients: changed.map(({ path }) => path) };
  });
}

/** Since when a delivery waits, and that time moved on by the pauses of its destination. */
interface WaitsFrom {
  readonly since: string;
  readonly afterPauses: string;
}

/**
 * Locks the message's deliveries; answers the destinations of those that a worker has in hand, and
 * since when each waits.
 */
async function lockDeliveries(tx: TransactionSql, id: string) {
  const rows = await tx`
    select d.destination_id, d.worker_id, w.since::text, (${
    afterPauses(tx, { since: tx`w.since`, destination: tx`d.destination_id` })
  } + case when x.paused_at is null then interval '0'
        else now() - greatest(x.paused_at, w.since) end)::text as after_pauses
    from deliveries d
    join destinations x on x.id = d.destination_id
    cross join lateral (select coalesce(d.waits_from, d.late_from) as since) w
    where d.message_id = ${id} order by d.destination_id for update of d`;
  const claimed = rows.filter(({ worker_id }) => worker_id !== null);
  return {
    inHand: new Set(claimed.map((row) => Number(row.destination_id))),
    waitsFrom: new Map(rows.map((row): [number, WaitsFrom] => [
      Number(row.destination_id),
      { since: row.since, afterPauses: row.after_pauses },
    ])),
  };
}

async function recipientsOf(tx: TransactionSql, id: string): Promise<Row[]> {
  const rows = await tx`
    select ordinal, forward_path, state, destination_id from recipients
    where message_id = ${id} order by ordinal`;
  return rows.map((row) => ({
    ordinal: row.ordinal,
    path: row.forward_path,
    state: row.state,
    destination: Number(row.destination_id),
  }));
}

/** Whether recipients in this state have a delivery. */
function waits(state: RecipientState | undefined): boolean {
  return state === "queued" || state === "deferred";
}

/** The recipients to act on, or what stands in the way. */
function choose(
  rows: readonly Row[],
  action: RecipientAction,
  wanted: readonly string[] | undefined,
  isInHand: (row: Row) => boolean,
): { readonly rows: readonly Row[] } | { readonly obstacles: readonly Obstacle[] } {
  const fits = ({ state }: Row) => stateAfter(action, state) !== undefined;
  const obstacle = (row: Row, reason: Obstacle["reason"]): Obstacle => ({
    recipient: row.path,
    state: row.state,
    reason,
  });
  const named = wanted && new Set(wanted.map((path) => path.toLowerCase()));
  const candidates = named ? rows.filter(({ path }) => named.has(path.toLowerCase())) : rows;
  const fitting = candidates.filter(fits);
  const obstacles = fitting.filter(isInHand).map((row) => obstacle(row, "delivering"));
  if (named || fitting.length === 0) {
    obstacles.push(...candidates.filter((row) => !fits(row)).map((row) => obstacle(row, "state")));
  }
  const known = new Set(rows.map(({ path }) => path.toLowerCase()));
  for (const recipient of wanted ?? []) {
    if (known.has(recipient.toLowerCase())) continue;
    obstacles.push({ recipient, state: "deleted", reason: "unknown" });
  }
  return obstacles.length > 0 ? { obstacles } : { rows: fitting };
}

/** Writes the recipients' new states and ways, and an event for each. */
async function write(
  tx: TransactionSql,
  id: string,
  action: RecipientAction,
  author: string,
  changed: readonly Row[],
  wayOf: (row: Row) => {
    readonly destination: number;
    readonly decision?: object;
    readonly treatment?: Treatment;
  },
): Promise<void> {
  const rows = changed.map((row) => {
    const { destination, decision, treatment } = wayOf(row);
    return {
      n: row.ordinal,
      path: row.path,
      state: stateAfter(action, row.state),
      destination,
      decision: decision ?? null,
      treatment: treatment ?? null,
    };
  });
  await tx`
    with x as (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as x (n int, path text,
        state text, destination bigint, decision jsonb, treatment jsonb)
    ), changed as (
      update recipients r set state = x.state, destination_id = x.destination, changed_at = now(),
        -- The first decision stays, with where it led; the event has the new one.
        decision = case when ${action === "reroute"} and not r.decision ? 'destination'
          then r.decision || jsonb_build_object('destination',
            jsonb_build_object('relay', f.relay, 'nextHop', f.next_hop)) else r.decision end,
        treatment = case when ${action === "reroute"}
          -- Who was refused by policy and is sent another way is refused no more.
          then coalesce(x.treatment, r.treatment - 'refusal') else r.treatment end
      from x, destinations f
      where r.message_id = ${id} and r.ordinal = x.n and f.id = r.destination_id
    )
    insert into events (message_id, at, kind, detail)
    select ${id}, now(), ${ACTION_EVENTS[action]}, jsonb_build_object('recipient', x.path,
      'by', ${author}::text) || case when ${action === "reroute"} then
        (select jsonb_build_object('destination',
           jsonb_build_object('relay', d.relay, 'nextHop', d.next_hop), 'decision', x.decision)
         from destinations d where d.id = x.destination) else '{}'::jsonb end
    from x order by x.n`;
}

/**
 * One delivery for each destination with a recipient that waits, none for others. What is released,
 * retried or rerouted is due now, but not before the time that its sender asked for (RFC 4865).
 *
 * What was held begins its lifetime anew, what is rerouted takes its lifetime along. All recipients of
 * a delivery have one, the latest: nobody is given up for having waited together with others.
 */
async function bringQueueInLine(
  tx: TransactionSql,
  id: string,
  action: RecipientAction,
  touched: readonly Touched[],
): Promise<void> {
  const ids = touched.map(({ destination }) => destination);
  await tx`
    delete from deliveries d
    where d.message_id = ${id} and d.worker_id is null and not exists (
      select 1 from recipients r where r.message_id = ${id}
        and r.destination_id = d.destination_id and r.state in ('queued', 'deferred'))`;
  await tx`
    with waits as (
      select destination, max(case when ${
    action === "release"
  } then now() else t.since end) as since
      from json_to_recordset(${JSON.stringify(touched)}::text::json)
        as t (destination bigint, since timestamptz)
      group by destination
    )
    insert into deliveries (message_id, destination_id, due_at, waits_from, deliver_by, priority)
    select distinct on (r.destination_id) m.id, r.destination_id, greatest(now(), m.released_at),
      coalesce(greatest(w.since, m.released_at), m.received_at),
      m.received_at + make_interval(secs => (m.parameters #>> '{deliverBy,seconds}')::float8),
      coalesce((m.parameters ->> 'priority')::smallint, 0)
    from messages m join recipients r on r.message_id = m.id
    left join waits w on w.destination = r.destination_id
    where m.id = ${id} and r.state in ('queued', 'deferred')
    on conflict (message_id, destination_id) do update
      set waits_from = excluded.waits_from, late_from = null
      where deliveries.worker_id is null and deliveries.destination_id = any (${ids}::bigint[])
        and coalesce(deliveries.waits_from, deliveries.late_from) < excluded.waits_from`;
  if (action === "hold" || action === "cancel") return;
  await tx`
    update deliveries d set due_at = greatest(now(), m.released_at)
    from messages m
    where m.id = ${id} and d.message_id = m.id and d.destination_id = any (${ids}::bigint[])
      and d.worker_id is null and d.due_at > now()`;
}
