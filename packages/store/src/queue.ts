/**
 * The queue as workers use it: claim what is due, read content, record outcomes.
 *
 * A claim marks deliveries with the worker's process id. Outcomes are taken only for deliveries
 * that still carry that id: should others have taken this worker for dead and freed its claims,
 * what it records late is refused and nothing happens twice in the books.
 */
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Database } from "./connection.ts";
import { DestinationIds } from "./destination-ids.ts";
import { messageRows } from "./message-rows.ts";
import type { ClaimedDelivery, ClaimedRecipient, DeliveryOutcome } from "./records.ts";
import { PIECE_BYTES } from "./spool.ts";

/** The queue as a repository. */
export interface Queue {
  /** Claims deliveries that are due, the longest due of each destination first. */
  claim(options: {
    readonly workerId: number;
    /** At most so many in all, and so many of one destination. */
    readonly limit: number;
    readonly perDestination: number;
    /** Destinations that have enough in hand already. */
    readonly except: readonly number[];
  }): Promise<ClaimedDelivery[]>;
  /** The content of a message, piece by piece. */
  readContent(messageId: string): AsyncIterable<Uint8Array>;
  /** Records outcomes together; answers how many were refused because the claim was lost. */
  record(workerId: number, outcomes: readonly DeliveryOutcome[]): Promise<number>;
  /** Gives claims back unchanged. */
  release(workerId: number, deliveries: readonly ClaimedDelivery[]): Promise<void>;
  /** Milliseconds until the next delivery is due, at most an hour; 0 when one is due now. */
  untilNextDue(): Promise<number>;
  /** Calls back whenever something new may be due. */
  onWork(wake: () => void): Promise<{ stop(): Promise<void> }>;
}

