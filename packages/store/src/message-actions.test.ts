import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import {
  actOnMessage,
  type Database,
  openDatabase,
  openQueue,
  pauseDestination,
  resumeDestination,
} from "./index.ts";
import { accept, outcomeOf, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "message actions test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

test.each([true, false])(
  "what is rerouted keeps the time of a pause (ended: %s)",
  async (ended) => {
    const nextHop = `paused-${ended}.test`;
    const receivedAt = new Date(Date.now() - 10 * 86_400_000);
    const id = await accept(database, [to(`a@${nextHop}`)], { receivedAt });
    const [row] = await database.sql`select id from destinations where next_hop = ${nextHop}`;
    const destination = Number(row?.id);
    await pauseDestination(database, destination);
    await database.sql`
    update destinations set paused_at = now() - interval '9 days' where id = ${destination}`;
    if (ended) await resumeDestination(database, destination);
    await actOnMessage(database, id, {
      action: "reroute",
      author: "admin",
      ways: new Map([
        [`a@${nextHop}`, { destination: to("x@unpaused.test").destination, decision: {} }],
      ]),
    });
    const [delivery] = await database.sql`
    select extract(epoch from now() - waits_from)::float8 / 86400 as days from deliveries
    where message_id = ${id}`;
    expect(delivery?.days).toBeCloseTo(1, 2);
  },
);

test("nothing goes before the time that its sender asked for (RFC 4865)", async () => {
  const dueAt = new Date(Date.now() + 3 * 86_400_000);
  const id = await accept(database, [to("a@later.test"), to("b@later-too.test")], { dueAt });
  const act = (action: "hold" | "release" | "reroute", recipient: string) =>
    actOnMessage(database, id, {
      action,
      author: "admin",
      recipients: [recipient],
      ...(action === "reroute"
        ? {
          ways: new Map([[recipient, {
            destination: to("x@other.test").destination,
            decision: {},
          }]]),
        }
        : {}),
    });
  await act("hold", "a@later.test");
  await act("release", "a@later.test");
  await act("reroute", "b@later-too.test");
  const rows = await database.sql`
    select x.next_hop, d.due_at, d.waits_from from deliveries d join destinations x
      on x.id = d.destination_id where message_id = ${id} order by 1`;
  expect([...rows]).toEqual([
    { next_hop: "later.test", due_at: dueAt, waits_from: dueAt },
    { next_hop: "other.test", due_at: dueAt, waits_from: dueAt },
  ]);
});

test("a release begins the lifetime of who was held anew, and of nobody else", async () => {
  const day = 86_400_000;
  const receivedAt = new Date(Date.now() - 4.9 * day);
  const [held, other, together] = ["held@one.test", "a@other.test", "b@one.test"];
  const recipients = [{ ...to(held), hold: "look" }, to(other)];
  const since = async (id: string) => {
    const rows = await database.sql`
      select x.next_hop, d.waits_from, m.released_at from deliveries d
      join destinations x on x.id = d.destination_id join messages m on m.id = d.message_id
      where d.message_id = ${id} order by 1`;
    expect(rows.every(({ released_at }) => released_at === null)).toBe(true);
    return rows.map(({ next_hop, waits_from }) => {
      return `${next_hop} ${((Date.now() - waits_from.getTime()) / day).toFixed(1)}`;
    });
  };
  const act = (id: string, action: "release" | "reroute", ...paths: readonly string[]) =>
    actOnMessage(database, id, {
      action,
      author: "admin",
      recipients: paths,
      ways: new Map(
        paths.map((path) => [path, {
          destination: to(action === "reroute" ? "@third.test" : path).destination,
          decision: {},
        }]),
      ),
    });

  const id = await accept(database, recipients, { receivedAt });
  await act(id, "release", held);
  expect(await since(id)).toEqual(["one.test 0.0", "other.test 4.9"]);
  // Each takes its lifetime along.
  await act(id, "reroute", other);
  expect(await since(id)).toEqual(["one.test 0.0", "third.test 4.9"]);
  await act(id, "reroute", held);
  expect(await since(id)).toEqual(["third.test 0.0"]);

  // Who goes together has one lifetime.
  const both = await accept(database, [...recipients, to(together)], { receivedAt });
  await act(both, "release", held);
  expect(await since(both)).toEqual(["one.test 0.0", "other.test 4.9"]);
});

describe("nobody joins a delivery that a worker has in hand", () => {
  /** Claims what is due at one destination. */
  async function claimAt(nextHop: string) {
    const workerId = await register(database);
    const [row] = await database.sql`select id from destinations where next_hop = ${nextHop}`;
    const queue = openQueue(database);
    const room = (destination: number) => destination === Number(row?.id) ? 10 : 0;
    return {
      claim: () => queue.claim({ workerId, limit: 10, room }),
      record: (outcome: ReturnType<typeof outcomeOf>) => queue.record(workerId, [outcome]),
    };
  }

  const inTheWay = (recipient: string, state: "held" | "queued") => ({
    status: "refused",
    obstacles: [{ recipient, state, reason: "delivering" }],
  });

  test("by release", async () => {
    const id = await accept(database, [to("a@x.test"), { ...to("b@x.test"), hold: "look" }]);
    const { claim, record } = await claimAt("x.test");
    const [delivery] = await claim();
    const release = () => actOnMessage(database, id, { action: "release", author: "admin" });
    expect(await release()).toEqual(inTheWay("b@x.test", "held"));
    await record(outcomeOf(delivery!));
    expect(await release()).toEqual({ status: "done", recipients: ["b@x.test"] });
    expect((await claim())[0]?.recipients.map(({ forwardPath }) => forwardPath))
      .toEqual(["b@x.test"]);
  });

  test("by rerouting; what is held may go there, as it does not wait yet", async () => {
    const id = await accept(database, [
      to("a@y.test"),
      to("b@z.test"),
      { ...to("c@z.test"), hold: "look" },
    ]);
    const { claim, record } = await claimAt("y.test");
    const [delivery] = await claim();
    const reroute = (path: string) =>
      actOnMessage(database, id, {
        action: "reroute",
        author: "admin",
        recipients: [path],
        ways: new Map([[path, { destination: to("@y.test").destination, decision: {} }]]),
      });
    expect(await reroute("b@z.test")).toEqual(inTheWay("b@z.test", "queued"));
    expect(await reroute("c@z.test")).toEqual({ status: "done", recipients: ["c@z.test"] });
    await record(outcomeOf(delivery!));
    expect(await reroute("b@z.test")).toEqual({ status: "done", recipients: ["b@z.test"] });
    expect((await claim())[0]?.recipients.map(({ forwardPath }) => forwardPath))
      .toEqual(["b@z.test"]);
  });

  test("while the outcome is being recorded", async () => {
    const id = await accept(database, [to("a@w.test"), { ...to("b@w.test"), hold: "look" }]);
    const { claim, record } = await claimAt("w.test");
    const [delivery] = await claim();
    const released = await database.sql.begin(async (tx) => {
      // The outcome is kept waiting in the midst of its statement, and the action behind it.
      await tx`select 1 from deliveries where message_id = ${id} for update`;
      const recorded = record(outcomeOf(delivery!));
      const waiting = async () => {
        const [row] = await database.sql`
          select count(*)::int as count from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`;
        return row?.count as number;
      };
      await eventually("the outcome waits", async () => await waiting() >= 1);
      const release = actOnMessage(database, id, { action: "release", author: "admin" });
      await eventually("the action waits", async () => await waiting() >= 2);
      return { recorded, release };
    });
    await released.recorded;
    expect(await released.release).toEqual({ status: "done", recipients: ["b@w.test"] });
    expect((await claim())[0]?.recipients.length).toBe(1);
  });
});
