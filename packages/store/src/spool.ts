/**
 * The spool: where an accepted message becomes durable.
 *
 * Messages of many sessions are committed together. A batch closes when a connection to Postgres
 * is free, never on a timer: alone, a message waits for nobody; under load, each commit carries
 * what arrived during the last one. A batch is one statement, so it is one round trip and all or
 * nothing. Small content travels in the batch; large content is written piece by piece as it
 * arrives, before the message that owns it, and is removed when that message never comes.
 */
import type { Sql, TransactionSql } from "postgres";
import { Announcer } from "./announcer.ts";
import { PIECES_LOCK } from "./channels.ts";
import type { Database } from "./connection.ts";
import { isUnavailable } from "./connection.ts";
import { DestinationIds } from "./destination-ids.ts";
import { type MessageRows, messageRows } from "./message-rows.ts";
import { firstIdAt, LONGEST_RECEPTION, throughNewPartition, timeOfPostgres } from "./partitions.ts";
import { BufferPool, PieceBuffer } from "./piece-buffer.ts";
import { PIECE_BYTES, writePiece } from "./pieces.ts";
import type { AcceptedMessage } from "./records.ts";
import { storableJson } from "./storable.ts";

/** A batch takes no further message once it has so many bytes of content or so many recipients. */
const BATCH_BYTES = 8 * 1024 * 1024;
const BATCH_RECIPIENTS = 5_000;

/** Batches under way at once: while one waits for the disk the next is being put together. */
const BATCHES_AT_ONCE = 2;

/** Takes messages into the store. */
export interface Spool {
  /** Takes the content of one message as it arrives. */
  receive(id: string): IncomingContent;
  /** Removes pieces of large content whose message was never committed. Answers how many. */
  removeOrphans(): Promise<number>;
}

/** The content of one message on its way into the store. */
export interface IncomingContent {
  /**
   * Adds bytes; they are copied or written before the result resolves, or at once when it is
   * undefined. Wait for the result before adding more.
   */
  add(bytes: Uint8Array): Promise<void> | undefined;
  /** Bytes added so far. */
  readonly size: number;
  /**
   * Commits the message. When this resolves, message, recipients and routing are on disk; when it
   * rejects, nothing of them is kept, unless the connection died at that very moment.
   */
  commit(message: Omit<AcceptedMessage, "id" | "size">): Promise<void>;
  /** Gives the message up. */
  discard(): Promise<void>;
}

