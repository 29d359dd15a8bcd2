/** The ids of destinations, remembered: a destination's row is made once and never removed. */
import type { Sql } from "postgres";
import type { Destination } from "./records.ts";

/** Answers the ids of destinations, adding those that are new. */
export class DestinationIds {
  readonly #sql: Sql;
  readonly #ids = new Map<string, number>();

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Makes sure that {@link idOf} knows these. */
  async learn(destinations: Iterable<Destination>): Promise<void> {
    const unknown = new Map<string, Destination>();
    for (const destination of destinations) {
      const key = keyOf(destination);
      if (!this.#ids.has(key)) unknown.set(key, destination);
    }
    if (unknown.size === 0) return;
    const rows = await this.#sql`
      insert into destinations (relay, next_hop)
      select relay, next_hop
      from json_to_recordset(${JSON.stringify([...unknown.values()].map(toRow))}::text::json)
        as d (relay text, next_hop text)
      order by relay, next_hop
      on conflict (relay, next_hop) do update set relay = excluded.relay
      returning id, relay, next_hop`;
    for (const row of rows) {
      this.#ids.set(keyOf({ relay: row.relay, nextHop: row.next_hop }), Number(row.id));
    }
  }

  /** The id of a destination that was learnt. */
  idOf(destination: Destination): number {
    const id = this.#ids.get(keyOf(destination));
    if (id === undefined) throw new Error(`destination ${keyOf(destination)} was not learnt`);
    return id;
  }
}

function keyOf({ relay, nextHop }: Destination): string {
  return `${relay} ${nextHop}`;
}

function toRow({ relay, nextHop }: Destination) {
  return { relay, next_hop: nextHop };
}
