/**
 * Reading what a claim marked, though some of it cannot be read: a damaged row must not stop the queue.
 *
 * What cannot be read, or of which nothing is found, is looked at again later and only then taken out:
 * nothing goes because it was not seen once.
 */
import type { Sql } from "postgres";
import { keyOf, type Marked, read } from "./claim.ts";
import type { ClaimedDelivery, DeliveryOutcome } from "./records.ts";

/** How often it is looked at again, and after how many milliseconds. */
const LOOKS = 5;
const PAUSE = 60_000;

/** Where not even its recipients can be read, it is looked at so often, in milliseconds. */
const LAST_RESORT = 3_600_000;

/** What was read of a marked delivery; nothing where nothing is left of it or where it is damaged. */
interface Reading {
  readonly delivery?: Omit<ClaimedDelivery, "attempts" | "destination">;
  readonly error?: unknown;
}

/** Reads what was marked, each in its place; where a row is damaged, by halves until it is alone. */
export async function readMarked(sql: Sql, marked: readonly Marked[]): Promise<Reading[]> {
  try {
    const found = await read(sql, marked);
    return marked.map(({ messageId, destination }) => {
      const delivery = found.get(keyOf(messageId, destination));
      return delivery === undefined || delivery.recipients.length === 0 ? {} : { delivery };
    });
  } catch (error) {
    if (!isDamaged(error)) throw error;
    if (marked.length === 1) return [{ error }];
    const half = marked.length >> 1;
    return [
      ...await readMarked(sql, marked.slice(0, half)),
      ...await readMarked(sql, marked.slice(half)),
    ];
  }
}

/** What is recorded of a delivery that was not read; without an error nothing was left of it. */
export async function outcomeOfUnread(
  sql: Sql,
  { messageId, destination, attempts }: Marked,
  error: unknown,
): Promise<DeliveryOutcome> {
  const at = new Date();
  const later = (milliseconds: number) => new Date(at.getTime() + milliseconds);
  const why = error === undefined
    ? "nothing of the message is left to deliver"
    : `the message cannot be read: ${String(error)}`;
  const unread = {
    messageId,
    destinationId: destination,
    at,
    recipients: [],
    dueAt: later(PAUSE),
    attempt: { error: why },
  };
  if (attempts < LOOKS) return unread;
  if (error === undefined) return { ...unread, dueAt: undefined };
  const ordinals = await ordinalsOf(sql, messageId, destination);
  if (ordinals === undefined) return { ...unread, dueAt: later(LAST_RESORT) };
  const reply = `451 4.3.0 Set aside: ${why}`;
  const recipients = ordinals.map((ordinal) => ({ ordinal, state: "held" as const, reply }));
  return { ...unread, recipients, dueAt: undefined };
}

/** The recipients that wait there; undefined where they cannot be read. */
async function ordinalsOf(
  sql: Sql,
  messageId: string,
  destination: number,
): Promise<number[] | undefined> {
  try {
    const rows = await sql`
      select ordinal from recipients where message_id = ${messageId}
        and destination_id = ${destination} and state in ('queued', 'deferred')`;
    return rows.map((row) => row.ordinal as number);
  } catch (error) {
    if (!isDamaged(error)) throw error;
    return undefined;
  }
}

/** Whether the error says that what is stored cannot be read, not that anything else is amiss. */
function isDamaged(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return /^(22|54|XX)/.test(code);
}
