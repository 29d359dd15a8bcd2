import { domainSchema } from "@postern/config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import {
  type AcceptedMessage,
  type Database,
  type DeliveryOutcome,
  newQueueId,
  openConfiguration,
  openDatabase,
  openMessages,
  openQueue,
  openSpool,
  PIECE_BYTES,
  registerProcess,
  removeDeadProcesses,
  removeProcess,
} from "./index.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "store test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const claimAll = { limit: 1000 };

function message(changes: Partial<AcceptedMessage> = {}): Omit<AcceptedMessage, "id" | "size"> {
  return {
    receivedAt: new Date(),
    reversePath: "sender@example.org",
    parameters: {},
    session: { helo: "client.test" },
    messageId: "1@example.org",
    configurationVersion: 1,
    recipients: [to("a@one.test", "internal"), to("b@one.test", "internal"), to("c@two.test")],
    ...changes,
  };
}

function to(forwardPath: string, relay = "default") {
  const nextHop = relay === "default" ? forwardPath.slice(forwardPath.indexOf("@") + 1) : "";
  return { forwardPath, parameters: {}, destination: { relay, nextHop }, decision: { relay } };
}

async function accept(content: Uint8Array, changes: Partial<AcceptedMessage> = {}) {
  const id = newQueueId();
  const incoming = openSpool(database).receive(id);
  await incoming.add(content);
  await incoming.commit(message(changes));
  return id;
}

const register = () => registerProcess(database, { kind: "worker", host: "here", pid: 1 });