/** Opens the queue. */
export function openQueue({ sql }: Database): Queue {
  const destinations = new DestinationIds(sql);

  return {
    async claim({ workerId, limit, perDestination, except }) {
      // Counts on: a short scan of destinations, then for each one the index deliveries_due.
      const rows = await sql`
        with candidate as (
          select d.message_id, d.destination_id, x.relay, x.next_hop
          from destinations x
          cross join lateral (
            select message_id, destination_id from deliveries
            where destination_id = x.id and worker_id is null and due_at <= now()
            order by priority desc, due_at limit ${perDestination}
            for update skip locked
          ) d
          where x.paused_at is null and (x.not_before is null or x.not_before <= now())
            and x.id <> all (${[...except]}::bigint[])
          limit ${limit}
        ), claimed as (
          update deliveries d set worker_id = ${workerId}
          from candidate c
          where d.message_id = c.message_id and d.destination_id = c.destination_id
          returning d.message_id, d.destination_id, d.attempts, c.relay, c.next_hop
        )
        select claimed.*, m.received_at, coalesce(m.released_at, m.received_at) + (
            select coalesce(sum(p.resumed_at - greatest(p.paused_at, m.released_at, m.received_at)),
              '0') from destination_pauses p
            where p.destination_id = claimed.destination_id
              and p.resumed_at > coalesce(m.released_at, m.received_at)
          ) as lifetime_from, m.reverse_path, m.parameters, m.size,
          m.configuration_version, c.bytes, r.recipients
        from claimed
        join messages m on m.id = claimed.message_id
        left join contents c
          on c.message_id = m.id and c.ordinal = 0 and m.size < ${PIECE_BYTES}
        cross join lateral (
          select coalesce(json_agg(json_build_object('ordinal', ordinal, 'forwardPath', forward_path,
            'parameters', parameters, 'treatment', treatment, 'delayReported',
            delay_reported_at is not null, 'lastReply', last_reply) order by ordinal), '[]') as recipients
          from recipients
          where message_id = m.id and destination_id = claimed.destination_id
            and state in ('queued', 'deferred')
        ) r`;
      return rows.map((row): ClaimedDelivery => ({
        messageId: row.message_id,
        destinationId: Number(row.destination_id),
        destination: { relay: row.relay, nextHop: row.next_hop },
        attempts: row.attempts,
        receivedAt: row.received_at,
        lifetimeFrom: row.lifetime_from,
        reversePath: row.reverse_path,
        parameters: row.parameters,
        size: Number(row.size),
        configurationVersion: Number(row.configuration_version),
        recipients: row.recipients as ClaimedRecipient[],
        content: row.bytes ?? (Number(row.size) === 0 ? new Uint8Array() : undefined),
      }));
    },

    async *readContent(messageId) {
      for (let ordinal = 0;; ordinal += 1) {
        const [row] = await sql`
          select bytes from contents where message_id = ${messageId} and ordinal = ${ordinal}`;
        if (row === undefined) return;
        yield row.bytes as Uint8Array;
      }
    },

    async record(workerId, outcomes) {
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
        bytes: toHex(content),
      }));
      const [row] = await sql`
        with o as (
          select * from json_to_recordset(${JSON.stringify(outcomes.map(outcomeRow))}::text::json)
            as o (message uuid, destination bigint, at timestamptz, due timestamptz, event json)
        ), finished as (
          delete from deliveries d using o
          where d.message_id = o.message and d.destination_id = o.destination
            and d.worker_id = ${workerId} and o.due is null
          returning d.message_id, d.destination_id
        ), waiting as (
          update deliveries d set worker_id = null, due_at = o.due, attempts = d.attempts + 1
          from o
          where d.message_id = o.message and d.destination_id = o.destination
            and d.worker_id = ${workerId} and o.due is not null
          returning d.message_id, d.destination_id
        ), owned as (
          select * from finished union all select * from waiting
        ), e as (
          insert into events (message_id, at, kind, detail)
          select o.message, o.at, 'attempted', o.event
          from o join owned on owned.message_id = o.message and owned.destination_id = o.destination
        ), changed as (
          update recipients r set state = x.state, last_reply = x.reply, changed_at = x.at,
            delay_reported_at = case when x.delayed then x.at else r.delay_reported_at end
          from json_to_recordset(${JSON.stringify(outcomes.flatMap(recipientRows))}::text::json)
            as x (message uuid, destination bigint, n int, state text, reply text, delayed boolean,
              at timestamptz)
          join owned on owned.message_id = x.message and owned.destination_id = x.destination
          where r.message_id = x.message and r.ordinal = x.n
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
            'queued', r.at
          from json_to_recordset(${JSON.stringify(rows.recipients)}::text::json) as r (message uuid,
            n int, path text, parameters jsonb, treatment jsonb, decision jsonb,
            destination bigint, at timestamptz)
          join report on report.report = r.message
        ), report_deliveries as (
          insert into deliveries (message_id, destination_id, due_at, priority)
          select d.message, d.destination, d.due, d.priority
          from json_to_recordset(${JSON.stringify(rows.deliveries)}::text::json) as d (message uuid,
            destination bigint, due timestamptz, priority smallint)
          join report on report.report = d.message
        ), woken as (
          select pg_notify(${QUEUE_CHANNEL}, '') where exists (select 1 from report)
        )
        select (select count(*)::int from owned) as owned, (select count(*) from woken) as woken`;
      return outcomes.length - Number(row?.owned);
    },

    async release(workerId, given) {
      const keys = given.map(({ messageId, destinationId }) => ({
        message: messageId,
        destination: destinationId,
      }));
      await sql`
        update deliveries d set worker_id = null
        from json_to_recordset(${JSON.stringify(keys)}::text::json)
          as k (message uuid, destination bigint)
        where d.message_id = k.message and d.destination_id = k.destination
          and d.worker_id = ${workerId}`;
    },

    async untilNextDue() {
      const [row] = await sql`
        select extract(epoch from min(greatest(d.due_at, x.not_before)) - now()) * 1000 as wait
        from destinations x
        cross join lateral (
          select due_at from deliveries
          where destination_id = x.id and worker_id is null order by due_at limit 1
        ) d
        where x.paused_at is null`;
      const wait = row?.wait === null || row?.wait === undefined ? Infinity : Number(row.wait);
      return Math.min(Math.max(wait, 0), 3_600_000);
    },

    async onWork(wake) {
      const subscription = await sql.listen(QUEUE_CHANNEL, wake, wake);
      return { stop: () => subscription.unlisten() };
    },
  };
}

function outcomeRow({ messageId, destinationId, at, dueAt, attempt, recipients }: DeliveryOutcome) {
  return {
    message: messageId,
    destination: destinationId,
    at: at.toISOString(),
    due: dueAt?.toISOString() ?? null,
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

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
