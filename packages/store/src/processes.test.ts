import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import {
  type Database,
  keepRegistered,
  keepUp,
  openDatabase,
  openMessages,
  type Registration,
} from "./index.ts";
import { register } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;
let registrations: Registration[] = [];

beforeEach(async () => {
  created = await createTestDatabase();
  const { sql, close } = openDatabase(created.url, { applicationName: "process test" });
  // The Postgres of the tests began just now; this one says what the test wants.
  await sql.unsafe(`
    alter database ${new URL(created.url).pathname.slice(1)} set search_path = public, pg_catalog`);
  await close();
  database = openDatabase(created.url, { applicationName: "process test" });
  await beginAgo("1 hour");
});

afterEach(async () => {
  for (const registration of registrations) await registration.stop();
  registrations = [];
  await database.close();
  await created.drop();
});

/** Postgres runs since then. */
async function beginAgo(time: string): Promise<void> {
  await database.sql.unsafe(`
    create or replace function public.pg_postmaster_start_time() returns timestamptz
    language sql stable as $$ select now() - interval '${time}' $$`);
}

async function keep(everyMilliseconds: number, clock?: () => number): Promise<Registration> {
  const registration = await keepRegistered(database, {
    description: { kind: "admin", host: "here", pid: 2 },
    everyMilliseconds,
    onError: (error) => {
      throw error;
    },
    ...(clock === undefined ? {} : { clock }),
  });
  registrations.push(registration);
  return registration;
}

/** A worker that has not renewed its row for longer than it may. */
async function lateWorker(): Promise<number> {
  const id = await register(database);
  await database.sql`update processes set seen_at = now() - interval '40 s' where id = ${id}`;
  return id;
}

const isThere = async (id: number) =>
  (await database.sql`select 1 from processes where id = ${id}`).length > 0;
const isGone = async (id: number) => !await isThere(id);

/** Waits until it has renewed its row so often. */
async function renewed(id: number, times: number): Promise<void> {
  const seen = new Set<string>();
  await eventually(`renewed ${times} times`, async () => {
    const [row] = await database.sql`select seen_at::text from processes where id = ${id}`;
    return seen.add(row!.seen_at).size > times;
  });
}

test("who begins takes nobody for dead at once: the others may have had no chance to renew", async () => {
  const worker = await lateWorker();
  await keep(3_600_000);
  expect(await isThere(worker)).toBe(true);
  await keep(10);
  await eventually("the dead is removed", () => isGone(worker));
});

test("who is answered late takes nobody for dead, though it asked in time", async () => {
  let time = 0;
  const first = await lateWorker();
  const registration = await keep(10, () => time);
  await eventually("it removes the dead", () => isGone(first));
  let other: number | undefined;
  await database.sql.begin(async (transaction) => {
    await transaction`select 1 from processes where id = ${registration.id} for update`;
    await eventually("its renewal hangs", async () => {
      const rows = await database.sql`
        select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'`;
      return rows.length > 0;
    });
    time += 40_000;
    const [row] = await transaction`
      insert into processes (kind, host, pid, seen_at)
      values ('worker', 'here', 3, now() - interval '40 s') returning id::int8`;
    other = Number(row!.id);
  });
  await registration.stop();
  expect(await isThere(other!)).toBe(true);
});

test("nobody is taken for dead soon after Postgres began", async () => {
  await beginAgo("29 s");
  const worker = await lateWorker();
  const { id } = await keep(10);
  await renewed(id, 5);
  expect(await isThere(worker)).toBe(true);
  await beginAgo("31 s");
  await eventually("the dead is removed", () => isGone(worker));
});

describe("while somebody has a table locked", () => {
  let locker: Database;

  beforeEach(() => {
    locker = openDatabase(created.url, { applicationName: "locker", connections: 2 });
  });

  afterEach(() => locker.close());

  /** Whether so many statements wait for a lock. */
  async function waiting(count: number): Promise<boolean> {
    const rows = await locker.sql`
      select 1 from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`;
    return rows.length === count;
  }

  async function seenAt(id: number): Promise<string> {
    const [row] = await locker.sql`select seen_at::text from processes where id = ${id}`;
    return row?.seen_at;
  }

  test("a process whose other statements hang in the lock renews its row", async () => {
    const { id } = await keep(10);
    let hanging: Promise<unknown> | undefined;
    await locker.sql.begin(async (transaction) => {
      await transaction`lock table recipients in access exclusive mode`;
      hanging = Promise.all(
        [1, 2, 3, 4].map(() => database.sql`select count(*) from recipients`),
      );
      await eventually("they hang", () => waiting(4));
      const seen = await seenAt(id);
      await eventually("the row is renewed", async () => await seenAt(id) !== seen);
    });
    await hanging;
  });

  test("a process that removes dead ones renews its row", async () => {
    const errors: unknown[] = [];
    const { id, stop } = await keepRegistered(database, {
      description: { kind: "admin", host: "here", pid: 2 },
      everyMilliseconds: 10,
      onError: (error) => errors.push(error),
    });
    await locker.sql.begin(async (transaction) => {
      await transaction`lock table deliveries in access exclusive mode`;
      await eventually("the removal hangs", () => waiting(1));
      const seen = await seenAt(id);
      await eventually("the row is renewed", async () => await seenAt(id) !== seen);
    });
    await stop();
    expect(errors[0]).toMatchObject({ code: "57014" });
  });

  test("the upkeep hangs, and nothing else for want of a connection", async () => {
    const narrow = openDatabase(created.url, { applicationName: "narrow", connections: 1 });
    const retention = { content: 7 * 24 * 3600, messages: 30 * 24 * 3600 };
    await keepUp(narrow, retention);
    let upkeep: Promise<unknown> | undefined;
    await locker.sql.begin(async (transaction) => {
      await transaction`lock table contents_default in access exclusive mode`;
      upkeep = keepUp(narrow, retention);
      await eventually("it hangs", () => waiting(1));
      expect((await narrow.sql`select 1 as one`)[0]).toEqual({ one: 1 });
    });
    expect(await upkeep).toMatchObject({ made: 0 });
    await narrow.close();
  });
});

test("figures count the processes that renewed their rows lately, not those that died", async () => {
  const dead = await register(database);
  await register(database);
  await database.sql`update processes set seen_at = now() - interval '25 s' where id = ${dead}`;
  expect((await openMessages(database).figures()).processes).toEqual({ worker: 1 });
});
