import { afterAll, beforeAll, expect, test } from "vitest";
import {
  type Database,
  type DeliveryOutcome,
  newQueueId,
  openDatabase,
  openMessages,
  openQueue,
  openSpool,
  type Queue,
  registerProcess,
} from "@postern/store";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { Recorder } from "./recorder.ts";

let created: TestDatabase;
let database: Database;
let queue: Queue;
let workerId: number;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "recorder test" });
  queue = openQueue(database);
  workerId = await registerProcess(database, { kind: "worker", host: "here", pid: 1 });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const log = { debug() {}, info() {}, warning() {}, error() {} } as never;

/** So many messages of two recipients, accepted and claimed; the outcome of each by its number. */
async function outcomes(
  count: number,
  end: (index: number) => Partial<DeliveryOutcome>,
): Promise<DeliveryOutcome[]> {
  const spool = openSpool(database);
  await Promise.all(Array.from({ length: count }, async () => {
    const incoming = spool.receive(newQueueId());
    await incoming.add(new Uint8Array([65]));
    await incoming.commit({
      receivedAt: new Date(),
      reversePath: "sender@example.org",
      parameters: {},
      session: {},
      messageId: undefined,
      configurationVersion: 1,
      recipients: ["a@x.test", "b@x.test"].map((forwardPath) => ({
        forwardPath,
        parameters: {},
        destination: { relay: "default", nextHop: "x.test" },
        decision: {},
      })),
    });
  }));
  const claimed = await queue.claim({ workerId, limit: count });
  expect(claimed.length).toBe(count);
  return claimed.map(({ messageId, destinationId, recipients }, index) => ({
    messageId,
    destinationId,
    at: new Date(),
    recipients: recipients.map(({ ordinal }) => ({
      ordinal,
      state: "delivered",
      reply: "250 2.0.0 Ok",
    })),
    dueAt: undefined,
    attempt: { host: "mx.test" },
    ...end(index),
  }));
}

const statesOf = async (id: string) =>
  (await openMessages(database).get(id))!.recipients.map(({ state }) => state);

/** A report that Postgres cannot keep: all that is stored with it fails. */
const poison = (): Partial<DeliveryOutcome> => ({
  recipients: [
    { ordinal: 0, state: "delivered", reply: "250 2.0.0 Ok" },
    { ordinal: 1, state: "bounced", reply: "550 5.0.0 No" },
  ],
  report: {
    content: new Uint8Array([65]),
    message: {
      id: newQueueId(),
      receivedAt: new Date(),
      reversePath: "",
      parameters: { envelopeId: "\0" },
      session: {},
      size: 1,
      messageId: undefined,
      configurationVersion: 1,
      recipients: [{
        forwardPath: "sender@example.org",
        parameters: {},
        destination: { relay: "default", nextHop: "example.org" },
        decision: {},
      }],
    },
  },
});

test("an outcome that the database does not take is set aside, found by few commits", async () => {
  const all = await outcomes(20, (index) => index === 13 ? poison() : {});
  let commits = 0;
  const counting: Queue = {
    ...queue,
    record: (...given) => {
      commits += 1;
      return queue.record(...given);
    },
  };
  const recorder = new Recorder(counting, log);
  await Promise.all(all.map((outcome) => recorder.record(workerId, outcome)));
  for (const [index, { messageId }] of all.entries()) {
    if (index !== 13) expect(await statesOf(messageId)).toEqual(["delivered", "delivered"]);
  }
  expect(commits).toBeLessThanOrEqual(12);
  const bad = all[13]!.messageId;
  expect(await statesOf(bad)).toEqual(["delivered", "held"]);
  const events = (await openMessages(database).get(bad))!.events;
  expect(events.at(-1)).toMatchObject({ kind: "held", recipient: "b@x.test" });
  expect(events.at(-1)).toHaveProperty(
    "reply",
    expect.stringMatching(/^451 4\.3\.0 Set aside: The outcome could not be recorded: .*Unicode/),
  );
  expect((await openMessages(database).figures()).held).toBe(1);
  expect(await database.sql`select 1 from deliveries`).toEqual([]);
});

