/**
 * Pieces of content by COPY in Postgres's binary format: the bytes go as they are, which no
 * parameter and no column of a result does with this driver. In text a megabyte cost twice the
 * processor time, here and in Postgres.
 *
 * One COPY is one row: the header of the format, a tuple of the table's columns, the trailer
 * (Postgres documentation, COPY, "Binary Format").
 */
import { Buffer } from "node:buffer";
import type { Readable, Writable } from "node:stream";
import type { Sql } from "postgres";

/** Signature, flags, length of an extension. */
const HEADER = [
  ...new TextEncoder().encode("PGCOPY\n"),
  ...[0xff, 0x0d, 0x0a, 0x00],
  ...new Array<number>(8).fill(0),
];
const TRAILER = Uint8Array.of(0xff, 0xff);

/** The header, and of a tuple of one column its count of columns and its length. */
const BEFORE_COLUMN = HEADER.length + 2 + 4;

/** An id as it stands in a statement without parameters: nothing but what an id may hold. */
function literal(id: string): string {
  if (!/^[0-9a-f-]{36}$/i.test(id)) throw new Error("not an id of a message");
  return `'${id}'`;
}

/**
 * Stores a piece. `connection` is a client of one connection, which nobody else uses meanwhile: the
 * driver would send other statements into the midst of the COPY.
 *
 * The driver (postgres.js 3.4.9) does not tell of an error that comes behind the end of the data: its
 * stream then never ends, or ends well with the next statement. So what it says is not asked:
 * behind the data follows the question whether the piece is there.
 */
export async function writePiece(
  connection: Sql,
  messageId: string,
  ordinal: number,
  bytes: Uint8Array,
): Promise<void> {
  const stream: Writable = await connection`
    copy contents (message_id, ordinal, bytes) from stdin (format binary)`.writable();
  // A COPY that is over, well or not, needs no word of failure on the wire.
  stream._destroy = (error, done) => done(error);
  const size = await new Promise<unknown>((resolve, reject) => {
    stream.once("error", reject);
    const end = stream._final;
    stream._final = (done) => {
      end.call(stream, done);
      // From here on the driver takes the next statement.
      connection`
        select octet_length(bytes) as size from contents
        where message_id = ${messageId} and ordinal = ${ordinal}`
        .then(([row]) => resolve(row?.size), reject);
    };
    stream.write(rowBefore(messageId, ordinal, bytes.length));
    stream.write(bytes);
    stream.end(TRAILER);
  });
  if (size === bytes.length) return;
  // It was not taken, and why was not told (the partition of its day may have been made in this
  // moment): the same as a statement goes well, or says why not.
  await connection`
    insert into contents (message_id, ordinal, bytes) values (${messageId}, ${ordinal}, ${bytes})`;
}

/** All that goes in front of the bytes: the header, and the tuple up to its last column. */
function rowBefore(messageId: string, ordinal: number, length: number): Uint8Array {
  const row = Buffer.alloc(HEADER.length + 2 + 4 + 16 + 4 + 4 + 4);
  row.set(HEADER);
  let at = row.writeInt16BE(3, HEADER.length);
  at = row.writeInt32BE(16, at);
  at += row.write(messageId.replaceAll("-", ""), at, "hex");
  at = row.writeInt32BE(4, at);
  at = row.writeInt32BE(ordinal, at);
  row.writeInt32BE(length, at);
  return row;
}

/** Reads a piece; undefined where there is none. The connection is as for {@link writePiece}. */
export async function readPiece(
  connection: Sql,
  messageId: string,
  ordinal: number,
): Promise<Uint8Array | undefined> {
  const stream: Readable = await connection.unsafe(
    `copy (select bytes from contents where message_id = ${literal(messageId)}
      and ordinal = ${Math.trunc(ordinal)}) to stdout (format binary)`,
  ).readable();
  const parts: Uint8Array[] = [];
  await new Promise<void>((resolve, reject) => {
    stream.on("data", (part: Uint8Array) => void parts.push(part));
    stream.once("end", resolve);
    stream.once("error", reject);
  });
  // The driver stops reading its socket when a stream is full, and goes on when the stream asks for
  // more, which one that has ended does not do.
  try {
    stream._read(0);
  } catch {
    // The connection went away behind the piece, which is all here; there is nothing to go on with.
  }
  const all = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
  const end = all.length - TRAILER.length;
  // A plain array: a search in a Buffer takes a detour that costs several times as much.
  return end < BEFORE_COLUMN
    ? undefined
    : new Uint8Array(all.buffer, all.byteOffset + BEFORE_COLUMN, end - BEFORE_COLUMN);
}
