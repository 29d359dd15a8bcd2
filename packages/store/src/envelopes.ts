/** Envelopes of real messages as they came in, for deciding about them again. */
import type { Database } from "./connection.ts";

/** What is stored of a message's arrival. */
export interface StoredEnvelope {
  readonly id: string;
  readonly receivedAt: Date;
  readonly reversePath: string;
  /** As the ingress stored it. */
  readonly session: Readonly<Record<string, unknown>>;
  readonly size: number;
  /** The forward-paths that the client gave, each once; what they became where that is not kept. */
  readonly recipients: readonly string[];
  /** The changes to the header of the first copy: our results of authentication are among them. */
  readonly edits: readonly { readonly add?: string; readonly value?: string }[];
  /** The first bytes of the content; undefined when not asked for, or no longer there. */
  readonly front: Uint8Array | undefined;
}

/** Messages that are read at once. */
const BATCH = 200;

/** Bytes of content that are read for its header. */
const FRONT = 256 * 1024;

/** The newest messages that came in over a session, at most so many, a batch at a time. */
export async function* recentEnvelopes(
  { sql }: Database,
  { count, withContent }: { readonly count: number; readonly withContent: boolean },
): AsyncGenerator<StoredEnvelope[]> {
  let before = "ffffffff-ffff-ffff-ffff-ffffffffffff";
  for (let left = count; left > 0;) {
    const rows = await sql`
      select m.id, m.received_at, m.reverse_path, m.session, m.size, r.paths, r.edits,
        ${withContent ? sql`substring(c.bytes from 1 for ${FRONT}::int)` : sql`null`} as front
      from (
        select * from messages where id < ${before}::uuid order by id desc
        limit ${Math.min(BATCH, left)}
      ) m
      cross join lateral (
        select array_agg(distinct coalesce(decision ->> 'recipient', forward_path)) as paths,
          (array_agg(treatment -> 'edits' order by ordinal))[1] as edits
        from recipients where message_id = m.id
      ) r
      ${withContent ? sql`left join contents c on c.message_id = m.id and c.ordinal = 0` : sql``}
      order by m.id desc`;
    if (rows.length === 0) return;
    before = rows.at(-1)!.id;
    const envelopes = rows.map((row): StoredEnvelope => ({
      id: row.id,
      receivedAt: row.received_at,
      reversePath: row.reverse_path,
      session: row.session,
      size: Number(row.size),
      recipients: row.paths ?? [],
      edits: row.edits ?? [],
      front: row.front ?? undefined,
    }));
    left -= rows.length;
    yield envelopes;
  }
}
