import { expect, test } from "vitest";
import { createTestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { openDatabase, openQueue } from "./index.ts";
import { accept, outcomeOf, register, to } from "./testing/mail.ts";

test("a claim passes by what was delivered while a long transaction keeps it from being removed", async () => {
  const created = await createTestDatabase();
  // One connection, so that what it has read is counted before it is asked.
  const database = openDatabase(created.url, { applicationName: "claims", connections: 1 });
  const others = openDatabase(created.url, { applicationName: "others" });
  const { sql } = database;
  const workerId = await register(others);
  const queue = openQueue(database);
  const work = await queue.onWork(() => {});
  const deliver = async () => {
    const id = await accept(others, [to("a@x.test")]);
    const [delivery] = await eventually("it is claimed", async () => {
      const claimed = await queue.claim({ workerId, limit: 10 });
      return claimed.length > 0 && claimed;
    });
    expect(delivery?.messageId).toBe(id);
    await queue.record(workerId, [outcomeOf(delivery!)]);
  };
  const read = async () => {
    await sql`select pg_stat_force_next_flush()::text`;
    const [row] = await sql`
      select idx_tup_read::int as entries from pg_stat_user_indexes
      where indexrelname = 'deliveries_due'`;
    return row?.entries as number;
  };
  try {
    await deliver();
    await others.sql.begin("isolation level repeatable read", async (tx) => {
      await tx`select count(*) from messages`;
      await others.sql`
        insert into deliveries (message_id, destination_id, due_at)
        select gen_random_uuid(), id, now() - interval '1 hour'
        from destinations, generate_series(1, 20000)`;
      await others.sql`delete from deliveries`;
      const before = await read();
      await deliver();
      expect(await read() - before).toBeLessThan(1000);
    });
  } finally {
    await work.stop();
    await database.close();
    await others.close();
    await created.drop();
  }
});

test("what comes back behind the others is found by the next look through the queue", async () => {
  const created = await createTestDatabase();
  const database = openDatabase(created.url, { applicationName: "claims" });
  const workerId = await register(database);
  const queue = openQueue(database);
  const work = await queue.onWork(() => {});
  const claim = () =>
    eventually("it is claimed", async () => {
      const claimed = await queue.claim({ workerId, limit: 10 });
      return claimed.length > 0 && claimed;
    });
  try {
    const old = await accept(database, [to("a@x.test")], {
      receivedAt: new Date(Date.now() - 3_600_000),
    });
    const [first] = await claim();
    expect(first?.messageId).toBe(old);
    const other = await accept(database, [to("a@x.test")]);
    expect((await claim())[0]?.messageId).toBe(other);
    await queue.release(workerId, [first!]);
    expect((await claim())[0]?.messageId).toBe(old);
  } finally {
    await work.stop();
    await database.close();
    await created.drop();
  }
});
