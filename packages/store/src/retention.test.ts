import { v7 } from "uuid";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import {
  type Database,
  keepUp,
  openDatabase,
  openMessages,
  openQueue,
  openSpool,
  PIECE_BYTES,
} from "./index.ts";
import { accept, acceptMany, messageTo, outcomeOf, register, to } from "./testing/mail.ts";

const DAY = 24 * 3_600_000;
const retention = { content: 7 * 24 * 3600, messages: 30 * 24 * 3600 };

let created: TestDatabase;
let database: Database;

beforeEach(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "retention test" });
});

afterEach(async () => {
  await database.close();
  await created.drop();
});

/** A message received at that time, with its outcome at another. */
async function received(
  at: number,
  end?: { readonly at: number; readonly state: "delivered" | "held" },
): Promise<string> {
  const id = v7({ msecs: at });
  await accept(database, [to(`${id}@kept.test`)], { id, receivedAt: new Date(at) });
  if (end === undefined) return id;
  const worker = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId: worker, limit: 1000 });
  const mine = claimed.find(({ messageId }) => messageId === id)!;
  await queue.release(worker, claimed.filter((one) => one !== mine));
  await queue.record(worker, [outcomeOf(mine, {
    at: new Date(end.at),
    recipients: [{ ordinal: 0, state: end.state, reply: "250 2.0.0 Ok" }],
  })]);
  return id;
}

function envelope(receivedAt: Date) {
  return messageTo([to("a@kept.test")], { receivedAt });
}

async function has(id: string): Promise<{ message: boolean; content: boolean }> {
  const [row] = await database.sql`
    select exists (select 1 from messages where id = ${id}) as message,
      exists (select 1 from contents where message_id = ${id}) as content`;
  return { message: row!.message, content: row!.content };
}

async function partitionOf(table: string, id: string): Promise<string> {
  const key = table === "messages" ? "id" : "message_id";
  const [row] = await database.sql.unsafe(
    `select tableoid::regclass::text as name from ${table} where ${key} = '${id}'`,
  );
  return row?.name;
}

describe("partitions", () => {
  test("are made ahead, once, by one process at a time", async () => {
    const now = Date.parse("2026-03-01T12:00:00Z");
    const another = openDatabase(created.url, { applicationName: "another" });
    const [one, other] = await Promise.all([
      keepUp(database, retention, { at: now }),
      keepUp(another, retention, { at: now }),
    ]);
    await another.close();
    expect([one?.made ?? 0, other?.made ?? 0].sort()).toEqual([0, 16]);
    expect(await keepUp(database, retention, { at: now })).toMatchObject({ made: 0 });
    expect(await keepUp(database, retention, { at: now + DAY })).toMatchObject({ made: 4 });
    const id = await received(Date.parse("2026-03-04T23:59:59.999Z"));
    expect(await partitionOf("messages", id)).toBe("messages_20260304");
    expect(await partitionOf("recipients", id)).toBe("recipients_20260304");
  });

  test("mail without a partition is taken, and moved when there is one", async () => {
    const now = Date.now();
    const id = await received(now);
    expect(await partitionOf("contents", id)).toBe("contents_default");
    await keepUp(database, retention, { at: now });
    expect(await partitionOf("contents", id)).toMatch(/^contents_\d{8}$/);
    const worker = await register(database);
    const claimed = await openQueue(database).claim({ workerId: worker, limit: 10 });
    expect(claimed.map(({ messageId }) => messageId)).toEqual([id]);
    expect(claimed[0]?.content).toEqual(new Uint8Array([65]));
  });
});

