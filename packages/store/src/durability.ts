/**
 * Whether this Postgres can keep what Postern promises: its settings are somebody else's, and whoever
 * turned one off for a load of data may have forgotten it.
 */
import type { Database } from "./connection.ts";

/**
 * What speaks against relying on this Postgres, a sentence each. Its encoding is no reason to refuse
 * it: SQL_ASCII keeps our UTF-8 whole, byte by byte, and another one refuses what it lacks, so that
 * nothing is accepted that is not kept.
 */
export async function weaknesses({ sql }: Database): Promise<string[]> {
  const [row] = await sql`
    select current_setting('fsync') = 'on' as fsync,
      current_setting('full_page_writes') = 'on' as whole_pages,
      current_setting('synchronous_commit') as commit,
      current_setting('server_encoding') as encoding`;
  const { fsync, whole_pages: wholePages, commit, encoding } = row!;
  return [
    ...(fsync ? [] : ["fsync is off: a crash of the machine loses mail that was accepted"]),
    ...(wholePages
      ? []
      : ["full_page_writes is off: a crash of the machine may damage the database"]),
    ...(commit === "on"
      ? []
      : [`synchronous_commit is ${commit}, though on was asked for: a crash loses accepted mail`]),
    ...(encoding === "UTF8" ? [] : [
      encoding === "SQL_ASCII"
        ? "the encoding of the database is SQL_ASCII: use UTF8, so that Postgres knows characters"
        : `the encoding of the database is ${encoding}: use UTF8; mail with other characters gets 451`,
    ]),
  ];
}
