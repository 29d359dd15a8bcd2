import { v7 } from "uuid";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import {
  actOnMessage,
  type Database,
  openDatabase,
  openMessages,
  openQueue,
  type Queue,
  registerProcess,
  removeDeadProcesses,
} from "./index.ts";
import { accept, acceptMany, outcomeOf, register, to } from "./testing/mail.ts";

const HOUR = 3_600_000;

let created: TestDatabase;
let database: Database;
let queue: Queue;
let workerId: number;

beforeEach(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "overdue test" });
  queue = openQueue(database);
  workerId = await register(database);
});

afterEach(async () => {
  await database.close();
  await created.drop();
});

/** Received so many hours ago. */
function aged(hours: number, more: object = {}) {
  const msecs = Date.now() - hours * HOUR;
  return { id: v7({ msecs }), receivedAt: new Date(msecs), ...more };
}

/** All destinations of these hops fail, and will not be tried for an hour. */
async function fail(...hops: string[]) {
  await database.sql`
    update destinations set failures = 1, not_before = now() + interval '1 hour'
    where next_hop in ${database.sql(hops)}`;
}

const usual = { lifetime: 5 * 24 * 3600, delayNotice: 4 * 3600, isLimited: false };
const times = { relays: { limited: { ...usual, isLimited: true } }, others: usual };

const overdue = (limit = 100, of = workerId, at = queue) =>
  at.claimOverdue({ workerId: of, limit, times });

async function deliveryOf(id: string) {
  const [row] = await database.sql`select * from deliveries where message_id = ${id}`;
  return row;
}

test("what is late is claimed once, goes on waiting as before, and bears the notice", async () => {
  const late = await accept(database, [to("a@down.test"), to("b@down.test")], aged(5));
  await accept(database, [to("a@down.test")], aged(3));
  await accept(database, [to("a@up.test")], aged(5));
  expect(await overdue()).toEqual([]);
  await fail("down.test");
  const before = await deliveryOf(late);

  const [claimed, ...others] = await overdue();
  expect([claimed?.messageId, claimed?.overdue, others]).toEqual([late, "notice", []]);
  expect(await overdue()).toEqual([]);
  await queue.record(workerId, [outcomeOf(claimed!, {
    recipients: [{ ordinal: 1, state: "deferred", reply: "451 4.4.1 Away", delayReported: true }],
    waitsOn: "notice",
    attempt: { relay: "default" },
  })]);
  const { due_at, attempts, worker_id } = (await deliveryOf(late))!;
  expect([due_at, attempts, worker_id]).toEqual([before!.due_at, 0, null]);
  const shown = await openMessages(database).get(late);
  expect(shown?.recipients.map(({ state }) => state)).toEqual(["queued", "deferred"]);
  expect(shown?.events.slice(3)).toMatchObject([
    { kind: "delayed", relay: "default" },
    { kind: "deferred", recipient: "b@down.test", reply: "451 4.4.1 Away" },
  ]);
  expect(await overdue()).toEqual([]);
});

test("with nobody to tell, nothing is written but that it was looked at", async () => {
  const id = await accept(database, [to("a@down.test")], aged(5));
  await fail("down.test");
  const [claimed] = await overdue();
  await queue.record(workerId, [outcomeOf(claimed!, { recipients: [], waitsOn: "notice" })]);
  expect((await openMessages(database).get(id))?.events.length).toBe(2);
  expect(await overdue()).toEqual([]);
});

test("a worker that dies leaves what it had claimed to others, and records nothing", async () => {
  await accept(database, [to("a@down.test")], aged(5));
  await fail("down.test");
  const [lost] = await overdue();
  await database.sql`update processes set seen_at = now() - interval '1 hour'`;
  const other = await registerProcess(database, { kind: "worker", host: "there", pid: 2 });
  await removeDeadProcesses(database);
  expect((await overdue(100, other, openQueue(database))).length).toBe(1);
  const outcome = outcomeOf(lost!, { recipients: [], waitsOn: "notice" });
  expect(await queue.record(workerId, [outcome])).toBe(1);
});

test("workers share what is late, each row to one, never more than asked for", async () => {
  await acceptMany(
    database,
    Array.from({ length: 300 }, (_, index) => ({
      ...aged(5 + index / 300),
      recipients: [to(`a@down${index % 3}.test`)],
    })),
  );
  await fail("down0.test", "down1.test", "down2.test");
  const workers = await Promise.all([1, 2, 3].map(async () => {
    return { id: await register(database), queue: openQueue(database) };
  }));
  const seen: string[] = [];
  await Promise.all(workers.map(async (worker) => {
    for (let round = 0; round < 10; round += 1) {
      const claimed = await overdue(40, worker.id, worker.queue);
      expect(claimed.length).toBeLessThanOrEqual(40);
      seen.push(...claimed.map(({ messageId }) => messageId));
    }
  }));
  expect(new Set(seen).size).toBe(seen.length);
  while (seen.length < 300) {
    const rest = await overdue();
    expect(rest.length).toBeGreaterThan(0);
    seen.push(...rest.map(({ messageId }) => messageId));
  }
  expect(new Set(seen).size).toBe(300);
});

