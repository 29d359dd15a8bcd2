/**
 * Upkeep of the store: partitions made ahead, and content and messages let go when their time is
 * over. What is old goes by whole partitions, so a busy gateway deletes no rows. A message that is
 * still queued or held, or that ended only lately, is moved out of the way of its partition's end
 * and goes by itself when its own time comes.
 */
import type { Settings } from "@postern/config";
import type { Sql, TransactionSql } from "postgres";
import { PIECES_LOCK, UPKEEP_LOCK } from "./channels.ts";
import type { Database } from "./connection.ts";
import {
  type DayPartition,
  dropPartition,
  firstIdAt,
  LOCK_TIMEOUT,
  LONGEST_RECEPTION,
  makePartitions,
  PARTITIONED,
  type Partitioned,
  partitionName,
  partitions,
  timeOfPostgres,
} from "./partitions.ts";

/** What an upkeep did. */
export interface Upkeep {
  readonly made: number;
  /** Names of the partitions that were dropped. */
  readonly dropped: readonly string[];
  /** Names of those whose time is over and that stay, as too much in them is to be moved. */
  readonly kept: readonly string[];
  /** Messages, or contents of messages, that were let go one by one. */
  readonly removed: number;
}

/**
 * A day of which more recipients live on, or more bytes of content, keeps its partition: while they are
 * moved nobody is served. So many bytes take a quarter of a second.
 */
const MOST_MOVED = 10_000;
const MOST_BYTES_MOVED = 16 * 1024 * 1024;

/** A day that is kept is gone through again after so many milliseconds: that reads all that lives in it. */
const LOOK_AGAIN = 3_600_000;

/** Rows that went their own way are removed so many messages at a time. */
const REMOVED_AT_ONCE = 1_000;

/** Pauses longer ago than this concern no message any more. */
const PAUSES_KEPT = "400 days";

/**
 * Does what is due; undefined when another process is at it. All of it is said on one connection, whose
 * session has the lock: a process has one upkeep at a time. Whoever does it again and again hands in
 * where to remember when kept days were gone through. Only tests say what time it is.
 */
export async function keepUp(
  { upkeep: sql }: Database,
  retention: Settings["retention"],
  { at, goneThrough = new Map() }: {
    readonly at?: number;
    readonly goneThrough?: Map<string, number>;
  } = {},
): Promise<Upkeep | undefined> {
  const [row] = await sql`select pg_try_advisory_lock(${UPKEEP_LOCK}) as mine`;
  if (row?.mine !== true) return undefined;
  try {
    const now = at ?? await timeOfPostgres(sql);
    const made = await makePartitions(sql, now);
    const contentEnd = now - retention.content * 1000;
    const messagesEnd = now - Math.max(retention.messages, retention.content) * 1000;
    const dropped: string[] = [];
    const kept = new Set<string>();
    let removed = 0;
    const letGo = async (tables: readonly Partitioned[], end: number) => {
      for (const day of await oldDays(sql, tables, end)) {
        const names = day.partitions.map(partitionName);
        const key = names.join();
        if (now - (goneThrough.get(key) ?? -Infinity) < LOOK_AGAIN) {
          for (const name of names) kept.add(name);
        } else if (await isTooMuch(sql, day, end, now)) {
          for (const name of names) kept.add(name);
          removed += await removeFinished(sql, day, end, now);
          goneThrough.set(key, now);
        } else {
          await sql.begin((transaction) => dropDay(transaction, day, end, now));
          dropped.push(...names);
          goneThrough.delete(key);
        }
      }
      removed += await removeStragglers(sql, tables, end, now);
    };
    await letGo(["contents"], contentEnd);
    await letGo(Object.keys(PARTITIONED) as Partitioned[], messagesEnd);
    await sql`
      delete from destination_pauses where resumed_at < now() - ${PAUSES_KEPT}::interval`;
    return { made, dropped, kept: [...kept], removed };
  } finally {
    await sql`select pg_advisory_unlock(${UPKEEP_LOCK})`;
  }
}

/**
 * The ids of a range, some more than once, whose messages are not over, or were not yet at that time, or
 * are being received: pieces of them are there, they are not.
 */
function living(ids: Ids, end: number, now: number): string {
  const lately = { from: Math.max(ids.from, now - LONGEST_RECEPTION), to: ids.to };
  return `
    select message_id from recipients
    where ${within("message_id", ids)} and (state in ('queued', 'deferred', 'held')
      or changed_at >= '${new Date(end).toISOString()}')
    union all
    select message_id from contents c
    where ${within("c.message_id", lately)} and not exists (
      select from messages m where m.id = c.message_id and ${within("m.id", lately)})`;
}

/** Messages whose ids were made from one time to before another, in milliseconds. */
interface Ids {
  readonly from: number;
  readonly to: number;
}

