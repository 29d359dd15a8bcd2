/**
 * The configuration in memory, kept up with the database: after the first reading, only what
 * versions since have changed is read and parsed. Each state is immutable; kinds that did not
 * change are shared from one state to the next.
 */
import {
  type Configuration,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import { type SQL, sql } from "drizzle-orm";

/** A transaction of Drizzle, as far as it is used here. */
interface Transaction {
  execute(statement: SQL): PromiseLike<Iterable<Record<string, unknown>>>;
}

const nothing = {
  version: 0,
  ...Object.fromEntries(Object.keys(resourceKinds).map((kind) => [kind, new Map()])),
} as unknown as Configuration;

/** What is kept of the configuration. */
export class ConfigurationCache {
  #state = nothing;

  /**
   * The configuration as of the transaction's view, which must not move between two statements:
   * repeatable read, or under the configuration's lock.
   */
  async current(tx: Transaction): Promise<Configuration> {
    const known = this.#state;
    const [last] = await tx.execute(sql`select max(version)::int as version
      from configuration_versions`);
    const version = Number(last?.["version"] ?? 0);
    if (version === known.version) return known;
    // A database that was restored from a backup may be behind what was read.
    const since = version > known.version ? known.version : 0;
    const rows = await tx.execute(
      since === 0
        ? sql`select kind, name, body, false as gone from configuration_resources
          where valid_to is null`
        : sql`select kind, name, body, valid_to is not null as gone from configuration_resources
          where valid_from > ${since} or valid_to > ${since} order by valid_from`,
    );
    const state = { ...follow(since === 0 ? nothing : known, rows), version };
    if (version > this.#state.version || since === 0) this.#state = state;
    return state;
  }

  /** Takes up what was committed just now, without reading it again. */
  committed(state: Configuration): void {
    if (state.version > this.#state.version) this.#state = state;
  }
}

function follow(known: Configuration, rows: Iterable<Record<string, unknown>>): Configuration {
  const maps = new Map<ResourceKind, Map<string, Resource>>();
  for (const row of rows) {
    const kind = row["kind"] as ResourceKind;
    // What a newer release stored is not for this one.
    if (!Object.hasOwn(resourceKinds, kind)) continue;
    let map = maps.get(kind);
    if (map === undefined) {
      map = new Map<string, Resource>(known[kind]);
      maps.set(kind, map);
    }
    const name = row["name"] as string;
    if (row["gone"] === true) map.delete(name);
    // What an older release stored gets the defaults of what it did not know.
    else map.set(name, resourceKinds[kind].schema.parse(row["body"]));
  }
  return { ...known, ...Object.fromEntries(maps) };
}
