/** The versions of the configuration: who made them, what they changed, what was in force then. */
import {
  type Definitions,
  definitionsOf,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import { desc, eq, lt, type SQL, sql } from "drizzle-orm";
import type { Database } from "./connection.ts";
import {
  type RecipientListDifference,
  recipientListDifferences,
} from "./recipient-list-versions.ts";
import { configurationVersions as versions } from "./schema/index.ts";

/** One version. */
export interface ConfigurationVersion {
  readonly version: number;
  readonly author: string;
  readonly createdAt: Date;
  readonly note: string;
}

/** A resource that two versions do not have alike; null where there was none. */
export interface ResourceDifference {
  readonly kind: ResourceKind;
  readonly name: string;
  readonly from: Resource | null;
  readonly to: Resource | null;
}

/** The history as a repository. */
export interface ConfigurationHistory {
  /** Newest first, older than `before`; at most `limit`. */
  versions(
    page: { readonly limit: number; readonly before?: number | undefined },
  ): Promise<ConfigurationVersion[]>;
  version(version: number): Promise<ConfigurationVersion | undefined>;
  /** What was in force, with the defaults of what was not known then. */
  definitionsAt(version: number): Promise<Definitions>;
  /** By kind and name. */
  differences(from: number, to: number): Promise<{
    readonly resources: readonly ResourceDifference[];
    readonly recipientLists: readonly RecipientListDifference[];
  }>;
}

/** Opens the history. */
export function openConfigurationHistory({ drizzle }: Database): ConfigurationHistory {
  const execute = async (statement: SQL) =>
    await drizzle.execute(statement) as Iterable<Record<string, unknown>>;
  return {
    versions: ({ limit, before }) =>
      drizzle.select().from(versions)
        .where(before === undefined ? undefined : lt(versions.version, before))
        .orderBy(desc(versions.version)).limit(limit),

    async version(version) {
      const [row] = await drizzle.select().from(versions).where(eq(versions.version, version));
      return row;
    },

    async definitionsAt(version) {
      // What is part of every configuration may have been left unsaid by an older release.
      const maps = definitionsOf({}) as unknown as Record<string, Map<string, unknown>>;
      const rows = await execute(sql`
        select kind, name, body from configuration_resources
        where valid_from <= ${version} and (valid_to is null or valid_to > ${version})`);
      for (const row of rows) {
        const kind = row["kind"] as string;
        maps[kind]?.set(row["name"] as string, parsed(kind, row["body"]));
      }
      return maps as unknown as Definitions;
    },

    async differences(from, to) {
      const [older, newer] = [Math.min(from, to), Math.max(from, to)];
      const rows = await execute(sql`
        with touched as (
          select distinct kind, name from configuration_resources
          where valid_from > ${older} and valid_from <= ${newer}
            or valid_to > ${older} and valid_to <= ${newer}
        )
        select t.kind, t.name, f.body as former, l.body as later
        from touched t
        left join configuration_resources f on f.kind = t.kind and f.name = t.name
          and f.valid_from <= ${from} and (f.valid_to is null or f.valid_to > ${from})
        left join configuration_resources l on l.kind = t.kind and l.name = t.name
          and l.valid_from <= ${to} and (l.valid_to is null or l.valid_to > ${to})
        where f.body is distinct from l.body
        order by t.kind, t.name`);
      return {
        resources: [...rows].map((row) => ({
          kind: row["kind"] as ResourceKind,
          name: row["name"] as string,
          from: parsed(row["kind"] as string, row["former"]) ?? null,
          to: parsed(row["kind"] as string, row["later"]) ?? null,
        })),
        recipientLists: await recipientListDifferences(drizzle, from, to),
      };
    },
  };
}

/** With the defaults of today; what today's schema does not take is shown as it is. */
function parsed(kind: string, body: unknown): Resource | undefined {
  if (body === null || body === undefined) return undefined;
  const result = resourceKinds[kind as ResourceKind]?.schema.safeParse(body);
  return result?.success ? result.data : body as Resource;
}
