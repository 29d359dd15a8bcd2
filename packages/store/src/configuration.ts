/**
 * The configuration in Postgres: reading it, and changing it in versions.
 *
 * One change is one version, written under one lock, so versions follow each other without gaps
 * and a check of what must hold between resources cannot be overtaken by another change.
 */
import {
  type Change,
  type Configuration,
  type Examination,
  judge,
  type Objection,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import { and, asc, eq, gt, isNull, max, sql as raw } from "drizzle-orm";
import { type AuditEntry, recordIn } from "./audit.ts";
import { CONFIGURATION_CHANNEL, CONFIGURATION_LOCK } from "./channels.ts";
import { ConfigurationCache } from "./configuration-cache.ts";
import type { Database } from "./connection.ts";
import { endRecipientLists, restoreRecipientLists } from "./recipient-list-versions.ts";
import { configurationResources as resources, configurationVersions } from "./schema/index.ts";

/** A definition as stored, with the version that brought it. */
export interface StoredResource<K extends ResourceKind = ResourceKind> {
  readonly kind: K;
  readonly name: string;
  readonly body: Resource<K>;
  readonly version: number;
}

/** Who makes a version, and why. */
export interface Authorship {
  readonly author: string;
  readonly note?: string;
  /** Where it came from, for the audit log. */
  readonly address?: string | undefined;
}

/** On what condition, and how, a version is made. */
export interface ApplyOptions {
  /** The version that the whole configuration must be at. */
  readonly expected?: number | undefined;
  /** Find out what would become of it, and change nothing. */
  readonly dryRun?: boolean;
  /** Make recipient lists what they were at this version, and a version even where none differs. */
  readonly restores?: number;
}

/** What became of a wish. */
export type ChangeOutcome =
  | {
    readonly status: "applied";
    /** The version made; the one in force where there was nothing to change. */
    readonly version: number;
    /** For each change, whether there was no such resource before. */
    readonly created: boolean[];
  }
  | { readonly status: "stale"; readonly kind?: ResourceKind; readonly name?: string }
  | Objection;

/** Changes, or what makes them from the configuration in force. */
export type Changes = readonly Change[] | ((current: Configuration) => readonly Change[]);

/** The configuration as a repository. */
export interface ConfigurationStore {
  currentVersion(): Promise<number>;
  /**
   * The whole configuration in force.
   * @throws {UnreadableConfiguration}
   */
  load(): Promise<Configuration>;
  /** The same, with stand-ins for definitions that do not parse: to change it by, for nothing else. */
  loadToChange(): Promise<Configuration>;
  get<K extends ResourceKind>(kind: K, name: string): Promise<StoredResource<K> | undefined>;
  /** By name, starting after `after`; at most `limit`. */
  list<K extends ResourceKind>(
    kind: K,
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<StoredResource<K>[]>;
  /** All of the changes as one version, or none of them. */
  apply(changes: Changes, by: Authorship, options?: ApplyOptions): Promise<ChangeOutcome>;
}

/** Opens the configuration. `examine` finds what is wrong with one as a whole. */
export function openConfiguration(
  { drizzle }: Database,
  { examine }: { readonly examine?: Examination } = {},
): ConfigurationStore {
  const inForce = isNull(resources.validTo);
  const cache = new ConfigurationCache();
  type Transaction = Parameters<Parameters<typeof drizzle.transaction>[0]>[0];

  return {
    async currentVersion() {
      const [row] = await drizzle.select({ version: max(configurationVersions.version) })
        .from(configurationVersions);
      return row?.version ?? 0;
    },
    load: () => drizzle.transaction((tx) => cache.current(tx), oneView),
    loadToChange: () => drizzle.transaction((tx) => cache.toChange(tx), oneView),
    async get<K extends ResourceKind>(kind: K, name: string) {
      const [row] = await drizzle.select().from(resources)
        .where(and(eq(resources.kind, kind), eq(resources.name, name), inForce));
      return row && stored<K>(row);
    },
    async list<K extends ResourceKind>(
      kind: K,
      { limit, after = "" }: { limit: number; after?: string | undefined },
    ) {
      const rows = await drizzle.select().from(resources)
        .where(and(eq(resources.kind, kind), inForce, gt(resources.name, after)))
        .orderBy(asc(resources.name)).limit(limit);
      return rows.map((row) => stored<K>(row));
    },
    async apply(changes, by, options = {}) {
      let made: Configuration | undefined;
      const outcome = await drizzle.transaction((tx) =>
        applyIn(tx, changes, by, options, (configuration) => made = configuration)
      );
      if (made !== undefined) cache.committed(made);
      return outcome;
    },
  };

  async function applyIn(
    tx: Transaction,
    wish: Changes,
    by: Authorship,
    { expected, dryRun = false, restores }: ApplyOptions,
    made: (configuration: Configuration) => void,
  ): Promise<ChangeOutcome> {
    await tx.execute(raw`select pg_advisory_xact_lock(${CONFIGURATION_LOCK})`);
    const current = await cache.toChange(tx);
    if (expected !== undefined && expected !== current.version) return { status: "stale" };
    const changes = typeof wish === "function" ? wish(current) : wish;
    const overtaken = await firstOvertaken(tx, changes);
    if (overtaken !== undefined) return overtaken;
    const verdict = judge(current, changes, examine);
    if ("objection" in verdict) return verdict.objection;
    const created = changes.map(({ kind, name }) => !current[kind].has(name));
    if (dryRun || changes.length === 0 && restores === undefined) {
      return { status: "applied", version: current.version, created };
    }
    const version = current.version + 1;
    await tx.insert(configurationVersions)
      .values({ version, author: by.author, note: by.note ?? "" });
    await write(tx, changes, version);
    if (restores !== undefined) await restoreRecipientLists(tx, restores, version);
    await recordIn(tx, entryOf(version, changes, by));
    await tx.execute(raw`select pg_notify(${CONFIGURATION_CHANNEL}, ${String(version)})`);
    made({ ...verdict.candidate, version });
    return { status: "applied", version, created };
  }

  /** The first change whose resource is not at the version that it expects. */
  async function firstOvertaken(
    tx: Transaction,
    changes: readonly Change[],
  ): Promise<ChangeOutcome | undefined> {
    for (const { kind, name, expected } of changes) {
      if (expected === undefined) continue;
      const [row] = await tx.select({ version: resources.validFrom }).from(resources)
        .where(and(eq(resources.kind, kind), eq(resources.name, name), inForce));
      if ((row?.version ?? 0) !== expected) return { status: "stale", kind, name };
    }
    return undefined;
  }

  /** Ends what was in force and writes what now is, however many, in few statements. */
  async function write(tx: Transaction, changes: readonly Change[], version: number) {
    for (let at = 0; at < changes.length; at += ROWS) {
      const rows = JSON.stringify(
        changes.slice(at, at + ROWS).map(({ kind, name, body }) => ({ kind, name, body })),
      );
      await tx.execute(raw`
        with change as materialized (
          select * from jsonb_to_recordset(${rows}::text::jsonb)
            as c(kind text, name text, body jsonb)
        ), ended as (
          update configuration_resources r set valid_to = ${version} from change c
          where r.kind = c.kind and r.name = c.name and r.valid_to is null
          returning 1
        )
        select count(*) from ended`);
      await tx.execute(raw`
        insert into configuration_resources (kind, name, body, valid_from)
        select kind, name, body, ${version}
        from jsonb_to_recordset(${rows}::text::jsonb) as c(kind text, name text, body jsonb)
        where body is not null and body <> 'null'`);
    }
    const gone = changes.filter(({ kind, body }) => kind === "domains" && body === null);
    if (gone.length > 0) await endRecipientLists(tx, gone.map(({ name }) => name), version);
  }
}

const oneView = { isolationLevel: "repeatable read", accessMode: "read only" } as const;

/** The rows of one statement. */
const ROWS = 10_000;

function entryOf(version: number, changes: readonly Change[], by: Authorship): AuditEntry {
  const named = changes.slice(0, 20).map(({ kind, name }) => `${kind}/${name}`);
  return {
    actor: by.author,
    address: by.address,
    action: "config.change",
    target: changes.length === 1 ? named[0]! : "config",
    detail: { version, note: by.note ?? "", resources: changes.length, named },
  };
}

function stored<K extends ResourceKind>(row: typeof resources.$inferSelect): StoredResource<K> {
  const parsed = resourceKinds[row.kind as K].schema.safeParse(row.body);
  return {
    kind: row.kind as K,
    name: row.name,
    // What does not parse is shown as it is.
    body: (parsed.success ? parsed.data : row.body) as Resource<K>,
    version: row.validFrom,
  };
}
