/**
 * Pieces of content as the text in which the driver carries them. Seven-bit content, as most mail is,
 * goes as it stands: Postgres then decodes nothing, which took it longer than to store the piece.
 * Everything else goes as base64.
 */
import { Buffer, isAscii } from "node:buffer";
import type { Sql } from "postgres";

/** SQLSTATEs that say: these bytes are no text, or none that this database can keep. */
const NO_TEXT = ["22021", "22P05"];

const encoder = new TextEncoder();

/** Stores a piece. */
export async function insertPiece(
  sql: Sql,
  messageId: string,
  ordinal: number,
  bytes: Uint8Array,
): Promise<void> {
  if (isAscii(bytes) && !bytes.includes(0)) {
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    await sql`
      insert into contents (message_id, ordinal, bytes)
      values (${messageId}, ${ordinal}, convert_to(${text}, 'UTF8'))`;
  } else {
    await sql`
      insert into contents (message_id, ordinal, bytes)
      values (${messageId}, ${ordinal}, decode(${bytes.toBase64()}, 'base64'))`;
  }
}

/** Reads the pieces of one message: what is no text shows at the first piece that is none. */
export class PieceReader {
  readonly #sql: Sql;
  readonly #messageId: string;
  #text = true;

  constructor(sql: Sql, messageId: string) {
    this.#sql = sql;
    this.#messageId = messageId;
  }

  /** The piece, or undefined where there is none. */
  async read(ordinal: number): Promise<Uint8Array | undefined> {
    if (this.#text) {
      try {
        const [row] = await this.#sql`
          select convert_from(bytes, 'UTF8') as text from contents
          where message_id = ${this.#messageId} and ordinal = ${ordinal}`;
        return row === undefined ? undefined : encoder.encode(row.text);
      } catch (error) {
        const code = error instanceof Error && "code" in error ? String(error.code) : "";
        if (!NO_TEXT.includes(code)) throw error;
        this.#text = false;
      }
    }
    const [row] = await this.#sql`
      select encode(bytes, 'base64') as text from contents
      where message_id = ${this.#messageId} and ordinal = ${ordinal}`;
    return row === undefined ? undefined : Uint8Array.fromBase64(row.text);
  }
}
