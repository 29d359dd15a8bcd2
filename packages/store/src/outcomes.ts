/**
 * The statements of outcomes: what became of deliveries, and what that says of their destinations.
 *
 * Outcomes are one statement: recipients, queue, events and reports change together or not at all.
 * What they say of destinations is advice for the next claim: it is written apart, only where it
 * changes something, so that mail to destinations in good order shares no row.
 */
import type { Sql } from "postgres";
import type { DestinationIds } from "./destination-ids.ts";
import type { LineKey } from "./due-lines.ts";
import { messageRows } from "./message-rows.ts";
import type { DeliveryOutcome } from "./records.ts";
import { storableJson } from "./storable.ts";

/** What the books say after outcomes were entered. */
export interface Entered {
  /** Outcomes whose claim this worker still had. */
  readonly owned: number;
  /** What waits again, and for how many milliseconds. */
  readonly waiting: readonly { readonly key: LineKey; readonly wait: number }[];
  /** Lines that got a report. */
  readonly reports: readonly LineKey[];
  /** Of the destinations asked about, those that are known as failing. */
  readonly failing: readonly number[];
}

/** Enters outcomes of deliveries that this worker has claimed. */
export async function enter(
  sql: Sql,
  workerId: number,
  outcomes: readonly DeliveryOutcome[],
  destinations: DestinationIds,
  reached: readonly number[],
): Promise<Entered> {
  const ids = outcomes.map(({ messageId }) => messageId).sort();
  const [first, last] = [ids[0] ?? null, ids.at(-1) ?? null];
  const reports = outcomes.flatMap((outcome) =>
    outcome.report ? [{ outcome, ...outcome.report }] : []
  );
  await destinations.learn(
    reports.flatMap(({ message }) => message.recipients.map(({ destination }) => destination)),
  );
  const rows = messageRows(reports.map(({ message }) => message), destinations);
  const causes = reports.map(({ outcome, message, content }) => ({
    report: message.id,
    message: outcome.messageId,
    destination: outcome.destinationId,
    bytes: content.toHex(),
  }));
  const [row] = await sql`
    with o as (
      select * from json_to_recordset(${storableJson(outcomes.map(outcomeRow))}::text::json)
        as o (message uuid, destination bigint, at timestamptz, due timestamptz, looked text, n int,
          event json)
    ), finished as (
      delete from deliveries d using o
      where d.message_id = o.message and d.destination_id = o.destination
        and d.worker_id = ${workerId} and d.attempts = coalesce(o.n, d.attempts)
        and o.due is null
      returning d.message_id, d.destination_id, d.priority, null::timestamptz as due_at
    ), waiting as (
      update deliveries d set worker_id = null,
        -- So long from now as the worker meant: its clock may be another one.
        due_at = case when o.looked is null then now() + (o.due - o.at) else d.due_at end,
        attempts = d.attempts + case when o.looked is null then 1 else 0 end,
        waits_from = case when o.looked = 'notice' then null else d.waits_from end,
        late_from = case when o.looked = 'notice' then d.waits_from else d.late_from end,
        deliver_by = case when o.looked = 'deliverBy' or d.deliver_by <= o.at then null
          else d.deliver_by end
      from o
      where d.message_id = o.message and d.destination_id = o.destination
        and d.worker_id = ${workerId} and d.attempts = coalesce(o.n, d.attempts)
        and o.due is not null
        -- What was only looked at counts no attempt: that it was looked at shows here.
        and (o.looked is distinct from 'notice' or d.waits_from is not null)
        and (o.looked is distinct from 'deliverBy' or d.deliver_by is not null)
      returning d.message_id, d.destination_id, d.priority, d.due_at
    ), owned as (
      select * from finished union all select * from waiting
    ), e as (
      insert into events (message_id, at, kind, detail)
      select o.message, o.at, case when o.looked is null then 'attempted' else 'delayed' end, o.event
      from o join owned on owned.message_id = o.message and owned.destination_id = o.destination
      where o.looked is null or json_array_length(o.event -> 'recipients') > 0
    ), changed as (
      update recipients r set state = x.state, last_reply = x.reply, changed_at = x.at,
        delay_reported_at = case when x.delayed then x.at else r.delay_reported_at end
      from json_to_recordset(${storableJson(outcomes.flatMap(recipientRows))}::text::json)
        as x (message uuid, destination bigint, n int, state text, reply text, delayed boolean,
          at timestamptz)
      join owned on owned.message_id = x.message and owned.destination_id = x.destination
      where r.message_id = x.message and r.ordinal = x.n
        and r.message_id between ${first} and ${last}
    ), report as (
      select x.report, x.bytes
      from json_to_recordset(${JSON.stringify(causes)}::text::json)
        as x (report uuid, message uuid, destination bigint, bytes text)
      join owned on owned.message_id = x.message and owned.destination_id = x.destination
    ), report_content as (
      insert into contents (message_id, ordinal, bytes)
      select report, 0, decode(bytes, 'hex') from report
    ), report_message as (
      insert into messages (id, received_at, reverse_path, parameters, session, size,
        message_id, configuration_version)
      select m.id, m.at, m.reverse_path, m.parameters, m.session, m.size, m.message_id, m.version
      from json_to_recordset(${JSON.stringify(rows.messages)}::text::json) as m (id uuid,
        at timestamptz, reverse_path text, parameters jsonb, session jsonb, size bigint,
        message_id text, version bigint)
      join report on report.report = m.id
    ), report_recipients as (
      insert into recipients (message_id, ordinal, forward_path, parameters, treatment,
        decision, destination_id, state, changed_at)
      select r.message, r.n, r.path, r.parameters, r.treatment, r.decision, r.destination,
        r.state, r.at
      from json_to_recordset(${JSON.stringify(rows.recipients)}::text::json) as r (message uuid,
        n int, path text, parameters jsonb, treatment jsonb, decision jsonb,
        destination bigint, state text, at timestamptz)
      join report on report.report = r.message
    ), report_events as (
      insert into events (message_id, at, kind, detail)
      select x.message, x.at, 'held', x.detail
      from json_to_recordset(${JSON.stringify(rows.events)}::text::json) as x (message uuid,
        at timestamptz, detail jsonb)
      join report on report.report = x.message
    ), report_deliveries as (
      insert into deliveries (message_id, destination_id, due_at, waits_from, priority)
      select d.message, d.destination, d.due, d.due, d.priority
      from json_to_recordset(${JSON.stringify(rows.deliveries)}::text::json) as d (message uuid,
        destination bigint, due timestamptz, priority smallint)
      join report on report.report = d.message
      returning destination_id, priority
    )
    select (select count(*)::int from owned) as owned,
      (select coalesce(json_agg(json_build_array(destination_id, priority,
        extract(epoch from due_at - now()) * 1000)), '[]') from waiting) as waiting,
      (select coalesce(json_agg(distinct destination_id || ':' || priority), '[]')
        from report_deliveries) as reports,
      (select coalesce(json_agg(id), '[]') from destinations
        where id = any (${[...reached]}::bigint[]) and failures > 0) as failing`;
  return {
    owned: Number(row?.owned),
    waiting: (row?.waiting as [number, number, number][]).map(([destination, priority, wait]) => (
      { key: { destination, priority }, wait }
    )),
    reports: (row?.reports as string[]).map((text) => {
      const [destination, priority] = text.split(":").map(Number);
      return { destination: destination!, priority: priority! };
    }),
    failing: row?.failing,
  };
}

function outcomeRow(
  { messageId, destinationId, at, dueAt, waitsOn, attempts, attempt, recipients }: DeliveryOutcome,
) {
  return {
    message: messageId,
    destination: destinationId,
    at: at.toISOString(),
    due: (waitsOn === undefined ? dueAt : at)?.toISOString() ?? null,
    looked: waitsOn ?? null,
    n: attempts ?? null,
    event: { ...attempt, recipients },
  };
}

function recipientRows({ messageId, destinationId, at, recipients }: DeliveryOutcome) {
  return recipients.map(({ ordinal, state, reply, delayReported = false }) => ({
    message: messageId,
    destination: destinationId,
    n: ordinal,
    state,
    reply,
    delayed: delayReported,
    at: at.toISOString(),
  }));
}
