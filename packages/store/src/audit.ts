/** The audit log: who did what over the API, when and from where. Nothing is ever taken out of it. */
import { and, desc, eq, gte, lt, type SQL } from "drizzle-orm";
import type { TransactionSql } from "postgres";
import type { Database } from "./connection.ts";
import { auditLog } from "./schema/index.ts";

/** What is recorded of an action. */
export interface AuditEntry {
  /** The name of the token. */
  readonly actor: string;
  readonly address?: string | undefined;
  /** What was done, as `thing.verb`: `config.change`, `token.create`, `message.hold`. */
  readonly action: string;
  /** What it was done to: `relays/internal`, `messages/ID`. */
  readonly target?: string | undefined;
  /** More about it; never a secret. */
  readonly detail?: object;
}

/** An entry of the log. */
export interface AuditRecord {
  readonly id: number;
  readonly at: Date;
  readonly actor: string;
  readonly address: string | null;
  readonly action: string;
  readonly target: string | null;
  readonly detail: unknown;
}

/** Which entries are looked for; all conditions must hold. */
export interface AuditQuery {
  readonly actor?: string | undefined;
  readonly action?: string | undefined;
  readonly target?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
  readonly limit: number;
  /** Only entries before the one with this id. */
  readonly before?: number | undefined;
}

/** The log as a repository. */
export interface AuditLog {
  record(entry: AuditEntry): Promise<void>;
  /** Newest first. */
  find(query: AuditQuery): Promise<AuditRecord[]>;
}

/** Opens the log. */
export function openAuditLog({ drizzle }: Database): AuditLog {
  return {
    record: (entry) => recordIn(drizzle, entry),
    find: ({ actor, action, target, since, until, limit, before }) => {
      const conditions: (SQL | undefined)[] = [
        actor === undefined ? undefined : eq(auditLog.actor, actor),
        action === undefined ? undefined : eq(auditLog.action, action),
        target === undefined ? undefined : eq(auditLog.target, target),
        since === undefined ? undefined : gte(auditLog.at, since),
        until === undefined ? undefined : lt(auditLog.at, until),
        before === undefined ? undefined : lt(auditLog.id, before),
      ];
      return drizzle.select().from(auditLog).where(and(...conditions))
        .orderBy(desc(auditLog.id)).limit(limit);
    },
  };
}

/** Records an action in the transaction that does it. */
export async function recordIn(
  tx: Pick<Database["drizzle"], "insert">,
  { actor, address, action, target, detail = {} }: AuditEntry,
): Promise<void> {
  await tx.insert(auditLog).values({ actor, address, action, target, detail });
}

/** The same for a transaction that is not Drizzle's; nothing where there is no entry. */
export async function recordWith(tx: TransactionSql, entry: AuditEntry | undefined): Promise<void> {
  if (entry === undefined) return;
  const { actor, address = null, action, target = null, detail = {} } = entry;
  await tx`
    insert into audit_log (actor, address, action, target, detail)
    values (${actor}, ${address}, ${action}, ${target}, ${JSON.stringify(detail)}::text::jsonb)`;
}
