/**
 * The running processes. Each has a row that it renews; a row not renewed for {@link LEASE_SECONDS}
 * is removed by whoever sees it first, and with it the dead worker's claims. Ids are never used
 * again, so a worker that was taken for dead cannot record anything under its old id.
 */
import { QUEUE_CHANNEL } from "./channels.ts";
import type { Database } from "./connection.ts";

/** A process that has not renewed its row for so long is dead. */
export const LEASE_SECONDS = 30;

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
  { sql }: Database,
  { kind, host, pid, listening = [] }: ProcessDescription,
): Promise<number> {
  const [row] = await sql`
    insert into processes (kind, host, pid, listening)
    values (${kind}, ${host}, ${pid}, ${[...listening]})
    returning id::int8`;
  return Number(row?.id);
}

/** Renews the row; false when it is gone: others took this process for dead. */
export async function renewProcess({ sql }: Database, id: number): Promise<boolean> {
  const rows = await sql`update processes set seen_at = now() where id = ${id} returning id`;
  return rows.length > 0;
}

/** Ends a process in good order: its row goes and its claims come free at once. */
export async function removeProcess({ sql }: Database, id: number): Promise<void> {
  await sql`
    with gone as (
      delete from processes where id = ${id}
    ), freed as (
      update deliveries set worker_id = null where worker_id = ${id} returning 1
    )
    select pg_notify(${QUEUE_CHANNEL}, '') from (select count(*) as freed from freed) f
    where f.freed > 0`;
}

/** Removes what is dead; answers how many processes that were and how many claims came free. */
export async function removeDeadProcesses(
  { sql }: Database,
): Promise<{ readonly processes: number; readonly claims: number }> {
  const [row] = await sql`
    with dead as (
      delete from processes where seen_at < now() - make_interval(secs => ${LEASE_SECONDS})
      returning id
    ), freed as (
      update deliveries set worker_id = null
      where worker_id in (select id from dead)
      returning 1
    )
    select (select count(*)::int from dead) as processes, (select count(*)::int from freed) as claims`;
  if (Number(row?.claims) > 0) await sql`select pg_notify(${QUEUE_CHANNEL}, '')`;
  return { processes: Number(row?.processes), claims: Number(row?.claims) };
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

/** A process that stays registered until it is stopped. */
export interface Registration {
  /** The id under which it is registered now. A new one when others took the process for dead. */
  readonly id: number;
  /** Takes the process out of the books; its claims come free at once. */
  stop(): Promise<void>;
}

/** Registers a process, renews its row, and removes dead ones as it goes. */
export async function keepRegistered(
  database: Database,
  { description, everyMilliseconds, onError, onLost }: {
    readonly description: ProcessDescription;
    readonly everyMilliseconds: number;
    readonly onError: (error: unknown) => void;
    /** Others took this process for dead: its claims are lost, it has a new id. */
    readonly onLost?: () => void;
  },
): Promise<Registration> {
  await removeDeadProcesses(database);
  let id = await registerProcess(database, description);
  let beating: Promise<void> | undefined;

  const beat = async () => {
    await removeDeadProcesses(database);
    if (await renewProcess(database, id)) return;
    id = await registerProcess(database, description);
    onLost?.();
  };
  const timer = setInterval(() => {
    beating ??= beat().catch(onError).finally(() => {
      beating = undefined;
    });
  }, everyMilliseconds);
  return {
    get id() {
      return id;
    },
    stop: async () => {
      clearInterval(timer);
      await beating;
      await removeProcess(database, id).catch(onError);
    },
  };
}
