/**
 * How content lies in the store: small content beside its message, large content in pieces, whose
 * bytes travel as they are (see `bytea` in connection.ts).
 */
import type { Sql } from "postgres";

/** Content up to this size travels with its message; larger content goes in pieces of this size. */
export const PIECE_BYTES = 256 * 1024;

/** Content below this size is claimed with its delivery; the rest is read when it is delivered. */
export const INLINE_BYTES = 64 * 1024;

/**
 * Pieces on their way to Postgres, or from there, at once: each takes a connection of its own and the
 * memory of what is on its way. Four were not faster.
 */
export const PIECES_AT_ONCE = 2;

/** Stores a piece. Whoever repeats it after an error may learn that it is there (23505). */
export async function writePiece(
  sql: Sql,
  messageId: string,
  ordinal: number,
  bytes: Uint8Array,
): Promise<void> {
  await sql`
    insert into contents (message_id, ordinal, bytes) values (${messageId}, ${ordinal}, ${bytes})`;
}

/** Reads a piece; undefined where there is none. */
export async function readPiece(
  sql: Sql,
  messageId: string,
  ordinal: number,
): Promise<Uint8Array | undefined> {
  const [row] = await sql<{ bytes: Uint8Array }[]>`
    select bytes from contents where message_id = ${messageId} and ordinal = ${ordinal}`;
  return row?.bytes;
}
