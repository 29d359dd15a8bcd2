import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { type ClaimedDelivery, type Database, openDatabase, openQueue } from "./index.ts";
import { accept, acceptMany, outcomeOf, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "news test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const failed = {
  destination: { status: "failed", reply: "451 4.4.1 Connection refused", delays: [100] },
  recipients: [{ ordinal: 0, state: "deferred", reply: "451 4.4.1 Connection refused" }],
  dueAt: new Date(),
} as const;
const reached = { destination: { status: "reached" } } as const;

async function stateOf(nextHop: string) {
  const [row] = await database.sql`
    select failures, not_before, probe_until from destinations where next_hop = ${nextHop}`;
  return row!;
}

/** Does something while somebody has a destination's row locked. */
async function locked(nextHop: string, work: () => Promise<unknown>): Promise<void> {
  await database.sql.begin(async (transaction) => {
    await transaction`select 1 from destinations where next_hop = ${nextHop} for update`;
    await work();
  });
}

test("outcomes wait for no destination that is locked; what they say of it is told later", async () => {
  await acceptMany(
    database,
    ["a@held.test", "b@held.test", "a@free.test"].map((path) => ({ recipients: [to(path)] })),
  );
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  const of = (nextHop: string) =>
    claimed.filter(({ destination }) => destination.nextHop === nextHop);
  const [first, second] = of("held.test") as [ClaimedDelivery, ClaimedDelivery];
  await locked("held.test", async () => {
    const outcomes = [first, ...of("free.test")].map((one) => outcomeOf(one, failed));
    expect(await queue.record(workerId, outcomes)).toBe(0);
    expect((await stateOf("free.test")).failures).toBe(1);
    expect((await stateOf("held.test")).failures).toBe(0);
  });
  await eventually("it is told", async () => (await stateOf("held.test")).failures === 1);

  await locked("held.test", async () => {
    expect(await queue.record(workerId, [outcomeOf(second, reached)])).toBe(0);
  });
  await eventually("it is back", async () => (await stateOf("held.test")).failures === 0);
  expect(await stateOf("held.test")).toMatchObject({ not_before: null, probe_until: null });
});

test("what was kept and comes later is told together", async () => {
  await acceptMany(database, [1, 2].map((n) => ({ recipients: [to(`r${n}@both.test`)] })));
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  const [first, second] = claimed.filter(({ destination }) => destination.nextHop === "both.test");
  await locked("both.test", async () => {
    await queue.record(workerId, [outcomeOf(first!, reached)]);
    await queue.record(workerId, [outcomeOf(second!, failed)]);
  });
  await eventually("the last word counts", async () => (await stateOf("both.test")).failures === 1);
});

test("who is reached after a failure that is not in the books yet has not failed", async () => {
  await acceptMany(database, [1, 2].map((n) => ({ recipients: [to(`r${n}@back.test`)] })));
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  const [first, second] = claimed.filter(({ destination }) => destination.nextHop === "back.test");
  await locked("back.test", async () => {
    await queue.record(workerId, [outcomeOf(first!, failed)]);
    await queue.record(workerId, [outcomeOf(second!, reached)]);
  });
  // Tells what was kept, if its time has not come yet.
  await queue.record(workerId, []);
  expect(await stateOf("back.test")).toMatchObject({ failures: 0, not_before: null });
});

test("a probe without result ends, too, when its destination is free again", async () => {
  await accept(database, [to("a@probed.test")]);
  await database.sql`update destinations set failures = 3 where next_hop = 'probed.test'`;
  const workerId = await register(database);
  const queue = openQueue(database);
  const probe = (await queue.claim({ workerId, limit: 10 }))
    .filter(({ destination }) => destination.nextHop === "probed.test");
  expect((await stateOf("probed.test")).probe_until).not.toBeNull();
  await locked("probed.test", () => queue.release(workerId, probe));
  await eventually("it is over", async () => (await stateOf("probed.test")).probe_until === null);
  expect((await stateOf("probed.test")).failures).toBe(3);
});

test("mail is accepted for a destination that is locked, and its row is not written", async () => {
  await accept(database, [to("a@known.test")]);
  const version = async () =>
    (await database.sql`select ctid::text from destinations where next_hop = 'known.test'`)[0];
  const before = await version();
  await locked("known.test", () => accept(database, [to("b@known.test"), to("b@unknown.test")]));
  expect(await version()).toEqual(before);
  const rows = await database.sql`
    select count(*)::int as n from deliveries d join destinations x on x.id = d.destination_id
    where next_hop in ('known.test', 'unknown.test') group by next_hop order by n`;
  expect(rows.map(({ n }) => n)).toEqual([1, 2]);
});

test("a destination that many learn of at once is one", async () => {
  await Promise.all(
    Array.from({ length: 8 }, (_, index) => accept(database, [to(`r${index}@many.test`)])),
  );
  const rows = await database.sql`select id from destinations where next_hop = 'many.test'`;
  expect(rows.length).toBe(1);
});
