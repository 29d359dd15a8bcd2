/**
 * What a new version of the configuration as a whole does to recipient lists: they end with their
 * domain, and come back with it when a version is restored. For transactions that hold the
 * configuration's lock.
 */
import { type SQL, sql } from "drizzle-orm";

/** A transaction of Drizzle, as far as it is used here. */
interface Transaction {
  execute(statement: SQL): PromiseLike<Iterable<Record<string, unknown>>>;
}

/** By how much the lists of one domain were changed between two versions. */
export interface RecipientListDifference {
  readonly domain: string;
  readonly added: number;
  readonly removed: number;
}

/** Empties the lists of domains that are deleted with this version. */
export async function endRecipientLists(
  tx: Transaction,
  domains: readonly string[],
  version: number,
): Promise<void> {
  await tx.execute(sql`
    with gone as (
      update domain_recipients r set valid_to = ${version}
      from jsonb_array_elements_text(${JSON.stringify(domains)}::text::jsonb) as d(domain)
      where r.domain = d.domain and r.valid_to is null returning r.domain
    )
    insert into recipient_list_changes (version, domain, added, removed, size)
    select ${version}, domain, 0, count(*), 0 from gone group by domain`);
}

/** Makes every list in this version what it was at a former one. */
export async function restoreRecipientLists(
  tx: Transaction,
  former: number,
  version: number,
): Promise<void> {
  // Whatever the planner believes of a table that has just been filled: hash, do not loop.
  await tx.execute(sql`set local enable_nestloop = off`);
  await tx.execute(sql`
    with touched as (
      select distinct domain from recipient_list_changes where version > ${former}
    ), wanted as materialized (
      select r.domain, r.address from domain_recipients r join touched using (domain)
      where r.valid_from <= ${former} and (r.valid_to is null or r.valid_to > ${former})
    ), current as materialized (
      select r.domain, r.address from domain_recipients r join touched using (domain)
      where r.valid_to is null
    ), gone as (
      update domain_recipients r set valid_to = ${version}
      from (select * from current except select * from wanted) c
      where r.domain = c.domain and r.address = c.address and r.valid_to is null
      returning r.domain
    ), added as (
      insert into domain_recipients (domain, address, valid_from)
      select domain, address, ${version} from (select * from wanted except select * from current) w
      returning domain
    )
    insert into recipient_list_changes (version, domain, added, removed, size)
    select ${version}, domain, a.n, g.n, w.n
    from touched
    cross join lateral (select count(*) as n from added where added.domain = touched.domain) a
    cross join lateral (select count(*) as n from gone where gone.domain = touched.domain) g
    cross join lateral (select count(*) as n from wanted where wanted.domain = touched.domain) w
    where a.n + g.n > 0`);
  await tx.execute(sql`set local enable_nestloop = on`);
}

/** Which lists differ between two versions, by domain. */
export async function recipientListDifferences(
  tx: Transaction,
  from: number,
  to: number,
): Promise<RecipientListDifference[]> {
  const rows = await tx.execute(sql`
    with touched as (
      select distinct domain from recipient_list_changes
      where version > ${Math.min(from, to)} and version <= ${Math.max(from, to)}
    )
    select domain, added::int, removed::int
    from touched
    cross join lateral (
      select count(*) filter (where not former and later) as added,
        count(*) filter (where former and not later) as removed
      from (
        select bool_or(valid_from <= ${from} and coalesce(valid_to > ${from}, true)) as former,
          bool_or(valid_from <= ${to} and coalesce(valid_to > ${to}, true)) as later
        from domain_recipients r where r.domain = touched.domain group by address
      ) a
    ) n
    where added + removed > 0
    order by domain`);
  return [...rows].map(({ domain, added, removed }) => ({
    domain: String(domain),
    added: Number(added),
    removed: Number(removed),
  }));
}
