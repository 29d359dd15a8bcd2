/**
 * Upkeep of the store: partitions made ahead, and content and messages let go when their time is
 * over. What is old goes by whole partitions, so a busy gateway deletes no rows. A message that is
 * still queued or held, or that ended only lately, is moved out of the way of its partition's end
 * and goes by itself when its own time comes.
 */
import type { Settings } from "@postern/config";
import type { Sql, TransactionSql } from "postgres";
import { UPKEEP_LOCK } from "./channels.ts";
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
} from "./partitions.ts";

/** What an upkeep did. */
export interface Upkeep {
  readonly made: number;
  /** Names of the partitions that were dropped. */
  readonly dropped: readonly string[];
  /** Messages, or contents of messages, that were let go one by one. */
  readonly removed: number;
}

/** More messages than this that live on in a partition keep it as it is: moving them is no gain. */
const MOST_MOVED = 10_000;

/** Rows that went their own way are removed so many messages at a time. */
const REMOVED_AT_ONCE = 1_000;

/** Pauses longer ago than this concern no message any more. */
const PAUSES_KEPT = "400 days";

/** Does what is due; undefined when another process is at it. */
export async function keepUp(
  { sql }: Database,
  retention: Settings["retention"],
  now = Date.now(),
): Promise<Upkeep | undefined> {
  const lock = await sql.reserve();
  try {
    const [row] = await lock`select pg_try_advisory_lock(${UPKEEP_LOCK}) as mine`;
    if (row?.mine !== true) return undefined;
    try {
      const made = await makePartitions(sql, now);
      const contentEnd = now - retention.content * 1000;
      const messagesEnd = now - Math.max(retention.messages, retention.content) * 1000;
      const dropped = [
        ...await dropOld(sql, ["contents"], contentEnd, now),
        ...await dropOld(sql, Object.keys(PARTITIONED) as Partitioned[], messagesEnd, now),
      ];
      const removed = await removeStragglers(sql, ["contents"], contentEnd, now) +
        await removeStragglers(sql, Object.keys(PARTITIONED) as Partitioned[], messagesEnd, now);
      await sql`
        delete from destination_pauses where resumed_at < now() - ${PAUSES_KEPT}::interval`;
      return { made, dropped, removed };
    } finally {
      await lock`select pg_advisory_unlock(${UPKEEP_LOCK})`;
    }
  } finally {
    lock.release();
  }
}

/** Messages of a range of ids that are not over, or were not yet at that time. */
function living(ids: Ids, end: number): string {
  return `select message_id from recipients
    where ${within("message_id", ids)} and (state in ('queued', 'deferred', 'held')
      or changed_at >= '${new Date(end).toISOString()}')`;
}

/** Messages of a range of ids that are being received: pieces of them are there, they are not. */
function arriving({ from, to }: Ids, now: number): string {
  const ids = { from: Math.max(from, now - LONGEST_RECEPTION), to };
  return `select message_id from contents c
    where ${within("c.message_id", ids)} and not exists (
      select from messages m where m.id = c.message_id and ${within("m.id", ids)})`;
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

/** Drops what these tables have of days that ended before a time. */
async function dropOld(
  sql: Sql,
  tables: readonly Partitioned[],
  end: number,
  now: number,
): Promise<string[]> {
  const old = (await partitions(sql))
    .filter(({ table, to }) => tables.includes(table) && to <= end);
  const days = Map.groupBy(old, ({ from }) => from);
  const dropped: string[] = [];
  for (const [from, ofDay] of days) {
    const to = ofDay[0]!.to;
    const done = await sql.begin((transaction) =>
      dropDay(transaction, ofDay, { from, to }, end, now)
    );
    if (done) dropped.push(...ofDay.map(partitionName));
  }
  return dropped;
}

async function dropDay(
  transaction: TransactionSql,
  ofDay: readonly DayPartition[],
  ids: Ids,
  end: number,
  now: number,
): Promise<boolean> {
  await transaction.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
  // Nobody may change what lives while it is moved.
  await transaction.unsafe(`lock table ${ofDay.map(partitionName).join(", ")} in share mode`);
  await transaction.unsafe(`
    create temporary table living on commit drop as
    ${living(ids, end)} union ${arriving(ids, now)}`);
  const [row] = await transaction.unsafe(`select count(*)::int as count from living`);
  if (Number(row?.count) > MOST_MOVED) return false;
  for (const partition of ofDay) {
    const keep = `${PARTITIONED[partition.table]} in (select message_id from living)`;
    await dropPartition(transaction, partition, keep);
  }
  return true;
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
  let removed = 0;
  for (;;) {
    const rows = await sql.unsafe(`
      select distinct ${key} as id from ${source}_default d
      where ${within(key, old)} and not exists (
        select 1 from (${living(old, end)} union all ${arriving(old, now)}) l
        where l.message_id = d.${key})
      limit ${REMOVED_AT_ONCE}`);
    const ids = rows.map((row) => row.id as string);
    if (ids.length === 0) return removed;
    await sql.begin(async (transaction) => {
      for (const table of tables) {
        await transaction.unsafe(
          `delete from ${table}_default where ${PARTITIONED[table]} = any ($1::uuid[])`,
          [ids],
        );
      }
    });
    removed += ids.length;
  }
}