test("of one that was not tried nobody is told, and it waits on", async () => {
  const [one] = await outcomes(1, () => ({ ...poison(), waitsOn: "notice" }));
  await new Recorder(queue, log).record(workerId, one!);
  expect(await statesOf(one!.messageId)).toEqual(["queued", "queued"]);
  expect(await database.sql`select worker_id, waits_from from deliveries`)
    .toEqual([{ worker_id: null, waits_from: null }]);
  await database.sql`delete from deliveries`;
});

test("what passes is waited for, and nothing is set aside for it", async () => {
  const [one] = await outcomes(1, () => ({}));
  let tries = 0;
  const hindered: Queue = {
    ...queue,
    record: (...given) => {
      tries += 1;
      if (tries === 1) {
        return Promise.reject(Object.assign(new Error("deadlock detected"), { code: "40P01" }));
      }
      return queue.record(...given);
    },
  };
  await new Recorder(hindered, log).record(workerId, one!);
  expect(await statesOf(one!.messageId)).toEqual(["delivered", "delivered"]);
});

test("an outcome is kept while Postgres only reads, as a standby does, and recorded when it writes", async () => {
  const [one] = await outcomes(1, () => ({}));
  let tries = 0;
  const standby: Queue = {
    ...queue,
    record: async (...given) => {
      tries += 1;
      if (tries > 1) return await queue.record(...given);
      await database.sql.begin("read only", async (transaction) => {
        await transaction`update deliveries set worker_id = null`;
      });
      return 0;
    },
  };
  await new Recorder(standby, log).record(workerId, one!);
  expect(tries).toBe(2);
  expect((await openMessages(database).get(one!.messageId))!.recipients)
    .toMatchObject(Array(2).fill({ state: "delivered", lastReply: "250 2.0.0 Ok" }));
  expect(await database.sql`select 1 from deliveries`).toEqual([]);
});

test("where the database takes nothing the outcome is kept, and those of others are recorded", async () => {
  const [refused, taken] = await outcomes(2, () => ({}));
  let refuses = true;
  const denied: Queue = {
    ...queue,
    record: (id, given) => {
      const mine = given.some(({ messageId }) => messageId === refused!.messageId);
      if (!refuses || !mine) return queue.record(id, given);
      return Promise.reject(Object.assign(new Error("permission denied"), { code: "42501" }));
    },
  };
  const recorder = new Recorder(denied, log, 20);
  const recordings = [refused!, taken!].map((one) => recorder.record(workerId, one));
  await recordings[1];
  expect(await statesOf(taken!.messageId)).toEqual(["delivered", "delivered"]);
  expect(await statesOf(refused!.messageId)).toEqual(["queued", "queued"]);
  refuses = false;
  await recordings[0];
  expect(await statesOf(refused!.messageId)).toEqual(["delivered", "delivered"]);
  expect(await database.sql`select 1 from deliveries`).toEqual([]);
});

test("replies that Postgres cannot keep as they are are kept with what they lack replaced", async () => {
  const [one] = await outcomes(1, () => ({
    recipients: [
      { ordinal: 0, state: "bounced", reply: "550 a\0b" },
      { ordinal: 1, state: "bounced", reply: "550 half \ud83d of a pair" },
    ],
    attempt: { host: "mx\0.test" },
    destination: { status: "failed", reply: "421 \0 \udc00", delays: [60] },
  }));
  await new Recorder(queue, log).record(workerId, one!);
  const shown = (await openMessages(database).get(one!.messageId))!;
  expect(shown.recipients.map(({ lastReply }) => lastReply))
    .toEqual(["550 a\ufffdb", "550 half \ufffd of a pair"]);
  expect(shown.events).toContainEqual(expect.objectContaining({ host: "mx\ufffd.test" }));
  const [destination] = await database.sql`
    select failures, last_reply from destinations where next_hop = 'x.test'`;
  expect(destination).toEqual({ failures: 1, last_reply: "421 \ufffd \ufffd" });
});