test("a delivery changes its recipients within their pages, and writes into no index of theirs", async () => {
  await keepUp(database, retention);
  const reasons = [
    { kind: "domain", name: "pages.test", matched: false },
    { kind: "client", name: "office", matched: true },
  ];
  const recipients = Array.from({ length: 50 }, (_, index) => {
    const recipient = to(`someone${index}@pages.test`);
    return { ...recipient, decision: { ...recipient.decision, version: 4, reasons } };
  });
  await acceptMany(database, Array.from({ length: 20 }, () => ({ recipients })));
  const workerId = await register(database);
  const queue = openQueue(database);
  const claimed = await queue.claim({ workerId, limit: 100 });
  const reply = "250 2.0.0 Ok: queued as 4dJrLk6Hq3z1Xb";
  await queue.record(
    workerId,
    claimed.map((one) =>
      outcomeOf(one, {
        recipients: one.recipients.map(({ ordinal }) => ({ ordinal, state: "delivered", reply })),
      })
    ),
  );
  await eventually("the statistics have it", async () => {
    const [row] = await database.sql`
      select sum(n_tup_upd)::int as updated, sum(n_tup_hot_upd)::int as within_page
      from pg_stat_user_tables where relname like 'recipients%'`;
    return row!.updated === 1000 && row!.within_page === 1000;
  });
});

test("mail that comes while its partition is made is taken all the same", async () => {
  const id = v7();
  const table = "messages";
  const started = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  const making = database.sql.begin(async (transaction) => {
    // The least lock that allows it: the statement below is planned before, and waits behind it.
    await transaction.unsafe(`lock table ${table}_default in access exclusive mode`);
    await transaction.unsafe(`create table ${table}_now (like ${table} including all)`);
    await transaction.unsafe(`
      alter table ${table} attach partition ${table}_now
      for values from ('00000000-0000-0000-0000-000000000000')
      to ('ffffffff-ffff-ffff-ffff-ffffffffffff')`);
    started.resolve();
    await goOn.promise;
  });
  await started.promise;
  const accepting = accept(database, [to("a@meanwhile.test")], { id });
  await eventually("it waits for the partition", async () => {
    const [row] = await database.sql`select count(*)::int as n from pg_locks where not granted`;
    return row!.n > 0;
  });
  goOn.resolve();
  await Promise.all([making, accepting]);
  expect(await partitionOf(table, id)).toBe(`${table}_now`);
});

test("a worker that claims while partitions are made sees all there is", async () => {
  const ids = await acceptMany(
    database,
    Array.from({ length: 300 }, (_, index) => ({ recipients: [to(`a@busy${index % 30}.test`)] })),
  );
  const workerId = await register(database);
  const queue = openQueue(database);
  const seen = new Set<string>();
  const claiming = (async () => {
    while (seen.size < ids.length) {
      for (const one of await queue.claim({ workerId, limit: 10 })) seen.add(one.messageId);
    }
  })();
  await eventually("partitions are made meanwhile", async () => {
    const done = await keepUp(database, retention).catch(() => undefined);
    return done !== undefined && await partitionOf("events", ids[0]!) === undefined &&
      (await partitionOf("recipients", ids[0]!)) !== "recipients_default";
  });
  await claiming;
  expect(seen.size).toBe(300);
  expect((await database.sql`select 1 from events`).length).toBe(0);
});

test("content goes first, messages later, by whole partitions; what lives on is moved", async () => {
  const now = Date.now();
  const then = now - 10 * DAY;
  await keepUp(database, retention, { at: then });
  const ended = await received(then, { at: then + 1000, state: "delivered" });
  const lately = await received(then, { at: now - DAY, state: "delivered" });
  const held = await received(then, { at: then, state: "held" });
  const queued = await received(then);
  const fresh = await received(now, { at: now, state: "delivered" });

  const first = await keepUp(database, retention, { at: now });
  expect(first?.dropped).toContain(
    `contents_${new Date(then).toISOString().slice(0, 10).replaceAll("-", "")}`,
  );
  expect(first?.dropped.every((name) => name.startsWith("contents_"))).toBe(true);
  expect(await has(ended)).toEqual({ message: true, content: false });
  for (const id of [lately, held, queued, fresh]) {
    expect(await has(id)).toEqual({ message: true, content: true });
  }

  const second = await keepUp(database, retention, { at: now + 7 * DAY });
  expect(second?.removed).toBe(1);
  expect(await has(lately)).toEqual({ message: true, content: false });

  await keepUp(database, retention, { at: now + 35 * DAY });
  expect(await has(ended)).toEqual({ message: false, content: false });
  expect(await has(lately)).toEqual({ message: false, content: false });
  expect(await openMessages(database).get(ended)).toBeUndefined();
  const orphans = await database.sql`
    select 1 from events where message_id in ${database.sql([ended, lately])}
    union all select 1 from recipients where message_id in ${database.sql([ended, lately])}`;
  expect(orphans.length).toBe(0);

  // What is held and what is queued is all there, events included, and can be delivered.
  expect(await has(held)).toEqual({ message: true, content: true });
  expect((await openMessages(database).get(held))?.events.map(({ kind }) => kind))
    .toEqual(["received", "routed", "attempted", "held"]);
  const worker = await register(database);
  const claimed = await openQueue(database).claim({ workerId: worker, limit: 10 });
  expect(claimed.map(({ messageId, content }) => [messageId, content])).toEqual([
    [queued, new Uint8Array([65])],
  ]);
});