test("the time its sender set is looked at once, before any notice", async () => {
  const parameters = { deliverBy: { seconds: 600, mode: "notify", trace: false } };
  const id = await accept(database, [to("a@down.test")], aged(1, { parameters }));
  const early = { deliverBy: { seconds: 7200, mode: "return", trace: false } };
  await accept(database, [to("b@down.test")], aged(1, { parameters: early }));
  await fail("down.test");
  const [claimed, ...others] = await overdue();
  expect([claimed?.messageId, claimed?.overdue, others]).toEqual([id, "deliverBy", []]);
  await queue.record(workerId, [outcomeOf(claimed!, { recipients: [], waitsOn: "deliverBy" })]);
  expect(await overdue()).toEqual([]);
  expect((await deliveryOf(id))?.waits_from).not.toBeNull();
});

test("pauses do not count; what was released late waits from then on", async () => {
  await acceptMany(database, [
    { ...aged(5), recipients: [to("a@paused.test")] },
    { ...aged(7), recipients: [to("b@paused.test")] },
    { ...aged(9, { dueAt: new Date(Date.now() - HOUR) }), recipients: [to("c@paused.test")] },
  ]);
  const held = await accept(database, [to("d@paused.test")], aged(8));
  for (const action of ["hold", "release"] as const) {
    await actOnMessage(database, held, { action, author: "admin" });
  }
  await fail("paused.test");
  await database.sql`update destinations set paused_at = now()`;
  expect(await overdue()).toEqual([]);
  await database.sql`update destinations set paused_at = null`;
  await database.sql`
    insert into destination_pauses
    select id, now() - interval '3 hours', now() - interval '1 hour' from destinations`;
  const claimed = await overdue();
  expect(claimed.map(({ recipients }) => recipients[0]?.forwardPath)).toEqual(["b@paused.test"]);
});

test("where limits let mail go slowly it is seen to; where it goes through, its turn comes", async () => {
  await acceptMany(database, [
    { ...aged(5), recipients: [to("late@x.test", "limited")] },
    { ...aged(121), recipients: [to("over@x.test", "limited")] },
    { ...aged(120), recipients: [to("turn@x.test", "limited")] },
    { ...aged(121), recipients: [to("a@up.test")] },
  ]);
  const claimed = await overdue();
  expect(claimed.map((one) => [one.recipients[0]?.forwardPath, one.overdue]).sort()).toEqual([
    ["late@x.test", "notice"],
    ["over@x.test", "lifetime"],
    ["turn@x.test", "notice"],
  ]);
});

test("the time its sender set runs on wherever it waits, in a pause as well", async () => {
  const parameters = { deliverBy: { seconds: 600, mode: "return", trace: false } };
  const recipients = [to("a@paused.test"), to("b@up.test"), to("c@x.test", "limited")];
  await accept(database, recipients, aged(1, { parameters }));
  await accept(database, [to("d@paused.test"), to("e@paused.test")], aged(200));
  await database.sql`update destinations set paused_at = now() where next_hop = 'paused.test'`;
  expect((await overdue()).map((one) => [one.recipients[0]?.forwardPath, one.overdue]).sort())
    .toEqual(recipients.map(({ forwardPath }) => [forwardPath, "deliverBy"]));
});

test("what was looked at for its notice is given up when its lifetime is over", async () => {
  const id = await accept(database, [to("a@down.test")], aged(5));
  await fail("down.test");
  const [notice] = await overdue();
  await queue.record(workerId, [outcomeOf(notice!, { recipients: [], waitsOn: "notice" })]);
  expect(await overdue()).toEqual([]);
  await database.sql`update deliveries set late_from = late_from - interval '5 days'`;
  const [over] = await overdue();
  expect([over?.messageId, over?.overdue]).toEqual([id, "lifetime"]);
  const waited = Date.now() - over!.lifetimeFrom.getTime();
  expect(Math.round(waited / HOUR)).toBe(125);
});

test("a look reads what is late, not what waits", async () => {
  const [row] = await acceptMany(database, [{ recipients: [to("a@down.test")] }]);
  await fail("down.test");
  const id = (await deliveryOf(row!))!.destination_id;
  await database.sql`
    insert into deliveries (message_id, destination_id, due_at, waits_from, late_from, deliver_by)
    select (lpad(to_hex(n), 12, '0') || repeat('0', 20))::uuid, ${id}, now(),
      case when n % 2 = 0 then now() end, case when n % 2 = 1 then now() end,
      now() + interval '1 hour' from generate_series(1, 50000) n`;
  await database.sql`vacuum analyze deliveries`;
  // One connection, so that what it has read is counted before it is asked.
  const single = openDatabase(created.url, { applicationName: "overdue test", connections: 1 });
  const looking = openQueue(single);
  const reads = async () => {
    await single.sql`select pg_stat_force_next_flush()::text`;
    const [sum] = await single.sql`
      select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as rows
      from pg_stat_user_tables where relname = 'deliveries'`;
    return Number(sum!.rows);
  };
  const before = await reads();
  for (let look = 0; look < 4; look += 1) expect(await overdue(100, workerId, looking)).toEqual([]);
  const after = await reads();
  expect(after - before).toBeLessThan(100);
  await single.sql`select sum(priority) from deliveries`;
  expect(await reads() - after).toBeGreaterThanOrEqual(50_000);
  await single.close();
});
