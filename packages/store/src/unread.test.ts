import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import {
  type Database,
  newQueueId,
  openDatabase,
  openMessages,
  openQueue,
  openSpool,
} from "./index.ts";
import { accept, messageTo, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "unread test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

/** Accepts a message whose content lies apart from its row, and takes from it what lies there. */
async function acceptDamaged(): Promise<string> {
  const id = newQueueId();
  const incoming = openSpool(database).receive(id);
  await incoming.add(crypto.getRandomValues(new Uint8Array(40_000)));
  await incoming.commit(messageTo([to("damaged@x.test")]));
  const { sql } = database;
  await sql`create extension pg_surgery`;
  const [row] = await sql`
    select c.reltoastrelid::regclass::text as name from pg_class c
    where c.oid = (select tableoid from contents where message_id = ${id})`;
  await sql`
    select heap_force_kill(${row?.name}::regclass,
      (select array_agg(ctid) from ${sql(row?.name)}))`;
  return id;
}

test("a damaged row holds up nothing else, and is set aside after some looks", async () => {
  const before = await accept(database, [to("a@x.test")]);
  const damaged = await acceptDamaged();
  const after = await accept(database, [to("b@x.test"), to("c@y.test")]);

  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 10 });
  expect(claimed.map(({ messageId }) => messageId).sort()).toEqual([before, after, after]);
  const left = () =>
    database.sql`
      select attempts, worker_id, due_at > now() + interval '50 seconds' as later from deliveries
      where message_id = ${damaged}`;
  expect(await left()).toEqual([{ attempts: 1, worker_id: null, later: true }]);

  await database.sql`
    update deliveries set attempts = 5, due_at = now() where message_id = ${damaged}`;
  expect(await openQueue(database).claim({ workerId, limit: 10 })).toEqual([]);
  expect(await left()).toEqual([]);
  const message = await openMessages(database).get(damaged);
  expect(message?.recipients[0]?.state).toBe("held");
  expect(message?.events).toContainEqual(expect.objectContaining({
    kind: "held",
    recipient: "damaged@x.test",
    reply: expect.stringMatching(
      /^451 4.3.0 Set aside: the message cannot be read: .*missing chunk/,
    ),
  }));
});
