/**
 * The configuration in Postgres: reading it, changing it in versions, and hearing of changes.
 *
 * One change is one version, written under one lock, so versions follow each other without gaps
 * and a check of what must hold between resources cannot be overtaken by another change.
 */
import {
  type Configuration,
  isBuiltIn,
  type Reference,
  referencesOf,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import { and, asc, eq, gt, isNull, max, sql as raw } from "drizzle-orm";
import type { Database } from "./connection.ts";
import { configurationResources as resources, configurationVersions } from "./schema/index.ts";
import { CONFIGURATION_CHANNEL, CONFIGURATION_LOCK } from "./channels.ts";
import { endRecipientList } from "./recipient-list-versions.ts";

/** A definition as stored, with the version that brought it. */
export interface StoredResource<K extends ResourceKind = ResourceKind> {
  readonly kind: K;
  readonly name: string;
  readonly body: Resource<K>;
  readonly version: number;
}

/** One wish: this definition under this name, or none (`body: null`). */
export interface Change {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly body: Resource | null;
  /** The version the resource must be at; 0 for "must not exist". Absent: whatever it is at. */
  readonly expected?: number;
}

/** What became of a wish. */
export type ChangeOutcome =
  | { readonly status: "applied"; readonly version: number; readonly created: boolean[] }
  | { readonly status: "stale"; readonly kind: ResourceKind; readonly name: string }
  | { readonly status: "unknown"; readonly kind: ResourceKind; readonly name: string }
  | { readonly status: "builtIn"; readonly name: string }
  | { readonly status: "dangling"; readonly references: readonly Reference[] }
  | { readonly status: "inUse"; readonly references: readonly Reference[] };

/** The configuration as a repository. */
export interface ConfigurationStore {
  currentVersion(): Promise<number>;
  /** The whole configuration in force. */
  load(): Promise<Configuration>;
  get<K extends ResourceKind>(kind: K, name: string): Promise<StoredResource<K> | undefined>;
  /** By name, starting after `after`; at most `limit`. */
  list<K extends ResourceKind>(
    kind: K,
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<StoredResource<K>[]>;
  /** All of the changes as one version, or none of them. */
  apply(
    changes: readonly Change[],
    by: { readonly author: string; readonly note?: string },
  ): Promise<ChangeOutcome>;
}

/** Makes the repository. */
export function openConfiguration({ drizzle }: Database): ConfigurationStore {
  const inForce = isNull(resources.validTo);
  return {
    async currentVersion() {
      const [row] = await drizzle.select({ version: max(configurationVersions.version) })
        .from(configurationVersions);
      return row?.version ?? 0;
    },
    load: () =>
      drizzle.transaction(async (tx) => {
        const [row] = await tx.select({ version: max(configurationVersions.version) })
          .from(configurationVersions);
        const rows = await tx.select().from(resources).where(inForce);
        const maps = Object.fromEntries(
          Object.keys(resourceKinds).map((kind) => [kind, new Map<string, unknown>()]),
        );
        for (const { kind, name, body } of rows) {
          // What an older version stored gets the defaults of what it did not know.
          maps[kind]?.set(name, resourceKinds[kind as ResourceKind].schema.parse(body));
        }
        return { version: row?.version ?? 0, ...maps } as unknown as Configuration;
      }, { isolationLevel: "repeatable read", accessMode: "read only" }),
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
    apply: async (changes, by) => {
      try {
        return await drizzle.transaction((tx) => applyIn(tx, changes, by));
      } catch (error) {
        if (error instanceof Refused) return error.outcome;
        throw error;
      }
    },
  };

  type Transaction = Parameters<Parameters<typeof drizzle.transaction>[0]>[0];

  async function applyIn(
    tx: Transaction,
    changes: readonly Change[],
    by: { readonly author: string; readonly note?: string },
  ): Promise<ChangeOutcome> {
    await tx.execute(raw`select pg_advisory_xact_lock(${CONFIGURATION_LOCK})`);
    const [last] = await tx.select({ version: max(configurationVersions.version) })
      .from(configurationVersions);
    const version = (last?.version ?? 0) + 1;
    await tx.insert(configurationVersions)
      .values({ version, author: by.author, note: by.note ?? "" });
    const created: boolean[] = [];
    for (const { kind, name, body, expected } of changes) {
      if (body === null && isBuiltIn(kind, name)) {
        throw new Refused({ status: "builtIn", name });
      }
      const [former] = await tx.update(resources).set({ validTo: version })
        .where(and(eq(resources.kind, kind), eq(resources.name, name), inForce))
        .returning({ version: resources.validFrom });
      if (expected !== undefined && (former?.version ?? 0) !== expected) {
        throw new Refused({ status: "stale", kind, name });
      }
      if (body === null && former === undefined) {
        throw new Refused({ status: "unknown", kind, name });
      }
      if (body !== null) {
        await tx.insert(resources).values({ kind, name, body, validFrom: version });
      }
      if (body === null && kind === "domains") await endRecipientList(tx, name, version);
      created.push(former === undefined);
    }
    await refuseBrokenReferences(tx, changes);
    await tx.execute(raw`select pg_notify(${CONFIGURATION_CHANNEL}, ${String(version)})`);
    return { status: "applied", version, created };
  }

  async function refuseBrokenReferences(tx: Transaction, changes: readonly Change[]) {
    const dangling: Reference[] = [];
    for (const { kind, name, body } of changes) {
      if (body === null) continue;
      for (const reference of referencesOf(kind, name, body)) {
        const found = await tx.select({ name: resources.name }).from(resources).where(
          and(
            eq(resources.kind, reference.to.kind),
            eq(resources.name, reference.to.name),
            inForce,
          ),
        );
        if (found.length === 0) dangling.push(reference);
      }
    }
    if (dangling.length > 0) throw new Refused({ status: "dangling", references: dangling });

    const gone = changes.filter((change) => change.body === null && change.kind === "relays");
    const users: Reference[] = [];
    for (const { name } of gone) {
      const rows = await tx.select({ name: resources.name, body: resources.body }).from(resources)
        .where(
          and(eq(resources.kind, "domains"), inForce, raw`${resources.body}->>'relay' = ${name}`),
        ).orderBy(asc(resources.name)).limit(100);
      for (const row of rows) {
        users.push(...referencesOf("domains", row.name, row.body as Resource<"domains">));
      }
    }
    if (users.length > 0) throw new Refused({ status: "inUse", references: users });
  }
}

function stored<K extends ResourceKind>(row: typeof resources.$inferSelect): StoredResource<K> {
  return {
    kind: row.kind as K,
    name: row.name,
    body: resourceKinds[row.kind as K].schema.parse(row.body) as Resource<K>,
    version: row.validFrom,
  };
}

/** Takes the transaction back and carries the outcome out of it. */
class Refused extends Error {
  readonly outcome: ChangeOutcome;
  constructor(outcome: ChangeOutcome) {
    super(outcome.status);
    this.outcome = outcome;
  }
}