test("a day of which much lives on keeps its partitions, and loses the content of what is over, while others work", async () => {
  const now = Date.now();
  const then = now - 40 * DAY;
  await keepUp(database, retention, { at: then });
  const ended = await received(then, { at: then + 1000, state: "delivered" });
  const held = await received(then, { at: then, state: "held" });
  const queued = await received(then);
  await database.sql`update messages set size = 40000000 where id = ${held}`;

  const goneThrough = new Map<string, number>();
  const done = await keepUp(database, retention, { at: now, goneThrough });
  const day = new Date(then).toISOString().slice(0, 10).replaceAll("-", "");
  const names = ["contents", "events", "messages", "recipients"].map((table) => `${table}_${day}`);
  expect([...done!.kept].sort()).toEqual(names);
  expect(done!.dropped.filter((name) => name.endsWith(day))).toEqual([]);
  expect(done!.removed).toBe(1);
  // An outcome is being recorded, and not waited for.
  await database.sql.begin(async (transaction) => {
    await transaction`update recipients set last_reply = 'so far' where message_id = ${queued}`;
    expect(await keepUp(database, retention, { at: now })).toMatchObject({
      kept: done!.kept,
      removed: 0,
    });
  });
  expect(await has(ended)).toEqual({ message: true, content: false });
  for (const id of [held, queued]) expect(await has(id)).toEqual({ message: true, content: true });

  await database.sql`update messages set size = 1 where id = ${held}`;
  const soon = await keepUp(database, retention, { at: now + 3_590_000, goneThrough });
  expect([...soon!.kept].sort()).toEqual(names);
  const next = await keepUp(database, retention, { at: now + 3_600_000, goneThrough });
  expect([...next!.dropped].sort()).toEqual(names);
  expect(next).toMatchObject({ kept: [], removed: 0 });
  for (const id of [held, queued]) expect(await has(id)).toEqual({ message: true, content: true });
});

test("what is being received when its day is dropped stays, and is dropped when nothing comes of it", async () => {
  const midnight = Math.floor(Date.now() / DAY) * DAY;
  const short = { content: 60, messages: 30 * 24 * 3600 };
  await keepUp(database, short, { at: midnight - DAY / 2 });
  const spool = openSpool(database);
  const [arriving, abandoned] = [11_000, 10_000].map((before) => v7({ msecs: midnight - before }));
  const incoming = spool.receive(arriving!);
  await incoming.add(new Uint8Array(2 * PIECE_BYTES + 1));
  await spool.receive(abandoned!).add(new Uint8Array(PIECE_BYTES + 1));

  const done = await keepUp(database, short, { at: midnight + 90_000 });
  expect(done?.dropped.length).toBe(1);
  await keepUp(database, short, { at: midnight + 100_000 });
  await incoming.commit(envelope(new Date(midnight + 95_000)));
  const queue = openQueue(database);
  const [claimed] = await queue.claim({ workerId: await register(database), limit: 1 });
  let size = 0;
  for await (const bytes of queue.readContent(arriving!, claimed!.size)) size += bytes.length;
  expect(size).toBe(2 * PIECE_BYTES + 1);

  expect(await has(abandoned!)).toEqual({ message: false, content: true });
  await keepUp(database, short, { at: midnight + DAY });
  expect(await has(abandoned!)).toEqual({ message: false, content: false });
});