describe("the spool and the queue", () => {
  test("a message is claimed once per destination, with its recipients and its bytes", async () => {
    const content = new Uint8Array([0, 255, 13, 10, 46, 128]);
    const id = await accept(content);
    const worker = await register();
    const queue = openQueue(database);

    const claimed = await queue.claim({ workerId: worker, ...claimAll });
    const mine = claimed.filter(({ messageId }) => messageId === id)
      .sort((a, b) => a.destination.relay.localeCompare(b.destination.relay));
    expect(mine.map(({ destination, recipients }) => [
      destination,
      recipients.map(({ ordinal, forwardPath }) => [ordinal, forwardPath]),
    ])).toEqual([
      [{ relay: "default", nextHop: "two.test" }, [[2, "c@two.test"]]],
      [{ relay: "internal", nextHop: "" }, [[0, "a@one.test"], [1, "b@one.test"]]],
    ]);
    expect(new Uint8Array(mine[0]!.content!)).toEqual(content);
    expect(mine[0]?.receivedAt).toBeInstanceOf(Date);

    const other = await register();
    expect(await queue.claim({ workerId: other, ...claimAll })).toEqual([]);
    await removeProcess(database, worker);
    expect((await queue.claim({ workerId: other, ...claimAll })).length).toBe(2);
    await removeProcess(database, other);
  });

  test("a claim says by which address a recipient was named", async () => {
    const decision = { relay: "internal", recipient: "sales@one.test" };
    const id = await accept(new Uint8Array([1]), {
      recipients: [{ ...to("a@one.test", "internal"), decision }, to("b@one.test", "internal")],
    });
    const worker = await register();
    const claimed = await openQueue(database).claim({ workerId: worker, ...claimAll });
    const delivery = claimed.find(({ messageId }) => messageId === id)!;
    expect(delivery.recipients.map(({ acceptedAs }) => acceptedAs))
      .toEqual(["sales@one.test", null]);
    await removeProcess(database, worker);
  });

  test("a held recipient has no delivery; its event tells why", async () => {
    const id = await accept(new Uint8Array([1]), {
      recipients: [{ ...to("a@held.test"), hold: "quarantine" }, to("b@held.test")],
    });
    const worker = await register();
    const claimed = await openQueue(database).claim({ workerId: worker, ...claimAll });
    expect(
      claimed.filter(({ messageId }) => messageId === id)
        .flatMap(({ recipients }) => recipients.map(({ forwardPath }) => forwardPath)),
    ).toEqual(["b@held.test"]);
    const detail = (await openMessages(database).get(id))!;
    expect(detail.recipients.map(({ state }) => state)).toEqual(["held", "queued"]);
    expect(detail.events).toContainEqual(
      expect.objectContaining({ kind: "held", recipient: "a@held.test", reason: "quarantine" }),
    );
    await removeProcess(database, worker);
  });

  test("what is for later waits, and its lifetime begins then; priority goes first", async () => {
    const at = new Date();
    const later = new Date(at.getTime() + 3_600_000);
    const past = new Date(at.getTime() - 60_000);
    const recipients = [to("a@ordered.test")];
    const waiting = await accept(new Uint8Array([1]), { recipients, dueAt: later });
    const low = await accept(new Uint8Array([1]), { recipients, parameters: { priority: -3 } });
    const released = await accept(new Uint8Array([1]), { recipients, dueAt: past });
    const high = await accept(new Uint8Array([1]), { recipients, parameters: { priority: 5 } });
    const worker = await register();
    const queue = openQueue(database);
    const claimed: string[] = [];
    for (let again = true; again;) {
      const [one] = await queue.claim({ workerId: worker, limit: 1 });
      again = one !== undefined;
      if (one?.destination.nextHop !== "ordered.test") continue;
      claimed.push(one.messageId);
      if (one.messageId === released) expect(one.lifetimeFrom).toEqual(past);
    }
    expect(claimed).toEqual([high, released, low]);
    expect(claimed).not.toContain(waiting);
    await removeProcess(database, worker);
  });

  test("mail from an ingress whose clock is ahead of that of Postgres does not wait", async () => {
    const ahead = new Date(Date.now() + 120_000);
    const recipients = [to("a@ahead.test")];
    const id = await accept(new Uint8Array([1]), { recipients, receivedAt: ahead });
    const worker = await register();
    const claimed = await openQueue(database).claim({ workerId: worker, ...claimAll });
    expect(claimed.map(({ messageId }) => messageId)).toContain(id);
    await removeProcess(database, worker);
  });

  test("a worker whose clock is behind waits as long as any other one", async () => {
    const id = await accept(new Uint8Array([1]), { recipients: [to("a@behind.test")] });
    const worker = await register();
    const queue = openQueue(database);
    const claimed = await queue.claim({ workerId: worker, ...claimAll });
    const { destinationId } = claimed.find(({ messageId }) => messageId === id)!;
    const at = new Date(Date.now() - 900_000);
    await queue.record(worker, [{
      messageId: id,
      destinationId,
      at,
      recipients: [{ ordinal: 0, state: "deferred", reply: "450 4.2.1 later" }],
      dueAt: new Date(at.getTime() + 300_000),
      attempt: {},
    }]);
    const [row] = await database.sql`
      select extract(epoch from due_at - now())::int as seconds from deliveries
      where message_id = ${id}`;
    expect(row!.seconds).toBeGreaterThan(290);
    expect(row!.seconds).toBeLessThanOrEqual(300);
    await removeProcess(database, worker);
  });

  test("content of any size and kind comes back byte for byte", async () => {
    const anyByte = (index: number) => (index * 31) & 255;
    const sevenBit = (index: number) => 1 + (index * 31) % 127;
    const text = new TextEncoder().encode("\ufeffa line \\ of 11 é\r\n");
    const utf8 = (index: number) => text[index % text.length]!;
    /** Text at first, no text later. */
    const mixed = (index: number) => index < PIECE_BYTES ? 65 : anyByte(index);
    const kinds = [anyByte, sevenBit, utf8, mixed];
    const sizes = [0, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES];
    for (
      const [size, kind] of sizes.flatMap((size) => kinds.map((kind) => [size, kind] as const))
    ) {
      const content = Uint8Array.from({ length: size }, (_, index) => kind(index));
      const id = newQueueId();
      const incoming = openSpool(database).receive(id);
      for (let at = 0; at < size; at += 60_000) {
        await incoming.add(content.subarray(at, at + 60_000));
      }
      await incoming.commit(message());
      const pieces: Uint8Array[] = [];
      for await (const piece of openQueue(database).readContent(id)) pieces.push(piece);
      expect(new Uint8Array(await new Blob(pieces as Uint8Array<ArrayBuffer>[]).arrayBuffer()))
        .toEqual(content);
    }
  });

  test("large contents that come at once are not mixed up, though some are given up", async () => {
    const spool = openSpool(database);
    const size = 3 * PIECE_BYTES + 7;
    const contentOf = (index: number) => new Uint8Array(size).fill(index + 1);
    const ids = await Promise.all(Array.from({ length: 12 }, async (_, index) => {
      const id = newQueueId();
      const incoming = spool.receive(id);
      const content = contentOf(index);
      const given = incoming.add(content.subarray(0, 2 * PIECE_BYTES + 99));
      if (index % 3 === 0) {
        // The client is gone while pieces are being written.
        await Promise.all([given, incoming.discard()]);
        const left = await database.sql`select 1 from contents where message_id = ${id}`;
        expect(left.length).toBe(0);
        return undefined;
      }
      await given;
      await incoming.add(content.subarray(2 * PIECE_BYTES + 99));
      await incoming.commit(message());
      return id;
    }));
    const queue = openQueue(database);
    await Promise.all(ids.map(async (id, index) => {
      if (id === undefined) return;
      let length = 0;
      for await (const piece of queue.readContent(id, size)) {
        length += piece.length;
        expect(piece.every((byte) => byte === index + 1)).toBe(true);
      }
      expect(length).toBe(size);
    }));
  });

  test("messages of many sessions are committed together and none is mixed up", async () => {
    const spool = openSpool(database);
    const ids = await Promise.all(Array.from({ length: 300 }, async (_, index) => {
      const id = newQueueId();
      const incoming = spool.receive(id);
      await incoming.add(new TextEncoder().encode(`content ${index}`));
      await incoming.commit(message({ recipients: [to(`r${index}@many.test`)] }));
      return id;
    }));
    const messages = openMessages(database);
    for (const index of [0, 150, 299]) {
      const { items } = await messages.find({ recipient: `R${index}@many.test`, limit: 5 });
      expect(items.map(({ id }) => id)).toEqual([ids[index]]);
      let text = "";
      const content = await messages.content(ids[index]!) as AsyncIterable<Uint8Array>;
      for await (const piece of content) {
        text += new TextDecoder().decode(piece);
      }
      expect(text).toBe(`content ${index}`);
    }
  });

  test("one message that cannot be stored does not take the others with it", async () => {
    const spool = openSpool(database);
    const attempts = [1, 1.5, 2].map(async (configurationVersion) => {
      const incoming = spool.receive(newQueueId());
      await incoming.commit(message({ configurationVersion }));
    });
    const results = await Promise.allSettled(attempts);
    expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });
});

