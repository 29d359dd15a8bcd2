/**
 * The recipient lists of domains: reading and changing them.
 *
 * A change is a version of the configuration, like every other. A whole list is laid down batch by
 * batch first, without lock or transaction, so that a slow sender holds up nobody; then one
 * transaction under the configuration's lock makes it the list, writing only what differs.
 */
import type { TransactionSql } from "postgres";
import { type AuditEntry, recordWith } from "./audit.ts";
import { CONFIGURATION_CHANNEL, CONFIGURATION_LOCK } from "./channels.ts";
import type { Database } from "./connection.ts";

/** What became of a change to a list. */
export type ListOutcome =
  /** It is in force; `version` is 0 where the list was so already and no version was made. */
  | {
    readonly status: "applied";
    readonly version: number;
    readonly added: number;
    readonly removed: number;
    /** Addresses on the list now. */
    readonly size: number;
  }
  /** There is no such domain. */
  | { readonly status: "unknown" }
  /** The list is not at the version that was asked for. */
  | { readonly status: "stale" };

/** Who changes a list, and on what condition. */
export interface ListChange {
  readonly author: string;
  /** Why; what was changed, in numbers, when absent. */
  readonly note?: string | undefined;
  /** The version the list must be at, 0 for one that never had an address. */
  readonly expected?: number | undefined;
  /** What the audit log is to say of it, if it changes anything; version, note and numbers are added. */
  readonly audit?: AuditEntry;
}

/** The lists as a repository. Addresses are spelt as `listedAddress` of the configuration does. */
export interface RecipientLists {
  /** The version that last changed the list (0: none did) and its size; undefined: no such domain. */
  state(domain: string): Promise<{ readonly version: number; readonly size: number } | undefined>;
  /** Addresses in order, starting after `after`. */
  page(
    domain: string,
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<string[]>;
  has(domain: string, address: string): Promise<boolean>;
  /** Makes the batches the list, all of them or, when one rejects, nothing. Equal ones count once. */
  replace(
    domain: string,
    batches: AsyncIterable<readonly string[]>,
    change: ListChange,
  ): Promise<ListOutcome>;
  add(domain: string, address: string, change: ListChange): Promise<ListOutcome>;
  remove(domain: string, address: string, change: ListChange): Promise<ListOutcome>;
}

interface Counts {
  readonly added: number;
  readonly removed: number;
}

/** Opens the lists. */
export function openRecipientLists({ sql }: Database): RecipientLists {
  /** One version, made by `write` under the lock; none when it changed nothing. */
  const change = (
    domain: string,
    { author, expected, audit, note: why }: ListChange,
    verb: string,
    write: (tx: TransactionSql, version: number) => Promise<Counts>,
  ) =>
    sql.begin(async (tx): Promise<ListOutcome> => {
      await tx`select pg_advisory_xact_lock(${CONFIGURATION_LOCK})`;
      const [last] = await tx`
        select (select max(version) from configuration_versions) as version,
          (select version from recipient_list_changes where domain = ${domain}
           order by version desc limit 1) as list,
          (select size from recipient_list_changes where domain = ${domain}
           order by version desc limit 1) as size,
          exists (select 1 from configuration_resources
            where kind = 'domains' and name = ${domain} and valid_to is null) as known`;
      if (!last?.known) return { status: "unknown" };
      if (expected !== undefined && Number(last.list ?? 0) !== expected) return { status: "stale" };
      const version = Number(last.version ?? 0) + 1;
      const { added, removed } = await write(tx, version);
      const size = (last.size ?? 0) + added - removed;
      if (added + removed === 0) return { status: "applied", version: 0, added, removed, size };
      const note = why ?? `${verb} recipients of ${domain}: ${added} added, ${removed} removed`;
      await tx`
        insert into configuration_versions (version, author, note)
        values (${version}, ${author}, ${note})`;
      await tx`
        insert into recipient_list_changes (version, domain, added, removed, size)
        values (${version}, ${domain}, ${added}, ${removed}, ${size})`;
      const detail = { version, note, added, removed, size };
      await recordWith(tx, audit && { ...audit, detail });
      await tx`select pg_notify(${CONFIGURATION_CHANNEL}, ${String(version)})`;
      return { status: "applied", version, added, removed, size };
    });

  return {
    async state(domain) {
      const [row] = await sql`
        select c.version, c.size
        from configuration_resources d
        left join lateral (
          select version, size from recipient_list_changes where domain = d.name
          order by version desc limit 1
        ) c on true
        where d.kind = 'domains' and d.name = ${domain} and d.valid_to is null`;
      return row && { version: Number(row.version ?? 0), size: Number(row.size ?? 0) };
    },

    async page(domain, { limit, after = "" }) {
      const rows = await sql`
        select address from domain_recipients
        where domain = ${domain} and valid_to is null and address > ${after}
        order by address limit ${limit}`;
      return rows.map((row) => row.address as string);
    },

    async has(domain, address) {
      const rows = await sql`
        select 1 from domain_recipients
        where domain = ${domain} and address = ${address} and valid_to is null`;
      return rows.length > 0;
    },

    async replace(domain, batches, by) {
      const upload = crypto.randomUUID();
      try {
        // What others left when they died.
        await sql`delete from recipient_list_uploads where at < now() - interval '1 day'`;
        let count = 0;
        for await (const batch of batches) {
          await sql`
            insert into recipient_list_uploads (upload, batch, addresses)
            values (${upload}, ${count}, ${sql.array([...batch])})`;
          count += 1;
        }
        return await change(domain, by, "replace", async (tx, version) => {
          const [laid] = await tx`
            select count(*)::int as n from recipient_list_uploads where upload = ${upload}`;
          // A crash of Postgres empties a table that is not logged.
          if (laid?.n !== count) throw new Error("the list was lost on its way into the database");
          // Whatever the planner believes of a table that has just been filled: hash, do not loop.
          await tx`set local enable_nestloop = off`;
          const [row] = await tx`
            with given as materialized (
              select distinct address
              from recipient_list_uploads u cross join unnest(u.addresses) as address
              where u.upload = ${upload}
            ), listed as materialized (
              select address from domain_recipients where domain = ${domain} and valid_to is null
            ), gone as (
              update domain_recipients r set valid_to = ${version}
              from (select address from listed except select address from given) l
              where r.domain = ${domain} and r.address = l.address and r.valid_to is null
              returning 1
            ), added as (
              insert into domain_recipients (domain, address, valid_from)
              select ${domain}, address, ${version}
              from (select address from given except select address from listed) g
              returning 1
            )
            select (select count(*) from added)::int as added,
              (select count(*) from gone)::int as removed`;
          return row as unknown as Counts;
        });
      } finally {
        await sql`delete from recipient_list_uploads where upload = ${upload}`;
      }
    },

    add: (domain, address, by) =>
      change(domain, by, "add to", async (tx, version) => {
        const added = await tx`
          insert into domain_recipients (domain, address, valid_from)
          values (${domain}, ${address}, ${version})
          on conflict (domain, address) where valid_to is null do nothing
          returning 1`;
        return { added: added.length, removed: 0 };
      }),

    remove: (domain, address, by) =>
      change(domain, by, "remove from", async (tx, version) => {
        const removed = await tx`
          update domain_recipients set valid_to = ${version}
          where domain = ${domain} and address = ${address} and valid_to is null
          returning 1`;
        return { added: 0, removed: removed.length };
      }),
  };
}
