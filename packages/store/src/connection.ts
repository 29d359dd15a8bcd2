/**
 * The connections to Postgres. There are clients side by side: a plain one for the statements
 * written by hand (queue, spool), one that belongs to Drizzle, which changes the parsers of the
 * client it is given, and some of one connection each: for pieces of large content, for the heartbeat,
 * for the upkeep, and one that only asks whether Postgres still answers.
 */
import { drizzle, type PostgresJsDatabase } from "drizzle-orm/postgres-js";
import postgres, { type Sql } from "postgres";
import { driverAddress } from "./address.ts";
import { PIECES_AT_ONCE } from "./pieces.ts";
import { SilenceWatch } from "./silence.ts";
import { Sockets } from "./socket.ts";
import { Turns } from "./turns.ts";

/** An open store; every repository of this package is made from one. */
export interface Database {
  readonly sql: Sql;
  readonly drizzle: PostgresJsDatabase;
  /**
   * Clients of one connection each, for pieces of large content. Their commits do not wait for the
   * disk: that of the message, which comes after them, waits for all that was written before it.
   */
  readonly pieces: Turns<Sql>;
  /**
   * A client of one connection for what decides whether a process lives: its statements must not wait
   * until others, which may hang in somebody's lock, let a connection go.
   */
  readonly heartbeat: Sql;
  /** A client of one connection for the upkeep, which may wait for locks and takes none from the rest. */
  readonly upkeep: Sql;
  /** Ends all connections; waits at most so many seconds for statements under way. */
  close(seconds?: number): Promise<void>;
}

/** How to open a {@link Database}. */
export interface DatabaseOptions {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** The most connections of each of the two clients; default 4. */
  readonly connections?: number;
  /**
   * Plans each statement once for a connection, whatever its parameters: for who says the same few
   * statements all the time. A claim took as long to plan as to do, as its ids name the partition.
   */
  readonly plansOnce?: boolean;
  /** Postgres is away when it answers nothing for so many seconds; only tests give others. */
  readonly silence?: number;
}

/** Well below the time after which a process that cannot renew its row is taken for dead. */
const SILENCE = 15;

/**
 * Content goes to Postgres and comes back in its binary format, which the driver learned from our
 * patch: a parameter that is serialized to bytes is sent as they are, and a column whose parser says
 * `binary` comes so whenever its statement was said before on this connection.
 */
const bytea = {
  to: 17,
  from: [17],
  serialize: (bytes: Uint8Array) => bytes,
  parse: Object.assign(
    (value: string | Uint8Array) =>
      typeof value === "string" ? Uint8Array.fromHex(value.slice(2)) : plain(value),
    { binary: true },
  ),
};

/** What stands before the value in an answer of one row with one column. */
const BEFORE_VALUE = 1 + 4 + 2 + 4;

/**
 * A plain array, as a search in a Buffer takes a detour that costs several times as much, and one that
 * has its memory to itself: it keeps nothing else, and who has it may free it.
 */
function plain({ buffer, byteOffset, length }: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(buffer, byteOffset, length);
  return buffer.byteLength === BEFORE_VALUE + length ? bytes : bytes.slice();
}

/**
 * Opens the store at a `postgres://` address, which may name a Unix socket ({@link driverAddress}).
 * Connects when first needed, again when it was cut.
 */