describe("outcomes", () => {
  const outcomeOf = (
    delivery: { messageId: string; destinationId: number },
    changes: Partial<DeliveryOutcome>,
  ): DeliveryOutcome => ({
    messageId: delivery.messageId,
    destinationId: delivery.destinationId,
    at: new Date(),
    recipients: [],
    dueAt: undefined,
    attempt: { host: "mx.test" },
    ...changes,
  });

  test("some delivered, one deferred: only that one is claimed again, when it is due", async () => {
    const id = await accept(new Uint8Array([1]), {
      recipients: [to("a@partly.test"), to("b@partly.test")],
    });
    const worker = await register();
    const queue = openQueue(database);
    const claim = async () =>
      (await queue.claim({ workerId: worker, ...claimAll })).find((one) => one.messageId === id);
    const delivery = (await claim())!;
    const refused = await queue.record(worker, [outcomeOf(delivery, {
      recipients: [
        { ordinal: 0, state: "delivered", reply: "250 2.0.0 ok" },
        { ordinal: 1, state: "deferred", reply: "450 4.2.1 later" },
      ],
      dueAt: new Date(Date.now() - 1),
    })]);
    expect(refused).toBe(0);
    const again = (await claim())!;
    expect(again.attempts).toBe(1);
    expect(again.recipients.map(({ ordinal }) => ordinal)).toEqual([1]);
    await queue.record(worker, [outcomeOf(again, { dueAt: new Date(Date.now() + 60_000) })]);
    expect(await claim()).toBeUndefined();

    const detail = (await openMessages(database).get(id))!;
    expect(detail.events.map(({ kind }) => kind)).toEqual([
      "received",
      "routed",
      "routed",
      "attempted",
      "delivered",
      "deferred",
      "attempted",
    ]);
    await removeProcess(database, worker);
  });

  test("a recipient's treatment is claimed with it; that its delay was reported is kept", async () => {
    const treatment = {
      reversePath: "SRS0=x@gateway.test",
      sourceRoute: ["b.test"],
      edits: [{ remove: "Subject" }, { add: "X-A", value: "1" }],
    };
    const id = await accept(new Uint8Array([1]), {
      recipients: [{ ...to("a@treated.test"), treatment }, to("b@treated.test")],
    });
    const worker = await register();
    const queue = openQueue(database);
    const claim = async () =>
      (await queue.claim({ workerId: worker, ...claimAll })).find((one) => one.messageId === id)!;
    const delivery = await claim();
    expect(delivery.recipients.map((one) => [one.treatment, one.delayReported]))
      .toEqual([[treatment, false], [{}, false]]);
    const deferred = { state: "deferred", reply: "450 4.2.1 later" } as const;
    const dueAt = new Date(Date.now() - 1);
    await queue.record(worker, [outcomeOf(delivery, {
      recipients: [
        { ordinal: 0, ...deferred, delayReported: true },
        { ordinal: 1, ...deferred },
      ],
      dueAt,
    })]);
    const second = await claim();
    await queue.record(worker, [outcomeOf(second, {
      recipients: [0, 1].map((ordinal) => ({ ordinal, ...deferred })),
      dueAt,
    })]);
    expect((await claim()).recipients.map((one) => one.delayReported)).toEqual([true, false]);
    await removeProcess(database, worker);
  });

  test("a worker that was taken for dead records nothing, and no report of it is sent", async () => {
    const id = await accept(new Uint8Array([1]), { recipients: [to("a@fenced.test")] });
    const queue = openQueue(database);
    const dead = await register();
    const delivery = (await queue.claim({ workerId: dead, ...claimAll }))
      .find(({ messageId }) => messageId === id)!;
    await database.sql`
      update processes set seen_at = now() - interval '31 seconds' where id = ${dead}`;
    expect((await removeDeadProcesses(database)).claims).toBeGreaterThan(0);

    const live = await register();
    const taken = (await queue.claim({ workerId: live, ...claimAll }))
      .find(({ messageId }) => messageId === id);
    expect(taken).toBeDefined();
    const report = newQueueId();
    const late = outcomeOf(delivery, {
      recipients: [{ ordinal: 0, state: "bounced", reply: "550 5.1.1 no" }],
      report: {
        content: new Uint8Array([1]),
        message: { ...message({ recipients: [to("x@y.test")] }), id: report, size: 1 },
      },
    });
    expect(await queue.record(dead, [late])).toBe(1);
    expect((await openMessages(database).get(id))?.recipients[0]?.state).toBe("queued");
    expect(await openMessages(database).get(report)).toBeUndefined();

    expect(await queue.record(live, [late])).toBe(0);
    expect((await openMessages(database).get(id))?.recipients[0]?.state).toBe("bounced");
    expect((await openMessages(database).get(report))?.recipients[0]?.state).toBe("queued");
    await removeProcess(database, live);
  });
});

