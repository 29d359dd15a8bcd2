import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import {
  type Database,
  openDatabase,
  openMessages,
  openQueue,
  type RecipientState,
} from "./index.ts";
import { accept, acceptMany, outcomeOf, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  // One connection, so that what it has read is counted before it is asked.
  database = openDatabase(created.url, { applicationName: "search test", connections: 1 });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const find = async (query: Parameters<ReturnType<typeof openMessages>["find"]>[0]) =>
  (await openMessages(database).find(query)).items.map(({ id }) => id);

test("what is queued is found by its delivery, whatever was delivered since", async () => {
  const partly = await accept(database, [to("a@x.test"), to("b@y.test"), to("c@z.test")]);
  const deferred = await accept(database, [to("d@z.test")]);
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  const waiting = claimed.find(({ recipients }) => recipients[0]?.forwardPath === "c@z.test")!;
  await queue.record(
    workerId,
    claimed.filter((one) => one !== waiting).map((one) =>
      one.messageId === partly ? outcomeOf(one) : outcomeOf(one, {
        recipients: [{ ordinal: 0, state: "deferred", reply: "451 4.3.0 Later" }],
        dueAt: new Date(),
      })
    ),
  );
  await queue.release(workerId, [waiting]);
  await accept(database, [{ ...to("e@x.test"), hold: "look" }]);
  const fresh = await accept(database, [to("f@x.test"), to("g@y.test")]);

  const state = "queued";
  expect(await find({ state, limit: 10 })).toEqual([fresh, partly]);
  expect(await find({ state, limit: 1 })).toEqual([fresh]);
  expect(await find({ state, limit: 10, cursor: fresh })).toEqual([partly]);
  expect(await find({ state, limit: 10, recipient: "C@z.test" })).toEqual([partly]);
  expect(await find({ state, limit: 10, until: new Date(Date.now() - 3_600_000) })).toEqual([]);
  expect(await find({ state: "deferred", limit: 10 })).toEqual([deferred]);
});

test("recipient and state are asked of the same recipient", async () => {
  const id = await accept(database, [to("ok@one.test"), to("late@two.test")]);
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  const mine = claimed.filter(({ messageId }) => messageId === id);
  await queue.record(
    workerId,
    mine.filter(({ recipients }) => recipients[0]?.forwardPath === "ok@one.test")
      .map((one) => outcomeOf(one)),
  );
  const inState = (recipient: string, state: RecipientState) =>
    find({ recipient, state, limit: 5 });
  expect(await inState("ok@one.test", "delivered")).toEqual([id]);
  expect(await inState("ok@one.test", "queued")).toEqual([]);
  expect(await inState("late@two.test", "queued")).toEqual([id]);
  expect(await inState("late@two.test", "delivered")).toEqual([]);
  await queue.release(
    workerId,
    claimed.filter(({ recipients }) => recipients[0]?.forwardPath !== "ok@one.test"),
  );
});

test.each([
  ["jörg@ex.org", ["JÖRG@EX.org", "Jörg@ex.org"]],
  ["JÖRG.ÄNDERE@ex.org", ["jörg.ändere@ex.org", "Jörg.Ändere@ex.org"]],
  ["Иван.Петров@ex.org", ["иван.петров@ex.org", "ИВАН.ПЕТРОВ@ex.org"]],
  ["p@münchen.test", ["P@xn--mnchen-3ya.test", "p@MÜNCHEN.test"]],
  ["p@xn--bcher-kva.test", ["p@bücher.test", "P@XN--BCHER-KVA.TEST"]],
  ["Someone@[192.0.2.1]", ["someone@[192.0.2.1]"]],
  ["postmaster", ["Postmaster"]],
])("an address is found by its other forms: %s", async (stored, asked) => {
  const bySender = await accept(database, [to("x@x.test")], { reversePath: stored });
  const byRecipient = await accept(database, [to(stored, "internal")]);
  for (const address of [stored, ...asked]) {
    expect(await find({ sender: address, limit: 5 }), address).toEqual([bySender]);
    expect(await find({ recipient: address, limit: 5 }), address).toEqual([byRecipient]);
  }
});

test("other people's addresses are not found", async () => {
  await accept(database, [to("x@x.test")], { reversePath: "jorg@ex.org" });
  expect(await find({ sender: "jörgen@ex.org", limit: 5 })).toEqual([]);
  expect(await find({ sender: "p@munchen.test", limit: 5 })).toEqual([]);
});

test("a search for what is queued does not read what was delivered", async () => {
  const { sql } = database;
  await acceptMany(
    database,
    Array.from({ length: 1000 }, () => ({ recipients: [to("a@x.test")] })),
  );
  await sql`truncate deliveries`;
  await sql`update recipients set state = 'delivered'`;
  await sql`analyze`;
  const read = async () => {
    await sql`select pg_stat_force_next_flush()::text`;
    const [row] = await sql`
      select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::int as rows
      from pg_stat_user_tables where relname ~ '^(messages|recipients)'`;
    return row?.rows as number;
  };
  const before = await read();
  expect(await find({ state: "queued", limit: 50 })).toEqual([]);
  expect(await read() - before).toBe(0);
});
