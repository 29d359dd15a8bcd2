/**
 * Finding messages, newest first. Each search has an index; which one is best depends on what is
 * looked for, so each is planned by itself.
 */
import type { PendingQuery, Row, Sql } from "postgres";
import { addressForms } from "./address-forms.ts";
import type { MessageQuery } from "./messages.ts";
import { firstIdAt, LONGEST_RECEPTION } from "./partitions.ts";
import type { RecipientState } from "./records.ts";

/**
 * An id is made when a transaction begins, its time of receipt is that of its end. Ids bound a
 * search by time, so that it need not look at partitions of other days, with the longest reception
 * between the two, and with the clocks of two machines.
 */
const CLOCK_DIFFERENCE = 60_000;

/** The ids of the messages for which all conditions hold, one more than asked for where there are. */
export async function searchMessages(
  sql: Sql,
  { sender, recipient, messageId, state, since, until, limit, cursor }: MessageQuery,
): Promise<string[]> {
  /** What the times and the cursor say of a column with ids. */
  const within = (column: string) => {
    const id = sql(column);
    return sql`
      ${
      since === undefined
        ? sql``
        : sql`and ${id} >= ${firstIdAt(since.getTime() - LONGEST_RECEPTION)}::uuid`
    }
      ${
      until === undefined
        ? sql``
        : sql`and ${id} < ${firstIdAt(until.getTime() + CLOCK_DIFFERENCE)}::uuid`
    }
      ${cursor === undefined ? sql`` : sql`and ${id} < ${cursor}::uuid`}`;
  };
  const isSender = sender === undefined
    ? sql``
    : sql`and ${isAddress(sql, "m.reverse_path", sender)}`;
  const isRecipient = recipient === undefined
    ? sql``
    : sql`and ${isAddress(sql, "r.forward_path", recipient)}`;
  const isInState = state === undefined ? sql`` : sql`and ${sql(stateColumn(state))} = ${state}`;
  const allQueued = state === "queued" && recipient === undefined;
  const rows = await sql.begin("read only", async (tx) => {
    await tx`set local plan_cache_mode = force_custom_plan`;
    return await tx`
      select m.id
      from messages m ${allQueued ? queued(sql, within) : sql``}
      where true ${within("m.id")} ${isSender}
      ${messageId === undefined ? sql`` : sql`and m.message_id = ${messageId}`}
      ${
      // One recipient, of whom all holds that is asked of a recipient.
      recipient === undefined && state === undefined || allQueued
        ? sql``
        : sql`and exists (select 1 from recipients r
          where r.message_id = m.id ${isRecipient} ${isInState} ${within("r.message_id")})`}
      ${
      // So that who has got much mail is found by what waits, where that is less.
      state === "queued" && recipient !== undefined
        ? sql`and exists (select 1 from deliveries d where d.message_id = m.id ${
          within("d.message_id")
        })`
        : sql``}
      ${since === undefined ? sql`` : sql`and m.received_at >= ${since}`}
      ${until === undefined ? sql`` : sql`and m.received_at < ${until}`}
      order by m.id desc limit ${limit + 1}`;
  });
  return rows.map((row) => row.id as string);
}

/**
 * What is queued has a delivery and no other index. The plan goes back through the primary key of
 * deliveries and sees to one recipient of each, so that what was delivered is not read.
 */
function queued(sql: Sql, within: (column: string) => PendingQuery<Row[]>) {
  return sql`
    join (
      select distinct message_id as id from deliveries where true ${within("message_id")}
      order by message_id desc
    ) waiting on waiting.id = m.id
    cross join lateral (
      select 1 from recipients r
      where r.message_id = waiting.id and r.state = 'queued' ${within("r.message_id")} limit 1
    ) queued`;
}

/** The column that an index finds a state by; most are delivered, and need none. */
function stateColumn(state: RecipientState): string {
  return state === "delivered" || state === "queued" ? "r.state" : "r.rare_state";
}

/** Whether the column has this address, by the index on `lower` of it. */
function isAddress(sql: Sql, column: string, address: string): PendingQuery<Row[]> {
  const [form = "", ...others] = addressForms(address);
  const forms = others.reduce((list, one) => sql`${list}, lower(${one})`, sql`lower(${form})`);
  return sql`lower(${sql(column)}) in (${forms})`;
}