export function openDatabase(url: string, options: DatabaseOptions): Database {
  const { url: address, path } = driverAddress(url);
  const silence = options.silence ?? SILENCE;
  const sockets = new Sockets(() => watch.begin());
  const settings = {
    ...(path === undefined ? {} : { path }),
    max: options.connections ?? 4,
    // Less: the driver goes on connecting where a connection is cut before it is open.
    connect_timeout: silence / 3,
    // A short, steady pause: mail waits in sessions while the database is away.
    backoff: () => 0.2,
    onnotice: () => {},
    types: { bytea },
    // Whatever the server's defaults are.
    connection: {
      application_name: options.applicationName,
      // A 250 is a promise: its commit waits for the disk.
      synchronous_commit: "on",
      // As the driver and our statements read them.
      DateStyle: "ISO",
      bytea_output: "hex",
      default_transaction_isolation: "read committed" as const,
      ...(options.plansOnce ? { plan_cache_mode: "force_generic_plan" } : {}),
    },
  };
  const connect = (changes: Partial<typeof settings> & { readonly max_lifetime?: null } = {}) =>
    // The driver's types do not know of the socket.
    postgres(address, { ...settings, ...changes, ...{ socket: sockets.opener() } });
  const sql = withoutLateRollback(connect());
  const forDrizzle = withoutLateRollback(connect());
  const forPieces = Array.from(
    { length: PIECES_AT_ONCE },
    () => connect({ max: 1, connection: { ...settings.connection, synchronous_commit: "off" } }),
  );
  const heartbeat = withoutLateRollback(connect({ max: 1 }));
  // Kept for good: its session has the lock of the upkeep.
  const upkeep = withoutLateRollback(connect({ max: 1, max_lifetime: null }));
  const forWatch = connect({ max: 1 });
  const watch = new SilenceWatch({
    ask: () => forWatch`select 1`,
    onSilent: () => sockets.cut(),
    seconds: silence,
  });
  return {
    sql,
    drizzle: drizzle(forDrizzle),
    pieces: new Turns<Sql>(forPieces),
    heartbeat,
    upkeep,
    close: async (timeout = 5) => {
      const clients = [sql, forDrizzle, ...forPieces, heartbeat, upkeep, forWatch];
      await Promise.all(clients.map((client) => client.end({ timeout })));
      watch.end();
    },
  };
}

/**
 * Keeps postgres.js (3.4.9) from rolling back a transaction on a connection that is gone: it would
 * throw out of a timer, where nobody can catch it, and the connection would never work again. Where
 * the connection was lost, the transaction's own promise is left alone; `begin` rejects when the
 * connection closes, whatever becomes of that promise.
 */
function withoutLateRollback(client: Sql): Sql {
  type Body = (tx: unknown) => unknown;
  const begin = client.begin as (options: string, body: Body) => Promise<unknown>;
  const guarded = (first: string | Body, second?: Body) => {
    const body = typeof first === "string" ? second! : first;
    return begin(typeof first === "string" ? first : "", async (tx) => {
      try {
        const made = body(tx);
        return await (Array.isArray(made) ? Promise.all(made) : made);
      } catch (error) {
        if (!isConnectionLost(error)) throw error;
        return await new Promise<never>(() => {});
      }
    });
  };
  return Object.assign(client, { begin: guarded as Sql["begin"] });
}

/** Whether the error says that the connection is gone, or is about to be. */
function isConnectionLost(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /^(CONNECTION_(CLOSED|DESTROYED)|ECONNRESET|EPIPE|57P0[123])$/.test(code) ||
    isConnectionLost(error.cause);
}

/**
 * Whether the error says that no connection could be opened (why ever: our patch of the driver marks
 * those), that Postgres went away, or is a standby that only reads (25006), not that it refused a
 * statement.
 */
export function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  if ("opening" in error) return true;
  const code = "code" in error ? String(error.code) : "";
  if (
    /^(CONNECT|ECONN|ENOTFOUND|EHOST|ENET|EPIPE|EAGAIN|ETIMEDOUT|ENOENT|08|25006|57P0|53)/.test(
      code,
    )
  ) {
    return true;
  }
  // Drizzle wraps what the connection said.
  return isUnavailable(error.cause);
}

/**
 * Whether the same statement may well succeed a little later: Postgres was unavailable, others were
 * in the way, or a partition was made meanwhile. Otherwise the data are at fault.
 */
export function isPassing(error: unknown): boolean {
  if (isUnavailable(error)) return true;
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? String(error.code) : "";
  return /^(40|55|57|58|23514)/.test(code) || isPassing(error.cause);
}

/** Resolves when Postgres answers; rejects with what it or the connection said. */
export async function ping(database: Database): Promise<void> {
  await database.sql`select 1`;
}

/** What Postgres or the connection said, in words; that it has no such table is said as what it means. */
export function databaseProblem(error: unknown): string {
  // Drizzle wraps what was said, in the text of the statement.
  const said = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  if (!(said instanceof Error)) return String(said);
  const code = "code" in said ? String(said.code) : "";
  if (code === UNDEFINED_TABLE) return `${said.message}: the database is not migrated`;
  return said.message === "" ? code : said.message;
}

const UNDEFINED_TABLE = "42P01";
