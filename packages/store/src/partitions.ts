/**
 * Partitions of the tables that hold messages: one for each day, by the time in the message's id.
 *
 * They are made ahead. Where one is missing all the same, rows go to the default partition and are
 * moved when theirs is made. No partition has anything of a message whose day it is not.
 */
import { getTableColumns } from "drizzle-orm";
import type { PgTable } from "drizzle-orm/pg-core";
import type { Sql, TransactionSql } from "postgres";
import { contents, events, messages, recipients } from "./schema/queue.ts";

/** The partitioned tables, each with the column that holds the message's id. */
export const PARTITIONED = {
  messages: "id",
  contents: "message_id",
  recipients: "message_id",
  events: "message_id",
} as const;

/** @see PARTITIONED */
export type Partitioned = keyof typeof PARTITIONED;

/** The columns of a partitioned table that are written: all that Postgres does not make itself. */
const WRITTEN: Readonly<Record<Partitioned, string>> = {
  messages: written(messages),
  contents: written(contents),
  recipients: written(recipients),
  events: written(events),
};

function written(table: PgTable): string {
  return Object.values(getTableColumns(table))
    .filter(({ generated }) => generated === undefined)
    .map(({ name }) => name)
    .join(", ");
}

/**
 * How a table's rows lie in their pages: most recipients are updated once, soon after the pages around
 * them filled up, and get room in their own page, as then no index needs a new entry; content that
 * fits into a page is not moved out of its row.
 */
const STORED: Partial<Record<Partitioned, string>> = {
  recipients: "with (fillfactor = 45)",
  contents: "with (toast_tuple_target = 8160)",
};

/** Partitions are there for today and so many days more. */
const DAYS_AHEAD = 3;

const DAY = 24 * 3_600_000;

/**
 * An id is made when its content begins to come, its message is there at the end of it: no transaction
 * takes longer.
 */
export const LONGEST_RECEPTION = DAY;

/** Give up waiting for a lock soon: everybody else waits behind us. Tried again soon. */
export const LOCK_TIMEOUT = "300ms";

/**
 * The time by which partitions come and go, in milliseconds: that of Postgres, the same for all. By the
 * clock of a process that is days ahead mail would go that came just now.
 */
export async function timeOfPostgres(sql: Sql): Promise<number> {
  const [row] = await sql`select floor(extract(epoch from now()) * 1000)::int8 as now`;
  return Number(row?.now);
}

/** A partition of one day. */
export interface DayPartition {
  readonly table: Partitioned;
  /** Midnight (UTC) at which the day begins and ends, in milliseconds. */
  readonly from: number;
  readonly to: number;
}

/** The smallest id of a message received at a time in milliseconds. */
export function firstIdAt(milliseconds: number): string {
  const hex = Math.max(0, milliseconds).toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}

/** `messages_20261124` */
export function partitionName({ table, from }: DayPartition): string {
  return `${table}_${new Date(from).toISOString().slice(0, 10).replaceAll("-", "")}`;
}

/** The partitions there are, oldest first. */
export async function partitions(sql: Sql | TransactionSql): Promise<DayPartition[]> {
  const rows = await sql`
    select parent.relname as parent, child.relname as child
    from pg_inherits
    join pg_class parent on parent.oid = inhparent
    join pg_class child on child.oid = inhrelid
    where parent.relname = any (${Object.keys(PARTITIONED)})
      and parent.relnamespace = 'public'::regnamespace and parent.relkind = 'p'
    order by child.relname`;
  return rows.flatMap((row) => {
    const [, year, month, day] = /_(\d{4})(\d\d)(\d\d)$/.exec(row.child) ?? [];
    if (year === undefined) return [];
    const from = Date.parse(`${year}-${month}-${day}T00:00:00Z`);
    return [{ table: row.parent as Partitioned, from, to: from + DAY }];
  });
}

/**
 * Runs a statement, and again at once where the partition of its rows was made while it was on its
 * way to the default one.
 */
export async function throughNewPartition<T>(statement: () => Promise<T>): Promise<T> {
  try {
    return await statement();
  } catch (error) {
    const { code, table_name } = error as { readonly code?: string; readonly table_name?: string };
    if (code !== "23514" || !table_name?.endsWith("_default")) throw error;
    return await statement();
  }
}

/** Makes the partitions that are missing from today on; answers how many. */
export async function makePartitions(sql: Sql, now: number): Promise<number> {
  const there = new Set((await partitions(sql)).map(partitionName));
  const today = Math.floor(now / DAY) * DAY;
  let made = 0;
  for (let day = 0; day <= DAYS_AHEAD; day += 1) {
    const from = today + day * DAY;
    for (const table of Object.keys(PARTITIONED) as Partitioned[]) {
      const partition = { table, from, to: from + DAY };
      if (there.has(partitionName(partition))) continue;
      await make(sql, partition, now);
      made += 1;
    }
  }
  return made;
}

/**
 * Makes one beside its table and attaches it when it is whole. A statement that was planned before
 * does not look into it: so where there are rows for it already, or may be soon, everybody else has
 * to wait for a moment. For days to come nobody has.
 */
async function make(sql: Sql, partition: DayPartition, now: number): Promise<void> {
  const { table, from, to } = partition;
  const name = partitionName(partition);
  const key = PARTITIONED[table];
  const range = `${key} >= '${firstIdAt(from)}' and ${key} < '${firstIdAt(to)}'`;
  const [row] = await sql.unsafe(
    `select exists (select 1 from ${table}_default where ${range}) as any`,
  );
  const alone = row?.any === true || from <= now;
  await sql.begin(async (transaction) => {
    await transaction.unsafe(`set local lock_timeout = '${LOCK_TIMEOUT}'`);
    await transaction.unsafe(
      `lock table ${alone ? table : `${table}_default`} in access exclusive mode`,
    );
    await transaction.unsafe(
      `create table ${name} (like ${table} including all) ${STORED[table] ?? ""}`,
    );
    if (alone) {
      await transaction.unsafe(`
        with moved as (delete from ${table}_default where ${range} returning *)
        insert into ${name} (${WRITTEN[table]}) select ${WRITTEN[table]} from moved`);
    }
    // Fails where rows have come in between that would have to be moved; the next upkeep moves them.
    await transaction.unsafe(`
      alter table ${table} attach partition ${name}
      for values from ('${firstIdAt(from)}') to ('${firstIdAt(to)}')`);
  });
}

/**
 * Drops a partition, which must be locked against writers. The rows that a condition names are moved
 * on: without their partition the default one takes them.
 */
export async function dropPartition(
  transaction: TransactionSql,
  partition: DayPartition,
  keep: string,
): Promise<void> {
  const { table } = partition;
  const name = partitionName(partition);
  await transaction.unsafe(`
    create temporary table kept on commit drop as select * from ${name} where ${keep}`);
  await transaction.unsafe(`alter table ${table} detach partition ${name}`);
  await transaction.unsafe(`drop table ${name}`);
  await transaction.unsafe(
    `insert into ${table} (${WRITTEN[table]}) select ${WRITTEN[table]} from kept`,
  );
  await transaction.unsafe(`drop table kept`);
}
