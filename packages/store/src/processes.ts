/**
 * The running processes. Each has a row that it renews; a row not renewed for {@link LEASE_SECONDS}
 * is removed by whoever sees it first, and with it the dead worker's claims. Ids are never used
 * again, so a worker that was taken for dead cannot record anything under its old id.
 */
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Database } from "./connection.ts";
import { freeing } from "./destination-state.ts";

/** A process that has not renewed its row for so long is dead. */
export const LEASE_SECONDS = 30;

/**
 * A worker relies on its claims for so long after it asked for its last renewal, by a clock that
 * nobody sets: then there is time to say so before others may take it for dead.
 */
const RELIED_MILLISECONDS = LEASE_SECONDS * 1000 - 5_000;

/** So many renewals, the first ones or a late one and those after it, take nobody else for dead. */
const GRACE_RENEWALS = 2;

/**
 * Removing dead processes has so long, in seconds: it may meet locks of others, and the next renewal,
 * which waits for it, must come in time.
 */
const REMOVAL_SECONDS = 5;

/** Pause before what waits for a renewal asks for the next one, in milliseconds. */
const CONFIRM_PAUSE = 500;

/** How often a process renews its row and looks for dead ones. */
export const HEARTBEAT_MILLISECONDS = 10_000;

/** What a process says of itself. */
export interface ProcessDescription {
  readonly kind: "ingress" | "worker" | "admin";
  readonly host: string;
  readonly pid: number;
  readonly listening?: readonly string[];
}

/** Adds a row for this process and answers its id. */
export async function registerProcess(
  { heartbeat: sql }: Database,
  { kind, host, pid, listening = [] }: ProcessDescription,
): Promise<number> {
  const [row] = await sql`
    insert into processes (kind, host, pid, listening)
    values (${kind}, ${host}, ${pid}, ${[...listening]})
    returning id::int8`;
  return Number(row?.id);
}

/** Renews the row; false when it is gone: others took this process for dead. */
export async function renewProcess({ heartbeat: sql }: Database, id: number): Promise<boolean> {
  const rows = await sql`update processes set seen_at = now() where id = ${id} returning id`;
  return rows.length > 0;
}

/** Ends a process in good order: its row goes and its claims come free at once. */
export async function removeProcess({ heartbeat: sql }: Database, id: number): Promise<void> {
  await sql`
    with gone as (
      delete from processes where id = ${id}
    ), ${freeing(sql, sql`d.worker_id = ${id}`)}
    select pg_notify(${QUEUE_CHANNEL}, '') from (select count(*) as freed from freed) f
    where f.freed > 0`;
}

/**
 * Removes what is dead; answers how many processes that were and how many claims came free. A claim
 * may be made under an id that is being removed: then it comes free the next time.
 */
export async function removeDeadProcesses(
  { heartbeat }: Database,
): Promise<{ readonly processes: number; readonly claims: number }> {
  return await heartbeat.begin(async (sql) => {
    await sql.unsafe(`set local statement_timeout = '${REMOVAL_SECONDS}s'`);
    const [row] = await sql`
      with dead as (
        delete from processes where seen_at < now() - make_interval(secs => ${LEASE_SECONDS})
        returning id
      ), ${
      freeing(
        sql,
        sql`d.worker_id in (select id from dead)
          or not exists (select from processes p where p.id = d.worker_id)`,
      )
    }
      select (select count(*)::int from dead) as processes,
        (select count(*)::int from freed) as claims`;
    if (Number(row?.claims) > 0) await sql`select pg_notify(${QUEUE_CHANNEL}, '')`;
    return { processes: Number(row?.processes), claims: Number(row?.claims) };
  });
}

/** Whether Postgres began to run so lately that a live process may not have renewed its row since. */
async function beganLately({ heartbeat: sql }: Database): Promise<boolean> {
  const [row] = await sql`
    select pg_postmaster_start_time() > now() - make_interval(secs => ${LEASE_SECONDS}) as lately`;
  return row?.lately;
}

/** The live processes, but for this one, that say they listen at an address of this host. */
export async function processesListening(
  { sql }: Database,
  { host, address, but }: { readonly host: string; readonly address: string; readonly but: number },
): Promise<number[]> {
  const rows = await sql`
    select pid from processes
    where host = ${host} and ${address} = any(listening) and id <> ${but}
      and seen_at >= now() - make_interval(secs => ${LEASE_SECONDS})`;
  return rows.map((row) => Number(row.pid));
}

/** Whether the claims of an id are still this process's own. */
export interface Lease {
  /** Whether the id was renewed so lately that nobody can have taken its claims. */
  holds(id: number): boolean;
  /** Waits until that is so; false when the id is lost, and its claims with it. */
  confirmed(id: number): Promise<boolean>;
}

/** A process that stays registered until it is stopped. */
export interface Registration extends Lease {
  /** The id under which it is registered now. A new one when others took the process for dead. */
  readonly id: number;
  /** Takes the process out of the books; its claims come free at once. */
  stop(): Promise<void>;
}

/** Registers a process, renews its row, and removes dead ones as it goes. */
export async function keepRegistered(
  database: Database,
  { description, everyMilliseconds, onError, onLost, clock }: {
    readonly description: ProcessDescription;
    readonly everyMilliseconds: number;
    readonly onError: (error: unknown) => void;
    /** Others took this process for dead: its claims are lost, it has a new id. */
    readonly onLost?: () => void;
    /** Milliseconds that nobody sets back or forward; only tests give another one. */
    readonly clock?: () => number;
  },
): Promise<Registration> {
  const now = clock ?? (() => performance.now());
  let reliedUntil = now() + RELIED_MILLISECONDS;
  let id = await registerProcess(database, description);
  let beating: Promise<void> | undefined;
  let grace = GRACE_RENEWALS;
  let stopped = false;

  const beat = async () => {
    const asked = now();
    if (!await renewProcess(database, id)) {
      id = await registerProcess(database, description);
      onLost?.();
    }
    // Whoever could not renew, as while Postgres was away, must think that others could not either.
    if (now() >= reliedUntil) grace = GRACE_RENEWALS;
    reliedUntil = asked + RELIED_MILLISECONDS;
    if (grace > 0) grace -= 1;
    else if (!await beganLately(database)) await removeDeadProcesses(database);
  };
  const beatNow = () =>
    beating ??= beat().catch(onError).finally(() => {
      beating = undefined;
    });
  const timer = setInterval(beatNow, everyMilliseconds);
  const holds = (asked: number) => asked === id && now() < reliedUntil;
  return {
    get id() {
      return id;
    },
    holds,
    confirmed: async (asked) => {
      while (asked === id && !holds(asked) && !stopped) {
        await beatNow();
        if (!holds(asked)) await new Promise((wake) => setTimeout(wake, CONFIRM_PAUSE));
      }
      return holds(asked);
    },
    stop: async () => {
      stopped = true;
      clearInterval(timer);
      await beating;
      await removeProcess(database, id).catch(onError);
    },
  };
}
