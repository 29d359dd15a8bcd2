/** The ids of destinations, remembered: a destination's row is made once and never removed. */
import type { Row, Sql } from "postgres";
import type { Destination } from "./records.ts";

/** Answers the ids of destinations, adding those that are new, and the destinations of ids. */
export class DestinationIds {
  readonly #sql: Sql;
  readonly #ids = new Map<string, number>();
  readonly #destinations = new Map<number, Destination>();

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
    await this.#find(unknown);
    if (unknown.size === 0) return;
    // Their rows are read, not written, where they are there: somebody else may have them locked.
    const rows = await this.#sql`
      insert into destinations (relay, next_hop)
      select relay, next_hop
      from json_to_recordset(${asJson(unknown)}::text::json) as d (relay text, next_hop text)
      order by relay, next_hop
      on conflict (relay, next_hop) do nothing
      returning id, relay, next_hop`;
    this.#note(rows, unknown);
    // Others made them meanwhile.
    if (unknown.size > 0) await this.#find(unknown);
  }

  /** Remembers those that are in the books, and takes them out. */
  async #find(unknown: Map<string, Destination>): Promise<void> {
    const rows = await this.#sql`
      select x.id, x.relay, x.next_hop
      from json_to_recordset(${asJson(unknown)}::text::json) as d (relay text, next_hop text)
      join destinations x on x.relay = d.relay and x.next_hop = d.next_hop`;
    this.#note(rows, unknown);
  }

  #note(rows: Iterable<Row>, unknown: Map<string, Destination>): void {
    for (const row of rows) {
      const destination = { relay: row.relay, nextHop: row.next_hop };
      this.#remember(Number(row.id), destination);
      unknown.delete(keyOf(destination));
    }
  }

  /** Makes sure that {@link of} knows these. */
  async recall(ids: readonly number[]): Promise<void> {
    const unknown = [...new Set(ids)].filter((id) => !this.#destinations.has(id));
    if (unknown.length === 0) return;
    const rows = await this.#sql`
      select id, relay, next_hop from destinations where id = any (${unknown}::bigint[])`;
    for (const row of rows) {
      this.#remember(Number(row.id), { relay: row.relay, nextHop: row.next_hop });
    }
  }

  /** The destination of an id that was recalled. */
  of(id: number): Destination {
    const destination = this.#destinations.get(id);
    if (destination === undefined) throw new Error(`destination ${id} was not recalled`);
    return destination;
  }

  #remember(id: number, destination: Destination): void {
    this.#ids.set(keyOf(destination), id);
    this.#destinations.set(id, destination);
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

function asJson(destinations: ReadonlyMap<string, Destination>): string {
  return JSON.stringify(
    [...destinations.values()].map(({ relay, nextHop }) => ({ relay, next_hop: nextHop })),
  );
}