describe("the configuration", () => {
  const by = { author: "test" };

  test("versions follow each other; references hold; a lost update is refused", async () => {
    const store = openConfiguration(database);
    const before = await store.currentVersion();
    const capture = { kind: "capture" } as const;
    expect(
      await store.apply([{
        kind: "domains",
        name: "x.test",
        body: domainSchema.parse({ relay: "none" }),
      }], by),
    )
      .toMatchObject({ status: "dangling", references: [{ from: { pointer: "/relay" } }] });
    expect(await store.currentVersion()).toBe(before);

    expect(
      await store.apply([
        { kind: "domains", name: "x.test", body: domainSchema.parse({ relay: "keep" }) },
        { kind: "relays", name: "keep", body: capture },
      ], by),
    ).toEqual({ status: "applied", version: before + 1, created: [true, true] });
    expect(await store.apply([{ kind: "relays", name: "keep", body: null }], by))
      .toMatchObject({ status: "inUse", references: [{ from: { name: "x.test" } }] });
    expect(await store.apply([{ kind: "relays", name: "default", body: null }], by))
      .toEqual({ status: "builtIn", name: "default" });
    expect(
      await store.apply([{ kind: "relays", name: "keep", body: capture, expected: before }], by),
    ).toMatchObject({ status: "stale" });
    expect(
      await store.apply([
        { kind: "domains", name: "x.test", body: null },
        { kind: "relays", name: "keep", body: null },
      ], by),
    ).toMatchObject({ status: "applied", version: before + 2 });
    expect((await store.load()).domains.has("x.test")).toBe(false);
  });

  test("of many at once each gets a version of its own", async () => {
    const store = openConfiguration(database);
    const outcomes = await Promise.all(
      Array.from(
        { length: 10 },
        (_, index) =>
          store.apply([{ kind: "relays", name: `r${index}`, body: { kind: "discard" } }], by),
      ),
    );
    const versions = outcomes.map((outcome) => outcome.status === "applied" ? outcome.version : 0);
    expect(new Set(versions).size).toBe(10);
    expect((await store.list("relays", { limit: 3, after: "r4" })).map(({ name }) => name))
      .toEqual(["r5", "r6", "r7"]);
  });
});
