/**
 * The statement of a delivery that goes on: the recipients that are done of it. Its claim stays, and
 * nothing is said of its destination: that is for the outcome at its end, which names the others.
 */
import type { Sql } from "postgres";
import type { DeliveryOutcome } from "./records.ts";
import { storableJson } from "./storable.ts";

/** What is done of a delivery of which some recipients are still to come. */
export type OutcomePart =
  & Required<Pick<DeliveryOutcome, "attempts">>
  & Pick<DeliveryOutcome, "messageId" | "destinationId" | "at" | "recipients" | "attempt">;

/** Enters it; answers whether this worker still had the claim, without which nothing is entered. */
export async function enterPart(
  sql: Sql,
  workerId: number,
  { messageId, destinationId, attempts, at, recipients, attempt }: OutcomePart,
): Promise<boolean> {
  const done = recipients.map(({ ordinal, state, reply }) => ({ n: ordinal, state, reply }));
  const [row] = await sql`
    with claimed as (
      select message_id from deliveries
      where message_id = ${messageId} and destination_id = ${destinationId}
        and worker_id = ${workerId} and attempts = ${attempts}
      for update
    ), event as (
      insert into events (message_id, at, kind, detail)
      select message_id, ${at.toISOString()}::timestamptz, 'attempted',
        ${storableJson({ ...attempt, recipients })}::text::json
      from claimed
    ), changed as (
      update recipients r
      set state = x.state, last_reply = x.reply, changed_at = ${at.toISOString()}::timestamptz
      from json_to_recordset(${storableJson(done)}::text::json)
        as x (n int, state text, reply text), claimed
      where r.message_id = ${messageId} and r.message_id = claimed.message_id
        and r.ordinal = x.n
    )
    select count(*)::int as claims from claimed`;
  return row?.claims === 1;
}
