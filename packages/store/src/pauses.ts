/** The time of pauses, which does not count against how long mail may wait. */
import type { PendingQuery, Row, Sql, TransactionSql } from "postgres";

type Expression = PendingQuery<Row[]>;

/** An expression: since when something waits, moved on by the pauses of its destination that ended since. */
export function afterPauses(
  sql: Sql | TransactionSql,
  { since, destination }: { readonly since: Expression; readonly destination: Expression },
) {
  return sql`${since} + (
    select coalesce(sum(p.resumed_at - greatest(p.paused_at, ${since})), '0')
    from destination_pauses p
    where p.destination_id = ${destination} and p.resumed_at > ${since})`;
}
