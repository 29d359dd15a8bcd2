/** Finding messages and telling their way, for whoever is asked "where is my mail?". */
import type { Database } from "./connection.ts";
import { hasQueue } from "./destination-list.ts";
import { searchMessages } from "./message-search.ts";
import { readPiece } from "./pieces.ts";
import { HEARTBEAT_MILLISECONDS } from "./processes.ts";
import type { Destination, RecipientState } from "./records.ts";
import { storable, storableMessageId } from "./storable.ts";

/** A recipient as it is shown. */
export interface RecipientSummary {
  readonly forwardPath: string;
  readonly state: RecipientState;
  readonly destination: Destination;
  readonly lastReply: string | null;
}

/** A message as lists show it. */
export interface MessageSummary {
  readonly id: string;
  readonly receivedAt: string;
  readonly reversePath: string;
  readonly size: number;
  readonly messageId: string | null;
  readonly recipients: readonly RecipientSummary[];
}

/** One dated fact about a message. */
export interface MessageEvent {
  readonly at: string;
  readonly kind:
    | "received"
    | "routed"
    | "attempted"
    | "delivered"
    | "deferred"
    | "bounced"
    | string;
  readonly [detail: string]: unknown;
}

/** A message with all that happened to it. */
export interface MessageDetail extends MessageSummary {
  readonly session: object;
  readonly parameters: object;
  readonly configurationVersion: number;
  /** False once its content was let go: that is kept less long than the message. */
  readonly contentKept: boolean;
  readonly events: readonly MessageEvent[];
}

/** What to look for; all given conditions must hold. Addresses are compared without case, and in U-labels and A-labels alike. */
export interface MessageQuery {
  readonly sender?: string;
  readonly recipient?: string;
  /** Message-ID with or without angle brackets. */
  readonly messageId?: string;
  /** Messages with a recipient in this state; with `recipient`, that one. */
  readonly state?: RecipientState;
  readonly since?: Date;
  readonly until?: Date;
  readonly limit: number;
  /** `next` of the page before. */
  readonly cursor?: string;
}

/** Messages as a repository. */
export interface MessageStore {
  /** Newest first. */
  find(query: MessageQuery): Promise<{ items: MessageSummary[]; next: string | null }>;
  get(id: string): Promise<MessageDetail | undefined>;
  /** The content, piece by piece; `gone` once it was let go, undefined when there is no such message. */
  content(id: string): Promise<AsyncIterable<Uint8Array> | "gone" | undefined>;
  /** Deliveries waiting and claimed, and live processes by kind: figures for monitoring. */
  figures(): Promise<{
    readonly waiting: number;
    readonly claimed: number;
    /** Recipients that are held. */
    readonly held: number;
    /** Seconds since the oldest message in the queue was received; 0 when nothing waits. */
    readonly oldestSeconds: number;
    readonly destinations: { readonly failing: number; readonly paused: number };
    readonly processes: Readonly<Record<string, number>>;
  }>;
}