test("a message whose pieces are gone is refused, and those committed with it are not", async () => {
  const spool = openSpool(database);
  const [lost, whole] = [v7(), v7()].map((id) => ({ id, content: spool.receive(id) }));
  for (const { content } of [lost!, whole!]) await content.add(new Uint8Array(PIECE_BYTES + 1));
  await database.sql`delete from contents where message_id = ${lost!.id} and ordinal = 0`;
  const small = v7();
  const [refused, ...taken] = await Promise.allSettled([
    lost!.content.commit(envelope(new Date())),
    whole!.content.commit(envelope(new Date())),
    accept(database, [to("a@kept.test")], { id: small }),
  ]);
  expect(refused).toMatchObject({
    status: "rejected",
    reason: { message: `of ${PIECE_BYTES + 1} bytes of content 1 are in the store` },
  });
  expect(taken.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  expect(await has(lost!.id)).toEqual({ message: false, content: true });
  for (const id of [whole!.id, small]) {
    expect(await has(id)).toEqual({ message: true, content: true });
  }
});

describe("clocks that differ", () => {
  afterEach(() => {
    vi.restoreAllMocks();
  });

  /** The clock of this process is so far ahead. */
  function shiftClock(milliseconds: number): void {
    const now = Date.now;
    vi.spyOn(Date, "now").mockImplementation(() => now() + milliseconds);
  }

  test("an upkeep goes by the clock of Postgres", async () => {
    await keepUp(database, retention);
    const now = Date.now();
    const delivered = await received(now, { at: now, state: "delivered" });
    const arriving = v7();
    const incoming = openSpool(database).receive(arriving);
    await incoming.add(new Uint8Array(PIECE_BYTES + 1));
    shiftClock(40 * DAY);
    expect(await keepUp(database, retention)).toEqual({
      made: 0,
      dropped: [],
      kept: [],
      removed: 0,
    });
    expect(await openSpool(database).removeOrphans()).toBe(0);
    await incoming.commit(envelope(new Date()));
    for (const id of [delivered, arriving]) {
      expect(await has(id)).toEqual({ message: true, content: true });
    }
  });

  test("of an ingress that is days behind, a message is refused whose pieces are gone", async () => {
    const behind = v7({ msecs: Date.now() - 10 * DAY });
    const incoming = openSpool(database).receive(behind);
    await incoming.add(new Uint8Array(PIECE_BYTES + 1));
    // The rest of it comes when the first piece is over and gone.
    expect(await keepUp(database, retention)).toMatchObject({ removed: 1 });
    shiftClock(-10 * DAY);
    await expect(incoming.commit(envelope(new Date()))).rejects.toThrow(
      "content 1 are in the store",
    );
    expect(await has(behind)).toEqual({ message: false, content: true });
  });

  test("pieces that are over do not go while their message is being committed", async () => {
    await keepUp(database, retention);
    const behind = v7({ msecs: Date.now() - 10 * DAY });
    const incoming = openSpool(database).receive(behind);
    await incoming.add(new Uint8Array(PIECE_BYTES + 1));
    let committing: Promise<void> | undefined;
    await database.sql.begin(async (transaction) => {
      await transaction`lock table deliveries in access exclusive mode`;
      committing = incoming.commit(envelope(new Date()));
      await eventually("its pieces are found, and it waits", async () => {
        const [row] = await database.sql`
          select count(*)::int as n from pg_locks
          where relation = 'deliveries'::regclass and not granted`;
        return row!.n > 0;
      });
      await expect(keepUp(database, retention)).rejects.toMatchObject({ code: "55P03" });
    });
    await committing;
    expect(await keepUp(database, retention)).toMatchObject({ removed: 0 });
    expect(await has(behind)).toEqual({ message: true, content: true });
  });
});