interface Waiting {
  readonly message: AcceptedMessage;
  readonly content: readonly Uint8Array[];
  /** −1: the content is in the store, in pieces. */
  readonly contentBytes: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Opens the spool. */
export function openSpool({ sql, pieces: forPieces }: Database): Spool {
  const destinations = new DestinationIds(sql);
  const announcer = new Announcer(sql);
  const buffers = new BufferPool();
  const queue: Waiting[] = [];
  let underWay = 0;

  function enqueue(waiting: Waiting) {
    queue.push(waiting);
    if (underWay < BATCHES_AT_ONCE) {
      underWay += 1;
      // Once this turn's input is dealt with, so that what arrived together travels together.
      queueMicrotask(() => void drain());
    }
  }

  async function drain() {
    while (queue.length > 0) {
      const batch = takeBatch(queue);
      try {
        await commitBatch(batch);
        for (const { resolve } of batch) resolve();
      } catch (error) {
        if (batch.length === 1 || isUnavailable(error)) {
          for (const { reject } of batch) reject(error);
        } else {
          // One of them is at fault: find out which, so that the others are not made to suffer.
          for (const one of batch) await commitBatch([one]).then(one.resolve, one.reject);
        }
      }
    }
    underWay -= 1;
  }

  async function commitBatch(batch: readonly Waiting[]) {
    const accepted = batch.map(({ message }) => message);
    await destinations.learn(
      accepted.flatMap(({ recipients }) => recipients.map(({ destination }) => destination)),
    );
    const rows = messageRows(accepted, destinations);
    const inPieces = batch.filter(({ contentBytes }) => contentBytes < 0);
    await throughNewPartition(() =>
      inPieces.length === 0 ? insertBatch(sql, batch, rows) : sql.begin(async (transaction) => {
        await expectPieces(transaction, inPieces);
        await insertBatch(transaction, batch, rows);
      })
    );
    announcer.announce(rows.deliveries, batch.length);
  }

  return {
    receive(id) {
      const held = new PieceBuffer(buffers);
      let size = 0;
      let pieces = 0;
      let discarded = false;
      let writing: Promise<void> | undefined;

      function writeHeld(): Promise<void> {
        return writing = forPieces.run(async (connection) => {
          if (discarded) return;
          const piece = join(held.parts(), held.size);
          await throughNewPartition(() => writePiece(connection, id, pieces, piece));
          held.clear();
          pieces += 1;
        });
      }

      /** Writes full pieces until the rest has room in the next. */
      async function writePieces(rest: Uint8Array) {
        for (let left = rest; held.size === PIECE_BYTES && !discarded;) {
          await writeHeld();
          left = left.subarray(held.add(left));
        }
      }

      return {
        get size() {
          return size;
        },
        add(bytes) {
          size += bytes.length;
          const taken = held.add(bytes);
          return held.size === PIECE_BYTES ? writePieces(bytes.subarray(taken)) : undefined;
        },
        async commit(message) {
          if (pieces > 0 && held.size > 0) await writeHeld();
          try {
            await new Promise<void>((resolve, reject) => {
              enqueue({
                message: { ...message, id, size },
                content: held.parts(),
                contentBytes: pieces > 0 ? -1 : held.size,
                resolve,
                reject,
              });
            });
          } finally {
            held.clear();
          }
        },
        async discard() {
          discarded = true;
          // A piece under way still needs its buffer, and would come after the deletion.
          await writing?.catch(() => {});
          held.clear();
          if (pieces > 0) await sql`delete from contents where message_id = ${id}`;
        },
      };
    },

    async removeOrphans() {
      const now = await timeOfPostgres(sql);
      // What is older still goes with its partition.
      const found = await sql`
        select distinct message_id as id from contents c
        where c.ordinal >= 0
          and c.message_id between ${firstIdAt(now - 2 * LONGEST_RECEPTION)}
            and ${firstIdAt(now - LONGEST_RECEPTION)}
          and not exists (select 1 from messages m where m.id = c.message_id)`;
      if (found.length === 0) return 0;
      return await sql.begin(async (transaction) => {
        await transaction`select pg_advisory_xact_lock(${PIECES_LOCK})`;
        const ids = found.map(({ id }) => id);
        const rows = await transaction`
          delete from contents c
          where c.message_id = any (${ids}::uuid[])
            and not exists (select 1 from messages m where m.id = c.message_id)
          returning 1`;
        return rows.length;
      });
    },
  };
}

/** As many of the waiting messages as fit into a batch, at least one. */
function takeBatch(queue: Waiting[]): Waiting[] {
  let bytes = 0;
  let recipients = 0;
  let count = 0;
  for (const { message, contentBytes } of queue) {
    bytes += Math.max(contentBytes, 0);
    recipients += message.recipients.length;
    if (count > 0 && (bytes > BATCH_BYTES || recipients > BATCH_RECIPIENTS)) break;
    count += 1;
  }
  return queue.splice(0, count);
}

/** Inserts all rows of a batch by one statement. */
async function insertBatch(
  connection: Sql | TransactionSql,
  batch: readonly Waiting[],
  rows: MessageRows,
) {
  const pieces: object[] = [];
  const blob = concatenate(batch, pieces);
  await connection`
    with m as (
      insert into messages (id, received_at, released_at, reverse_path, parameters, session, size,
        message_id, configuration_version)
      select id, at, released, reverse_path, parameters, session, size, message_id, version
      from json_to_recordset(${storableJson(rows.messages)}::text::json) as m (id uuid,
        at timestamptz, released timestamptz, reverse_path text, parameters jsonb, session jsonb, size bigint,
        message_id text, version bigint)
    ), c as (
      insert into contents (message_id, ordinal, bytes)
      select message, 0, substring(${blob}::bytea from start for length)
      from json_to_recordset(${JSON.stringify(pieces)}::text::json) as c (message uuid,
        start int, length int)
    ), r as (
      insert into recipients (message_id, ordinal, forward_path, parameters, treatment, decision,
        destination_id, state, changed_at)
      select message, n, path, parameters, treatment, decision, destination, state, at
      from json_to_recordset(${storableJson(rows.recipients)}::text::json) as r (message uuid,
        n int, path text, parameters jsonb, treatment jsonb, decision jsonb, destination bigint,
        state text, at timestamptz)
    ), e as (
      insert into events (message_id, at, kind, detail)
      select message, at, 'held', detail
      from json_to_recordset(${storableJson(rows.events)}::text::json) as e (message uuid,
        at timestamptz, detail jsonb)
    )
    insert into deliveries (message_id, destination_id, due_at, waits_from, deliver_by, priority)
    select message, destination, at, at, by, priority
    from json_to_recordset(${JSON.stringify(rows.deliveries)}::text::json) as d (message uuid,
      destination bigint, due timestamptz, asked boolean, by timestamptz, priority smallint),
      -- Workers go by the clock of Postgres: by one that is ahead of it mail would wait.
      lateral (select case when asked then due else least(due, now()) end as at) as w`;
}

/**
 * Throws where a piece is gone; those that are there cannot go before the transaction ends. However new
 * the message: by the clock that made its id its day may be over.
 */
async function expectPieces(transaction: TransactionSql, batch: readonly Waiting[]) {
  await transaction`select pg_advisory_xact_lock_shared(${PIECES_LOCK})`;
  const rows = await transaction`
    select message_id, sum(octet_length(bytes))::int8 as size from contents
    where message_id = any (${batch.map(({ message }) => message.id)}::uuid[])
    group by message_id`;
  const there = new Map(rows.map((row) => [row.message_id as string, Number(row.size)]));
  for (const { message: { id, size } } of batch) {
    const stored = there.get(id) ?? 0;
    if (stored !== size) throw new Error(`of ${size} bytes of content ${stored} are in the store`);
  }
}

/** All small contents one after another, and where in there each message's content is. */
function concatenate(batch: readonly Waiting[], pieces: object[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const { message, content, contentBytes } of batch) {
    if (contentBytes < 0) continue;
    pieces.push({ message: message.id, start: total + 1, length: contentBytes });
    parts.push(...content);
    total += contentBytes;
  }
  return join(parts, total);
}

function join(parts: readonly Uint8Array[], total: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
