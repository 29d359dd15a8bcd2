import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import {
  type Database,
  flushDestination,
  listDestinations,
  openDatabase,
  openMessages,
  openQueue,
  pauseDestination,
  resumeDestination,
} from "./index.ts";
import { accept, outcomeOf, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "destinations test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

async function claim(workerId: number) {
  return await openQueue(database).claim({ workerId, limit: 100 });
}

async function idOf(nextHop: string): Promise<number> {
  const [row] = await database.sql`select id from destinations where next_hop = ${nextHop}`;
  return Number(row?.id);
}

test("a paused destination is not claimed; the pause does not count against lifetime", async () => {
  const worker = await register(database);
  const receivedAt = new Date(Date.now() - 3_600_000);
  await accept(database, [to("a@paused.test")], { receivedAt });
  const id = await idOf("paused.test");
  expect(await pauseDestination(database, id)).toBe(true);
  expect(await claim(worker)).toEqual([]);

  // Paused for half an hour, as far as the books say.
  await database.sql`
    update destinations set paused_at = now() - interval '30 minutes' where id = ${id}`;
  expect(await resumeDestination(database, id)).toBe(true);
  const [delivery] = await claim(worker);
  const moved = delivery!.lifetimeFrom.getTime() - receivedAt.getTime();
  expect(moved).toBeGreaterThanOrEqual(1_800_000);
  expect(moved).toBeLessThan(1_860_000);

  // A message that came after the pause owes nothing to it.
  await accept(database, [to("b@paused.test")]);
  const [later] = await claim(worker);
  expect(later!.lifetimeFrom).toEqual(later!.receivedAt);
});

test("a flush makes due what waits, but for what the sender wants later", async () => {
  const worker = await register(database);
  await accept(database, [to("a@flushed.test")]);
  const [delivery] = await claim(worker);
  await openQueue(database).record(worker, [outcomeOf(delivery!, {
    recipients: [{ ordinal: 0, state: "deferred", reply: "450 4.2.0 later" }],
    dueAt: new Date(Date.now() + 3_600_000),
  })]);
  await accept(database, [to("b@flushed.test")], { dueAt: new Date(Date.now() + 3_600_000) });
  expect(await claim(worker)).toEqual([]);

  expect(await flushDestination(database, { relay: "default", nextHop: "flushed.test" })).toBe(1);
  const again = await claim(worker);
  expect(again.flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)))
    .toEqual(["a@flushed.test"]);
  expect(await flushDestination(database, await idOf("flushed.test"))).toBe(0);
});

test("a flush of a long queue goes in portions, and keeps the destination from nobody", async () => {
  await accept(database, [to("a@long.test")]);
  const id = await idOf("long.test");
  await database.sql`update destinations set failures = 2 where id = ${id}`;
  await database.sql`
    insert into deliveries (message_id, destination_id, due_at, priority, attempts)
    select gen_random_uuid(), ${id}, now() + make_interval(secs => 100 + n / 1500), n % 2, 1
    from generate_series(1, 4500) n`;
  const others = openDatabase(created.url, { applicationName: "others" });
  let flushing: Promise<number | undefined> | undefined;
  await others.sql.begin(async (transaction) => {
    await transaction`lock table deliveries in share mode`;
    flushing = flushDestination(database, id);
    await eventually("it has come to the deliveries", async () => {
      const rows = await others.sql`
        select 1 from pg_locks where relation = 'deliveries'::regclass and not granted`;
      return rows.length > 0;
    });
    const [row] = await transaction`
      select not_before is not null as flushed from destinations where id = ${id}
      for update nowait`;
    expect(row).toEqual({ flushed: true });
  });
  expect(await flushing).toBe(4500);
  const portions = await database.sql`
    select count(*)::int as n from deliveries where destination_id = ${id} and attempts = 1
      and due_at <= now()
    group by due_at order by due_at`;
  expect(portions.map(({ n }) => n)).toEqual([2000, 2000, 500]);
  expect(await flushDestination(database, id)).toBe(0);
  await database.sql`delete from deliveries where destination_id = ${id}`;
  await others.close();
});

test("one that failed counts as failing while something waits; long after it begins anew", async () => {
  const worker = await register(database);
  const queue = openQueue(database);
  const seen = async () => {
    const failing = await listDestinations(database, { state: "failing", limit: 10 });
    const { destinations } = await openMessages(database).figures();
    expect(destinations.failing).toBe(failing.length);
    return failing.map(({ nextHop, failures }) => [nextHop, failures]);
  };
  const claim = () =>
    eventually("it is claimed", async () => (await queue.claim({ workerId: worker, limit: 1 }))[0]);
  const failed = { status: "failed", reply: "451 4.4.1 Refused", delays: [60, 600] } as const;
  const fail = async (state: "deferred" | "bounced") => {
    const recipients = [{ ordinal: 0, state, reply: "451 4.4.1 Refused" }];
    const dueAt = state === "deferred" ? new Date() : undefined;
    const outcome = outcomeOf(await claim(), { recipients, dueAt, destination: failed });
    await queue.record(worker, [outcome]);
  };
  const since = (interval: string) =>
    database.sql`
    update destinations set not_before = now() - ${interval}::interval where next_hop = 'gone.test'`;

  await accept(database, [to("a@gone.test")]);
  await fail("deferred");
  await since("1 hour");
  await fail("deferred");
  expect(await seen()).toEqual([["gone.test", 2]]);
  await since("1 hour");
  await fail("bounced");
  expect(await seen()).toEqual([]);

  await since("1 day");
  await accept(database, [to("b@gone.test")]);
  await fail("deferred");
  expect(await seen()).toEqual([["gone.test", 1]]);
  const [row] = await database.sql`
    select extract(epoch from not_before - now())::float8 as wait from destinations
    where next_hop = 'gone.test'`;
  expect(row!.wait).toBeLessThan(70);
});

test("what does not exist is told", async () => {
  expect(await pauseDestination(database, 999)).toBe(false);
  expect(await resumeDestination(database, 999)).toBe(false);
  expect(await flushDestination(database, 999)).toBeUndefined();
});
