/** What was answered to requests that bore an Idempotency-Key, for a day. */
import { and, eq, lt, sql } from "drizzle-orm";
import type { Database } from "./connection.ts";
import { idempotencyKeys as keys } from "./schema/index.ts";

/** A request that must take effect once. */
export interface KeyedRequest {
  /** Whose key it is. */
  readonly owner: string;
  readonly key: string;
  /** SHA-256 of all that makes the request, in hex. */
  readonly request: string;
}

/** An answer as it is given again. */
export interface KeptAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Whether a request is to be served. */
export type Admission =
  /** It is the first with this key: serve it, then `finish` or `forget`. */
  | { readonly status: "first" }
  | { readonly status: "answered"; readonly answer: KeptAnswer }
  /** The first one is still being served. */
  | { readonly status: "underWay" }
  /** The key came with another request before. */
  | { readonly status: "other" };

/** The keys as a repository. */
export interface IdempotencyKeys {
  begin(request: KeyedRequest): Promise<Admission>;
  finish(request: KeyedRequest, answer: KeptAnswer): Promise<void>;
  forget(request: KeyedRequest): Promise<void>;
}

/** Opens the keys. */
export function openIdempotencyKeys({ drizzle }: Database): IdempotencyKeys {
  const isThis = ({ owner, key }: KeyedRequest) => and(eq(keys.owner, owner), eq(keys.key, key));
  return {
    async begin(request) {
      await drizzle.delete(keys).where(lt(keys.at, sql`now() - interval '24 hours'`));
      const begun = await drizzle.insert(keys).values(request).onConflictDoUpdate({
        target: [keys.owner, keys.key],
        set: { at: sql`now()` },
        // Whoever served the first one died: after a minute nobody answers any more.
        setWhere: sql`${keys.status} is null and ${keys.request} = ${request.request}
          and ${keys.at} < now() - interval '1 minute'`,
      }).returning({ key: keys.key });
      if (begun.length > 0) return { status: "first" };
      const [row] = await drizzle.select().from(keys).where(isThis(request));
      if (row === undefined) return { status: "underWay" };
      if (row.request !== request.request) return { status: "other" };
      if (row.status === null) return { status: "underWay" };
      const headers = row.headers as Record<string, string>;
      return { status: "answered", answer: { status: row.status, headers, body: row.body ?? "" } };
    },
    async finish(request, { status, headers, body }) {
      await drizzle.update(keys).set({ status, headers, body }).where(isThis(request));
    },
    async forget(request) {
      await drizzle.delete(keys).where(isThis(request));
    },
  };
}
