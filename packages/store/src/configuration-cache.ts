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
import { readDefinition, UnreadableConfiguration } from "./stored-definition.ts";

/** A transaction of Drizzle, as far as it is used here. */
interface Transaction {
  execute(statement: SQL): PromiseLike<Iterable<Record<string, unknown>>>;
}

/** A configuration as it was read, with stand-ins for what does not parse. */
interface State {
  readonly configuration: Configuration;
  /** Why, for each that has a stand-in, by kind and name. */
  readonly faults: ReadonlyMap<string, string>;
}

const nothing = {
  version: 0,
  ...Object.fromEntries(Object.keys(resourceKinds).map((kind) => [kind, new Map()])),
} as unknown as Configuration;

/** What is kept of the configuration. */
export class ConfigurationCache {
  #state: State = { configuration: nothing, faults: new Map() };

  /**
   * The configuration as of the transaction's view, which must not move between two statements:
   * repeatable read, or under the configuration's lock.
   * @throws {UnreadableConfiguration}
   */
  async current(tx: Transaction): Promise<Configuration> {
    const { configuration, faults } = await this.#read(tx);
    if (faults.size > 0) throw new UnreadableConfiguration(faults.values());
    return configuration;
  }

  /** The same, with stand-ins for what does not parse: to change it by, and for nothing else. */
  async toChange(tx: Transaction): Promise<Configuration> {
    return (await this.#read(tx)).configuration;
  }

  async #read(tx: Transaction): Promise<State> {
    const known = this.#state;
    const [last] = await tx.execute(sql`select max(version)::int as version
      from configuration_versions`);
    const version = Number(last?.["version"] ?? 0);
    if (version === known.configuration.version) return known;
    // A database that was restored from a backup may be behind what was read.
    const since = version > known.configuration.version ? known.configuration.version : 0;
    const rows = await tx.execute(
      since === 0
        ? sql`select kind, name, body, false as gone from configuration_resources
          where valid_to is null`
        : sql`select kind, name, body, valid_to is not null as gone from configuration_resources
          where valid_from > ${since} or valid_to > ${since} order by valid_from`,
    );
    const former = since === 0 ? { configuration: nothing, faults: new Map() } : known;
    const state = follow(former, rows, version);
    if (version > this.#state.configuration.version || since === 0) this.#state = state;
    return state;
  }

  /** Takes up what was committed just now, without reading it again. */
  committed(configuration: Configuration): void {
    const { configuration: { version }, faults } = this.#state;
    // What was mended is found by reading.
    if (configuration.version > version && faults.size === 0) {
      this.#state = { configuration, faults };
    }
  }
}

function follow(
  { configuration: known, faults: former }: State,
  rows: Iterable<Record<string, unknown>>,
  version: number,
): State {
  const faults = new Map(former);
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
    faults.delete(`${kind}/${name}`);
    if (row["gone"] === true) map.delete(name);
    else {
      const { resource, fault } = readDefinition(kind, name, row["body"]);
      map.set(name, resource);
      if (fault !== undefined) faults.set(`${kind}/${name}`, fault);
    }
  }
  return { configuration: { ...known, ...Object.fromEntries(maps), version }, faults };
}
