/** The tokens of the API. Only their digests are kept: whoever reads the table can use none. */
import { and, asc, eq, gt, isNull, lt, or, sql } from "drizzle-orm";
import { type AuditEntry, recordIn } from "./audit.ts";
import type { Database } from "./connection.ts";
import { newQueueId } from "./ids.ts";
import { apiTokens } from "./schema/index.ts";

/** A token as it is kept. */
export interface StoredToken {
  readonly id: string;
  readonly name: string;
  readonly scopes: readonly string[];
  readonly createdBy: string;
  readonly createdAt: Date;
  readonly expiresAt: Date | null;
  /** To the minute. */
  readonly lastUsedAt: Date | null;
}

/** A token to keep. */
export interface NewToken {
  readonly name: string;
  /** SHA-256 of the token, in hex. */
  readonly digest: string;
  readonly scopes: readonly string[];
  readonly expiresAt: Date | null;
}

/** Who does it, for the audit log. */
export type TokenActor = Pick<AuditEntry, "actor" | "address">;

/** The tokens as a repository. */
export interface TokenStore {
  /** Undefined when another token has the name. */
  create(token: NewToken, by: TokenActor): Promise<StoredToken | undefined>;
  /** By name, starting after `after`; at most `limit`. */
  list(
    page: { readonly limit: number; readonly after?: string | undefined },
  ): Promise<StoredToken[]>;
  /** Deletes by id or name. The token deleted; undefined when there was none. */
  remove(idOrName: string, by: TokenActor): Promise<StoredToken | undefined>;
  /** The token with this digest, expired or not; its use is noted, at most once a minute. */
  use(digest: string): Promise<StoredToken | undefined>;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** All but the digest. */
const shown = {
  id: apiTokens.id,
  name: apiTokens.name,
  scopes: apiTokens.scopes,
  createdBy: apiTokens.createdBy,
  createdAt: apiTokens.createdAt,
  expiresAt: apiTokens.expiresAt,
  lastUsedAt: apiTokens.lastUsedAt,
};

/** Opens the tokens. */
export function openTokens({ drizzle }: Database): TokenStore {
  return {
    create: (token, by) =>
      drizzle.transaction(async (tx) => {
        const [row] = await tx.insert(apiTokens)
          .values({ ...token, scopes: [...token.scopes], id: newQueueId(), createdBy: by.actor })
          .onConflictDoNothing({ target: apiTokens.name }).returning(shown);
        if (row !== undefined) {
          const { name, scopes } = row;
          const detail = { name, scopes, expiresAt: row.expiresAt };
          await recordIn(tx, {
            ...by,
            action: "token.create",
            target: `tokens/${row.id}`,
            detail,
          });
        }
        return row;
      }),

    list: ({ limit, after = "" }) =>
      drizzle.select(shown).from(apiTokens).where(gt(apiTokens.name, after))
        .orderBy(asc(apiTokens.name)).limit(limit),

    remove: (idOrName, by) =>
      drizzle.transaction(async (tx) => {
        const [row] = await tx.delete(apiTokens)
          .where(eq(UUID.test(idOrName) ? apiTokens.id : apiTokens.name, idOrName))
          .returning(shown);
        if (row !== undefined) {
          const detail = { name: row.name };
          const target = `tokens/${row.id}`;
          await recordIn(tx, { ...by, action: "token.delete", target, detail });
        }
        return row;
      }),

    async use(digest) {
      const [row] = await drizzle.select(shown).from(apiTokens).where(eq(apiTokens.digest, digest));
      const recently = Date.now() - 60_000;
      if (row !== undefined && (row.lastUsedAt?.getTime() ?? 0) < recently) {
        await drizzle.update(apiTokens).set({ lastUsedAt: sql`now()` }).where(and(
          eq(apiTokens.id, row.id),
          or(
            isNull(apiTokens.lastUsedAt),
            lt(apiTokens.lastUsedAt, sql`now() - interval '1 minute'`),
          ),
        ));
      }
      return row;
    },
  };
}