/** The times stand in the statement: so it is planned for the partitions of their days alone. */
function within(column: string, { from, to }: Ids): string {
  return `${column} >= '${firstIdAt(from)}' and ${column} < '${firstIdAt(to)}'`;
}

/** A day, with what there is of it. */
interface Day extends Ids {
  readonly partitions: readonly DayPartition[];
}

/** The days that ended before a time, with their partitions of these tables. */
async function oldDays(sql: Sql, tables: readonly Partitioned[], end: number): Promise<Day[]> {
  const old = (await partitions(sql))
    .filter(({ table, to }) => tables.includes(table) && to <= end);
  return [...Map.groupBy(old, ({ from }) => from)]
    .map(([from, ofDay]) => ({ from, to: ofDay[0]!.to, partitions: ofDay }));
}

/** Whether too much of a day lives on to be moved. Looks only until it is. */
async function isTooMuch(sql: Sql, day: Day, end: number, now: number): Promise<boolean> {
  const [row] = await sql.unsafe(`
    with l as (select message_id from (${living(day, end, now)}) l limit ${MOST_MOVED + 1})
    select (select count(*) from l)::int as count, (
      select sum(coalesce(m.size,
        (select sum(octet_length(c.bytes)) from contents c where c.message_id = l.message_id)))
      from (select distinct message_id from l) l
      left join messages m on m.id = l.message_id and ${within("m.id", day)}
    )::int8 as bytes`);
  const withContent = day.partitions.some(({ table }) => table === "contents");
  return Number(row?.count) > MOST_MOVED || withContent && Number(row?.bytes) > MOST_BYTES_MOVED;
}

/** Whoever has content in the store, and no message of it yet, learns before or after what is gone. */
async function lockOutPieces(transaction: TransactionSql): Promise<void> {
  await transaction.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  await transaction`select pg_advisory_xact_lock(${PIECES_LOCK})`;
}

async function dropDay(
  transaction: TransactionSql,
  day: Day,
  end: number,
  now: number,
): Promise<void> {
  const names = day.partitions.map(partitionName).join(", ");
  await lockOutPieces(transaction);
  // Nobody may change what lives while it is moved.
  await transaction.unsafe(`lock table ${names} in share mode`);
  await transaction.unsafe(`
    create temporary table living on commit drop as
    select distinct message_id from (${living(day, end, now)}) l`);
  for (const partition of day.partitions) {
    const keep = `${PARTITIONED[partition.table]} in (select message_id from living)`;
    await dropPartition(transaction, partition, keep);
  }
}

/** Removes from a day that is kept the content of what is over. */
async function removeFinished(sql: Sql, day: Day, end: number, now: number): Promise<number> {
  const partition = day.partitions.find(({ table }) => table === "contents");
  if (partition === undefined) return 0;
  const name = partitionName(partition);
  let removed = 0;
  let after = firstIdAt(day.from);
  for (;;) {
    const [row] = await sql.unsafe(
      `select message_id as last from (
        select message_id from ${name} where message_id > $1 order by message_id
        limit ${REMOVED_AT_ONCE}) page
      order by message_id desc limit 1`,
      [after],
    );
    if (row === undefined) return removed;
    const gone = await sql.begin(async (transaction) => {
      await lockOutPieces(transaction);
      return await transaction.unsafe(
        `delete from ${name} c
        where c.message_id > $1 and c.message_id <= $2 and not exists (
          select 1 from (${living(day, end, now)}) l
          where l.message_id = c.message_id and l.message_id > $1 and l.message_id <= $2)
        returning c.message_id`,
        [after, row.last],
      );
    });
    removed += new Set(gone.map(({ message_id }) => message_id)).size;
    after = row.last;
  }
}

/** Removes from the default partitions what is over, with content whose message never came. */
async function removeStragglers(
  sql: Sql,
  tables: readonly Partitioned[],
  end: number,
  now: number,
): Promise<number> {
  const source = tables.includes("messages") ? "messages" : "contents";
  const key = PARTITIONED[source];
  const old = { from: 0, to: end };
  const over = `
    select distinct ${key} as id from ${source}_default d
    where ${within(key, old)} and not exists (
      select 1 from (${living(old, end, now)}) l where l.message_id = d.${key})`;
  let removed = 0;
  for (;;) {
    const found = await sql.unsafe(`${over} limit ${REMOVED_AT_ONCE}`);
    if (found.length === 0) return removed;
    removed += await sql.begin(async (transaction) => {
      await lockOutPieces(transaction);
      // What got its message meanwhile is no longer among them.
      const rows = await transaction.unsafe(`${over} and d.${key} = any ($1::uuid[])`, [
        found.map(({ id }) => id),
      ]);
      const ids = rows.map(({ id }) => id);
      for (const table of tables) {
        await transaction.unsafe(
          `delete from ${table}_default where ${PARTITIONED[table]} = any ($1::uuid[])`,
          [ids],
        );
      }
      return ids.length;
    });
  }
}