/** Opens the messages. */
export function openMessages({ sql }: Database): MessageStore {
  async function summaries(ids: readonly string[]): Promise<(MessageSummary & Row)[]> {
    const rows = await sql`
      select m.*, r.recipients
      from messages m
      cross join lateral (
        select coalesce(json_agg(json_build_object('forwardPath', r.forward_path, 'state', r.state,
          'destination', json_build_object('relay', d.relay, 'nextHop', d.next_hop),
          'lastReply', r.last_reply, 'decision', r.decision) order by r.ordinal), '[]') as recipients
        from recipients r join destinations d on d.id = r.destination_id
        where r.message_id = m.id
      ) r
      where m.id = any (${[...ids]}::uuid[])
      order by m.id desc`;
    return rows.map((row) => ({
      id: row.id,
      receivedAt: row.received_at.toISOString(),
      reversePath: row.reverse_path,
      size: Number(row.size),
      messageId: row.message_id,
      recipients: row.recipients.map(withoutDecision),
      row: row as Row["row"],
    }));
  }

  return {
    async find(query) {
      const { limit } = query;
      const ids = await searchMessages(sql, asStored(query));
      const page = ids.slice(0, limit);
      const items = (await summaries(page)).map(({ row: _, ...summary }) => summary);
      return { items, next: ids.length > limit ? page.at(-1) ?? null : null };
    },

    async get(id) {
      const [found] = await summaries([id]);
      if (found === undefined) return undefined;
      const { row, ...summary } = found;
      const events = await sql`
        select at, kind, detail from events where message_id = ${id} order by id`;
      const first = await sql`select 1 from contents where message_id = ${id} and ordinal = 0`;
      return {
        ...summary,
        session: row.session,
        parameters: row.parameters,
        configurationVersion: Number(row.configuration_version),
        contentKept: first.length > 0,
        events: [
          { at: summary.receivedAt, kind: "received", ...row.session, size: summary.size },
          ...row.recipients.map(({ forwardPath, destination, decision: found }) => {
            // Of who was rerouted since, the decision tells where it led first.
            const { destination: first = destination, ...decision } = found;
            const at = summary.receivedAt;
            return { at, kind: "routed", recipient: forwardPath, destination: first, decision };
          }),
          ...events.flatMap((event) =>
            tell(event.at.toISOString(), event.kind, event.detail, summary.recipients)
          ),
        ],
      };
    },

    async content(id) {
      const [row] = await sql`select 1 from messages where id = ${id}`;
      if (row === undefined) return undefined;
      // A message without a byte has its piece, too.
      const first = await readPiece(sql, id, 0);
      return first === undefined ? "gone" : pieces(id, first);
    },

    async figures() {
      const [row] = await sql`
        select (select count(*) from deliveries where worker_id is null) as waiting,
          (select count(*) from deliveries where worker_id is not null) as claimed,
          (select count(*) from recipients where rare_state = 'held') as held,
          (select extract(epoch from now() - m.received_at)
           from (select message_id from deliveries order by message_id limit 1) d
           join messages m on m.id = d.message_id) as oldest,
          (select count(*) from destinations x where failures > 0 and ${hasQueue(sql)}) as failing,
          (select count(*) from destinations where paused_at is not null) as paused,
          (select coalesce(json_object_agg(kind, n), '{}')
           from (select kind, count(*) as n from processes
             where seen_at > now() - make_interval(secs => ${2 * HEARTBEAT_MILLISECONDS / 1000})
             group by kind) p) as processes`;
      return {
        waiting: Number(row?.waiting),
        claimed: Number(row?.claimed),
        held: Number(row?.held),
        oldestSeconds: Math.max(0, Number(row?.oldest ?? 0)),
        destinations: { failing: Number(row?.failing), paused: Number(row?.paused) },
        processes: row?.processes ?? {},
      };
    },
  };

  async function* pieces(id: string, first: Uint8Array) {
    let bytes: Uint8Array | undefined = first;
    for (let ordinal = 1; bytes !== undefined; ordinal += 1) {
      yield bytes;
      bytes = await readPiece(sql, id, ordinal);
    }
  }
}

interface Row {
  readonly row: {
    readonly session: object;
    readonly parameters: object;
    readonly configuration_version: string;
    readonly recipients: readonly (RecipientSummary & {
      readonly decision: { readonly destination?: Destination };
    })[];
  };
}

/** The query with its text in the form in which it is stored. */
function asStored({ sender, recipient, messageId, ...query }: MessageQuery): MessageQuery {
  return {
    ...query,
    ...(sender === undefined ? {} : { sender: storable(sender) }),
    ...(recipient === undefined ? {} : { recipient: storable(recipient) }),
    ...(messageId === undefined
      ? {}
      : { messageId: storableMessageId(messageId.trim().replace(/^<|>$/g, "")) }),
  };
}

function withoutDecision({ forwardPath, state, destination, lastReply }: RecipientSummary) {
  return { forwardPath, state, destination, lastReply };
}

/** An attempt is stored as one row and told as what was tried and what became of each recipient. */
function tell(
  at: string,
  kind: string,
  detail: Record<string, unknown>,
  recipients: readonly RecipientSummary[],
): MessageEvent[] {
  const { recipients: outcomes = [], ...rest } = detail as {
    recipients?: { ordinal: number; state: string; reply: string; session?: object }[];
  };
  return [
    { at, kind, ...rest },
    ...outcomes.map(({ ordinal, state, reply, session }) => ({
      at,
      kind: state,
      recipient: recipients[ordinal]?.forwardPath ?? "",
      reply,
      ...session,
    })),
  ];
}
