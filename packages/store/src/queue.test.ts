import { v7 } from "uuid";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import {
  type ClaimedDelivery,
  type Database,
  flushDestination,
  keepRegistered,
  openDatabase,
  openMessages,
  openQueue,
  type Queue,
  type QueuePolicy,
  removeDeadProcesses,
  removeProcess,
} from "./index.ts";
import { accept, acceptMany, outcomeOf, register, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "queue test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

/** A worker's queue; `claim` asks for one destination only, so that tests leave each other alone. */
async function worker(policy?: QueuePolicy) {
  const queue = openQueue(database, policy);
  const id = await register(database);
  return {
    id,
    queue,
    claim: async (nextHop: string, count = 1000): Promise<ClaimedDelivery[]> => {
      const only = await destination(nextHop);
      return await queue.claim({
        workerId: id,
        limit: count,
        room: (one) => one === only ? count : 0,
      });
    },
    record: (...outcomes: Parameters<Queue["record"]>[1]) => queue.record(id, outcomes),
  };
}

async function destination(nextHop: string): Promise<number> {
  const [row] = await database.sql`select id from destinations where next_hop = ${nextHop}`;
  return Number(row?.id);
}

async function stateOf(nextHop: string) {
  const [row] = await database.sql`
    select *, extract(epoch from not_before - now())::float8 as wait
    from destinations where next_hop = ${nextHop}`;
  return row!;
}

const many = (count: number, nextHop: string) =>
  Array.from({ length: count }, (_, index) => ({ recipients: [to(`r${index}@${nextHop}`)] }));

const reached = { destination: { status: "reached" } } as const;
const failed = (delays: readonly number[]) => ({
  destination: { status: "failed", reply: "451 4.4.1 Connection refused", delays },
  recipients: [{ ordinal: 0, state: "deferred", reply: "451 4.4.1 Connection refused" }],
  dueAt: new Date(Date.now() - 1),
} as const);

describe("claims", () => {
  test("a huge destination leaves room for all others", async () => {
    await acceptMany(database, many(3000, "huge.test"));
    await acceptMany(
      database,
      Array.from({ length: 50 }, (_, index) => ({
        recipients: [to(`a@small${index}.test`)],
      })),
    );
    const { queue, id } = await worker();
    const claimed = await queue.claim({ workerId: id, limit: 400 });
    const hops = claimed.map(({ destination }) => destination.nextHop);
    expect(hops.filter((hop) => hop.startsWith("small")).length).toBe(50);
    expect(hops.filter((hop) => hop === "huge.test").length).toBeGreaterThanOrEqual(4);
    await queue.record(id, claimed.map((one) => outcomeOf(one)));
  });

  test("two workers that claim at once share the queue and get nothing twice", async () => {
    await acceptMany(database, many(500, "shared.test"));
    const workers = await Promise.all([worker(), worker(), worker()]);
    const got = await Promise.all(workers.map(async ({ claim, record }) => {
      const ids: string[] = [];
      for (let left = 40; left > 0; left -= 1) {
        const claimed = await claim("shared.test", 20);
        ids.push(...claimed.map(({ messageId }) => messageId));
        await record(...claimed.map((one) => outcomeOf(one)));
      }
      return ids;
    }));
    const all = got.flat();
    expect(all.length).toBe(500);
    expect(new Set(all).size).toBe(500);
  });

  test("a worker that hears of new mail claims it; what is due later is looked at then", async () => {
    const { queue, id } = await worker();
    let [wakes, accepted] = [0, 0];
    const work = await queue.onWork(() => wakes += 1, (messages) => accepted += messages);
    const take = async (hop: string) =>
      (await queue.claim({ workerId: id, limit: 1000 }))
        .filter(({ destination }) => destination.nextHop === hop);
    await eventually("it listens", () => wakes > 0);
    expect(accepted).toBe(0);
    await take("heard.test");
    await accept(database, [to("a@heard.test")]);
    const [first] = await eventually("it is heard of", async () => {
      const claimed = await take("heard.test");
      return claimed.length > 0 && claimed;
    });
    await eventually("it is known as accepted", () => accepted > 0);
    expect(accepted).toBe(1);
    await queue.record(id, [outcomeOf(first!, {
      recipients: [{ ordinal: 0, state: "deferred", reply: "450 4.2.0 later" }],
      dueAt: new Date(Date.now() + 300),
    })]);
    expect(await take("heard.test")).toEqual([]);
    expect(queue.untilNextDue()).toBeLessThanOrEqual(300);
    expect(
      (await eventually("it is due", async () => {
        const claimed = await take("heard.test");
        return claimed.length > 0 && claimed;
      })).length,
    ).toBe(1);
    await work.stop();
  });

  test("what has not been due for long enough is left, unless it is urgent", async () => {
    const { queue, id } = await worker();
    const nextHop = "patient.test";
    const take = async (dueFor = 0) => {
      const claimed = await queue.claim({ workerId: id, limit: 1000, dueFor });
      return claimed.filter(({ destination }) => destination.nextHop === nextHop)
        .map(({ recipients }) => recipients[0]?.forwardPath);
    };
    const receivedAt = new Date(Date.now() - 60_000);
    await accept(database, [to(`old@${nextHop}`)], { receivedAt });
    await accept(database, [to(`new@${nextHop}`)]);
    await accept(database, [to(`urgent@${nextHop}`)], { parameters: { priority: 3 } });
    const work = await queue.onWork(() => {});
    expect(new Set(await take(30_000))).toEqual(new Set([`old@${nextHop}`, `urgent@${nextHop}`]));
    expect(await take(30_000)).toEqual([]);
    // No look through the queue is needed to know of what was left.
    expect(queue.untilNextDue()).toBe(0);
    expect(await take()).toEqual([`new@${nextHop}`]);
    await work.stop();
  });

  test("a dead worker's claims go to others, and its outcomes are refused", async () => {
    await acceptMany(database, many(3, "taken-over.test"));
    const dead = await worker();
    const claimed = await dead.claim("taken-over.test");
    expect(claimed.length).toBe(3);
    await database.sql`
      update processes set seen_at = now() - interval '31 seconds' where id = ${dead.id}`;
    expect(await removeDeadProcesses(database)).toMatchObject({ processes: 1, claims: 3 });
    const live = await worker();
    expect((await live.claim("taken-over.test")).length).toBe(3);
    expect(await dead.record(...claimed.map((one) => outcomeOf(one)))).toBe(3);
    expect(await live.record(...claimed.map((one) => outcomeOf(one)))).toBe(0);
  });

  test("what is done of a delivery that goes on is not done again by who takes it over", async () => {
    const recipients = ["a", "b", "c"].map((name) => to(`${name}@part.test`));
    const id = await accept(database, recipients);
    const dead = await worker();
    const [delivery] = await dead.claim("part.test");
    const { recipients: done, ...others } = outcomeOf(delivery!);
    const part = { ...others, recipients: done.slice(0, 1), attempts: 0 };
    expect(await dead.queue.recordPart(dead.id, part)).toBe(true);
    // The claim stays: nobody else gets it, and another attempt's part is none of it.
    const live = await worker();
    expect(await live.claim("part.test")).toEqual([]);
    expect(await dead.queue.recordPart(dead.id, { ...part, attempts: 1 })).toBe(false);
    expect(await live.queue.recordPart(live.id, part)).toBe(false);
    const shown = async () => {
      const message = await openMessages(database).get(id);
      const kinds = message!.events.map(({ kind }) => kind);
      return [
        message!.recipients.map(({ state }) => state),
        kinds.filter((kind) => kind === "attempted").length,
      ];
    };
    expect(await shown()).toEqual([["delivered", "queued", "queued"], 1]);
    await removeProcess(database, dead.id);
    expect(await dead.queue.recordPart(dead.id, part)).toBe(false);
    const [taken] = await live.claim("part.test");
    expect(taken!.recipients.map(({ ordinal }) => ordinal)).toEqual([1, 2]);
    expect(await live.record(outcomeOf(taken!))).toBe(0);
    expect(await shown()).toEqual([["delivered", "delivered", "delivered"], 2]);
  });

  test("an outcome recorded again, its commit unheard of, is not that of the next attempt", async () => {
    await acceptMany(database, many(1, "unheard.test"));
    const one = await worker();
    const [first] = await one.claim("unheard.test");
    const deferred = outcomeOf(first!, { attempts: 0, dueAt: new Date(), recipients: [] });
    expect(await one.record(deferred)).toBe(0);
    const [second] = await one.claim("unheard.test");
    expect(second).toMatchObject({ attempts: 1 });
    expect(await one.record(deferred)).toBe(1);
    // The second claim stands: nobody else gets it, and its own outcome counts.
    const other = await worker();
    expect(await other.claim("unheard.test")).toEqual([]);
    expect(await one.record(outcomeOf(second!, { attempts: 1 }))).toBe(0);
  });

  test("what could not be given back is so before the next claim", async () => {
    const [given] = await acceptMany(database, many(1, "back.test"));
    const { claim, queue, id } = await worker();
    const claimed = await claim("back.test");
    expect(claimed.map(({ messageId }) => messageId)).toEqual([given]);
    const damaged = { messageId: "none", destinationId: claimed[0]!.destinationId };
    await expect(queue.release(id, [...claimed, damaged])).rejects.toThrow("uuid");
    expect((await claim("back.test")).map(({ messageId }) => messageId)).toEqual([given]);
  });

  test("what could not be given back while others were is so before the next claim", async () => {
    const given = await acceptMany(database, many(2, "twice-back.test"));
    const { claim, queue, id } = await worker();
    const [first, second] = await claim("twice-back.test");
    const damaged = { messageId: "none", destinationId: first!.destinationId };
    const fails = (one: ClaimedDelivery) =>
      expect(queue.release(id, [one, damaged])).rejects.toThrow("uuid");
    await fails(first!);
    const claimed: string[] = [];
    const claimMore = async () =>
      claimed.push(...(await claim("twice-back.test")).map(({ messageId }) => messageId));
    const watching = openDatabase(created.url, { applicationName: "watching", connections: 1 });
    let claiming: Promise<unknown> | undefined;
    await database.sql.begin(async (tx) => {
      await tx`select 1 from deliveries where message_id = ${first!.messageId} for update`;
      claiming = claimMore();
      await eventually("the first is being given back", async () => {
        const rows = await watching.sql`
          select 1 from pg_stat_activity
          where datname = current_database() and wait_event_type = 'Lock'`;
        return rows.length > 0;
      });
      await fails(second!);
    });
    await watching.close();
    await claiming;
    await eventually("both are claimed again", async () => {
      await claimMore();
      return claimed.length === 2;
    });
    expect(claimed.sort()).toEqual([...given].sort());
  });

  test("what was claimed under an id that is gone comes free", async () => {
    await acceptMany(database, many(1, "orphaned.test"));
    const one = await worker();
    await database.sql`delete from processes where id = ${one.id}`;
    expect((await one.claim("orphaned.test")).length).toBe(1);
    await removeDeadProcesses(database);
    const other = await worker();
    expect((await other.claim("orphaned.test")).length).toBe(1);
  });

  test("a claim is relied on only while it was renewed lately; a lost id is never held again", async () => {
    let time = 0;
    const registration = await keepRegistered(database, {
      description: { kind: "worker", host: "here", pid: 1 },
      everyMilliseconds: 3_600_000,
      onError: (error) => {
        throw error;
      },
      clock: () => time,
    });
    const { id } = registration;
    time += 24_999;
    expect(registration.holds(id)).toBe(true);
    time += 1;
    expect(registration.holds(id)).toBe(false);
    // Nobody has removed it, though it is late: it goes on, and gives others the time to do so too.
    const late = await worker();
    await database.sql`update processes set seen_at = now() - interval '31 seconds'`;
    expect(await registration.confirmed(id)).toBe(true);
    const rows = await database.sql`select id::int8 from processes`;
    expect(rows.map((row) => Number(row.id))).toEqual(expect.arrayContaining([id, late.id]));

    time += 25_000;
    await database.sql`delete from processes where id = ${id}`;
    expect(await registration.confirmed(id)).toBe(false);
    expect(registration.id).not.toBe(id);
    expect([registration.holds(id), registration.holds(registration.id)]).toEqual([false, true]);
    await registration.stop();
  });

  test("a delivery whose message is gone stalls nothing; looked for in vain it is taken out", async () => {
    const [lost, kept] = await acceptMany(database, many(2, "damaged.test"));
    await database.sql`delete from messages where id = ${lost!}`;
    const { claim } = await worker();
    expect((await claim("damaged.test")).map(({ messageId }) => messageId)).toEqual([kept]);
    const left = () =>
      database.sql`
        select attempts, due_at > now() + interval '50 seconds' as later from deliveries
        where message_id = ${lost!}`;
    expect(await left()).toEqual([{ attempts: 1, later: true }]);
    await database
      .sql`update deliveries set due_at = now(), attempts = 5 where message_id = ${lost!}`;
    expect(await claim("damaged.test")).toEqual([]);
    expect(await left()).toEqual([]);
  });

  test("content that is not all there is an error, not a shorter message", async () => {
    const id = await accept(database, [to("a@short.test")]);
    await database.sql`delete from contents where message_id = ${id}`;
    const read = async () => {
      for await (const _ of openQueue(database).readContent(id, 1)) { /* nothing comes */ }
    };
    await expect(read()).rejects.toThrow("of 1 bytes of content 0 are in the store");
  });
});

describe("a destination that fails as a whole", () => {
  test("its queue waits, one message probes it, success lets all go", async () => {
    await acceptMany(database, many(10, "down.test"));
    const one = await worker();
    const other = await worker();
    const [first, second] = await one.claim("down.test", 2);
    await one.record(outcomeOf(first!, failed([0.05, 100])));
    expect((await stateOf("down.test")).failures).toBe(1);
    // Another that was under way adds nothing.
    await one.record(outcomeOf(second!, failed([0.05, 100])));
    expect((await stateOf("down.test")).failures).toBe(1);

    const probes = await eventually("it may be probed", async () => {
      const claims = await Promise.all([one.claim("down.test"), other.claim("down.test")]);
      return claims.flat().length > 0 && claims;
    });
    expect(probes.flat().length).toBe(1);
    expect(await one.claim("down.test")).toEqual([]);
    const prober = probes[0]!.length > 0 ? one : other;
    await prober.record(outcomeOf(probes.flat()[0]!, failed([0.05, 100])));
    const { failures, wait, last_reply } = await stateOf("down.test");
    expect([failures, last_reply]).toEqual([2, "451 4.4.1 Connection refused"]);
    expect(wait).toBeGreaterThan(95);
    expect(wait).toBeLessThanOrEqual(110);
    expect(await other.claim("down.test")).toEqual([]);

    await database.sql`
      update destinations set not_before = now() where next_hop = 'down.test'`;
    const [probe] = await other.claim("down.test");
    await other.record(outcomeOf(probe!, reached));
    expect(await stateOf("down.test")).toMatchObject({ failures: 0, not_before: null });
    expect((await one.claim("down.test")).length).toBe(9);
  });

  test("a probe that says nothing of the destination is followed by the next one", async () => {
    await acceptMany(database, many(2, "silent.test"));
    const { claim, record, queue, id } = await worker();
    const [first] = await claim("silent.test", 1);
    await record(outcomeOf(first!, failed([0.001])));
    const [probe] = await eventually("it may be probed", async () => {
      const claimed = await claim("silent.test");
      return claimed.length > 0 && claimed;
    });
    await record(outcomeOf(probe!));
    const [next] = await claim("silent.test");
    expect(next).toBeDefined();
    await queue.release(id, [next!]);
    expect((await claim("silent.test")).length).toBe(1);
  });

  test.each(["dies", "stops"])(
    "a worker that has the probe and %s leaves it to others",
    async (way) => {
      const nextHop = `${way}.probe.test`;
      await acceptMany(database, many(1, nextHop));
      await database.sql`update destinations set failures = 3 where next_hop = ${nextHop}`;
      const one = await worker();
      expect((await one.claim(nextHop)).length).toBe(1);
      if (way === "stops") await removeProcess(database, one.id);
      else {
        await database.sql`
        update processes set seen_at = now() - interval '31 seconds' where id = ${one.id}`;
        await removeDeadProcesses(database);
      }
      expect((await (await worker()).claim(nextHop)).length).toBe(1);
    },
  );

  test("it is not probed by a claim that takes nothing of it", async () => {
    await acceptMany(database, [...many(5, "busy.test"), ...many(1, "cut.test")]);
    await database.sql`update destinations set failures = 3 where next_hop = 'cut.test'`;
    const wanted = [await destination("busy.test"), await destination("cut.test")];
    const { queue, id: workerId } = await worker();
    const known = new Map<number, boolean>();
    const claim = async () => {
      const room = (one: number, failing: boolean) => {
        known.set(one, failing);
        return wanted.includes(one) ? 5 : 0;
      };
      const claimed = await queue.claim({ workerId, limit: 5, room });
      return claimed.map(({ destination: { nextHop } }) => nextHop);
    };
    expect(await claim()).toEqual(Array(5).fill("busy.test"));
    expect(wanted.map((one) => known.get(one))).toEqual([false, true]);
    expect((await stateOf("cut.test")).probe_until).toBeNull();
    expect(await claim()).toEqual(["cut.test"]);
    expect((await stateOf("cut.test")).probe_until).not.toBeNull();
  });

  test("a probe that is damaged is followed by the next one", async () => {
    const [lost] = await acceptMany(database, many(1, "lost.test"));
    const [kept] = await acceptMany(database, many(1, "lost.test"));
    await database.sql`update destinations set failures = 3 where next_hop = 'lost.test'`;
    await database.sql`delete from messages where id = ${lost!}`;
    const { claim } = await worker();
    expect(await claim("lost.test")).toEqual([]);
    expect((await claim("lost.test")).map(({ messageId }) => messageId)).toEqual([kept]);
  });

  test("what waits for it is given up when its lifetime is over, but not while it is paused", async () => {
    const old = Date.now() - 3_600_000;
    const aged = { id: v7({ msecs: old }), receivedAt: new Date(old) };
    await acceptMany(database, [
      { ...aged, recipients: [to("a@never.test")] },
      { recipients: [to("b@never.test")] },
    ]);
    const { claim, record, queue, id: workerId } = await worker();
    const never = { lifetime: 1e6, delayNotice: null, isLimited: false };
    const times = { relays: { default: { ...never, lifetime: 1800 } }, others: never };
    const expired = () => queue.claimOverdue({ workerId, limit: 10, times });
    expect(await expired()).toEqual([]);
    const [first] = (await claim("never.test")).filter(({ messageId }) => messageId !== aged.id);
    await record(outcomeOf(first!, failed([1000])));
    await queue.release(workerId, [{ ...first!, messageId: aged.id }]);

    const id = await destination("never.test");
    await database.sql`update destinations set paused_at = now() where id = ${id}`;
    expect(await expired()).toEqual([]);
    await database.sql`update destinations set paused_at = null where id = ${id}`;
    await database.sql`
      insert into destination_pauses values (${id}, now() - interval '50 minutes',
        now() - interval '10 minutes')`;
    expect(await expired()).toEqual([]);
    await database.sql`delete from destination_pauses where destination_id = ${id}`;
    const [given] = await expired();
    expect(given).toMatchObject({ messageId: aged.id, overdue: "lifetime" });
    await record(outcomeOf(given!, {
      recipients: [{ ordinal: 0, state: "bounced", reply: "554 5.4.7 Given up" }],
    }));
    expect((await openMessages(database).get(aged.id))?.recipients[0]?.state).toBe("bounced");
  });
});

test("a claim whose answer is lost takes nothing from another one that is under way", async () => {
  const overdue = await accept(database, [to("a@beside.test")], { receivedAt: new Date(0) });
  const due = await accept(database, [to("a@doubt.test")]);
  const { claim, queue, id: workerId } = await worker();
  await database.sql`update destinations set failures = 1 where next_hop = 'beside.test'`;
  const never = { lifetime: 1e10, delayNotice: null, isLimited: false };
  const times = { relays: { default: { ...never, delayNotice: 1e6 } }, others: never };
  const watching = openDatabase(created.url, { applicationName: "watching", connections: 1 });
  const { look, again } = await database.sql.begin(async (tx) => {
    // What they have marked cannot be read as long as this lasts.
    await tx`lock table messages`;
    const waiting = async (count: number) => {
      const rows = await watching.sql`
        select pid from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'
        order by query_start desc`;
      return rows.length === count && rows[0];
    };
    const look = queue.claimOverdue({ workerId, limit: 10, times });
    await eventually("the look has marked", () => waiting(1));
    const lost = claim("doubt.test").catch(() => "lost");
    const { pid } = await eventually("the claim has marked", () => waiting(2));
    await tx`select pg_terminate_backend(${pid})`;
    expect(await lost).toBe("lost");
    const again = claim("doubt.test");
    // Time enough to give back what is not in hand, for a claim that does not wait for the look.
    for (let turn = 0; turn < 50; turn += 1) await watching.sql`select 1`;
    return { look, again };
  });
  await watching.close();
  expect((await look).map(({ messageId }) => messageId)).toEqual([overdue]);
  expect((await again).map(({ messageId }) => messageId)).toEqual([due]);
  const rows = await database.sql`
    select message_id from deliveries where worker_id = ${workerId} order by 1`;
  expect(rows.map((row) => row.message_id).sort()).toEqual([overdue, due].sort());
});

describe("limits that all workers share", () => {
  test("deliveries at once: between bounds, growing on success, shrinking on failure", async () => {
    await acceptMany(database, many(60, "narrow.test"));
    const limitsOf = () => ({ concurrency: { minimum: 2, maximum: 8 } });
    const one = await worker({ limitsOf });
    const other = await worker({ limitsOf });
    const [mine, theirs] = await Promise.all([
      one.claim("narrow.test"),
      other.claim("narrow.test"),
    ]);
    // Whoever came second passed by, or found no permit left.
    expect(mine.length + theirs.length).toBe(5);
    const holder = mine.length > 0 ? one : other;
    expect(await one.claim("narrow.test")).toEqual([]);

    let held = [...mine, ...theirs];
    for (let round = 0; round < 4; round += 1) {
      await holder.record(...held.map((delivery) => outcomeOf(delivery, reached)));
      held = await holder.claim("narrow.test");
    }
    expect(held.length).toBe(8);

    await holder.record(outcomeOf(held.pop()!, failed([0])));
    expect((await stateOf("narrow.test")).concurrency).toBe(4);
    await holder.record(...held.map((delivery) => outcomeOf(delivery, failed([0]))));
    await database.sql`
      update destinations set failures = 0, not_before = null where next_hop = 'narrow.test'`;
    // It may have found all permits taken, and asks again a little later.
    const next = await eventually("others ask again", async () => {
      const claimed = await other.claim("narrow.test");
      return claimed.length > 0 && claimed;
    });
    expect(next.length).toBe(2);
    await other.record(...next.map((delivery) => outcomeOf(delivery, reached)));
  });

  test("what has a permit to wait for is not overtaken by what is less urgent", async () => {
    const nextHop = "urgent.test";
    const limitsOf = () => ({ concurrency: { minimum: 1, maximum: 1 } });
    const [one, other] = await Promise.all([worker({ limitsOf }), worker({ limitsOf })]);
    await accept(database, [to(`first@${nextHop}`)]);
    const held = await other.claim(nextHop);
    const urgencies = { low: -4, middle: 0, high: 4 };
    for (const [name, priority] of Object.entries(urgencies)) {
      await accept(database, [to(`${name}@${nextHop}`)], { parameters: { priority } });
    }
    // A worker that hears of news looks through the queue no more than now and then.
    const hearing = await one.queue.onWork(() => {});
    try {
      expect(await one.claim(nextHop)).toEqual([]);
      await other.record(...held.map((delivery) => outcomeOf(delivery, reached)));
      const order: string[] = [];
      await eventually("all were claimed", async () => {
        const claimed = await one.claim(nextHop);
        order.push(...claimed.flatMap(({ recipients }) => recipients.map((to) => to.forwardPath)));
        if (claimed.length > 0) {
          await other.queue.record(one.id, claimed.map((each) => outcomeOf(each, reached)));
        }
        return order.length === 3;
      }, 10);
      expect(order.map((path) => path.split("@")[0])).toEqual(["high", "middle", "low"]);
    } finally {
      await hearing.stop();
    }
  });

  test("a rate: two workers together send no more than it allows", async () => {
    await acceptMany(database, many(40, "metered.test"));
    const limitsOf = () => ({ rate: { perSecond: 20 } });
    const workers = await Promise.all([worker({ limitsOf }), worker({ limitsOf })]);
    const times: number[] = [];
    const began = performance.now();
    await Promise.all(workers.map(async ({ claim, record }) => {
      while (times.length < 20) {
        const claimed = await claim("metered.test");
        for (const _ of claimed) times.push(performance.now());
        if (claimed.length > 0) await record(...claimed.map((one) => outcomeOf(one, reached)));
      }
    }));
    // A burst of two, then one each 50 ms.
    expect(performance.now() - began).toBeGreaterThan((times.length - 3) * 50);
    const burst = times.filter((at) => at < times[0]! + 45).length;
    expect(burst).toBeLessThanOrEqual(3);
  });

  test.each(["the worker hears of it", "somebody flushes"])(
    "what a rate keeps back goes when it was lifted and %s",
    async (how) => {
      const nextHop = `${how.length}.lifted.test`;
      await acceptMany(database, many(3, nextHop));
      let limits: ReturnType<QueuePolicy["limitsOf"]> = { rate: { perHour: 2 } };
      const { queue, claim } = await worker({ limitsOf: () => limits });
      const hearing = await queue.onWork(() => {});
      try {
        expect((await claim(nextHop)).length).toBe(1);
        expect(await claim(nextHop)).toEqual([]);
        limits = undefined;
        if (how === "somebody flushes") {
          await flushDestination(database, await destination(nextHop));
        } else queue.limitsChanged();
        const left = await eventually("the others are claimed", async () => {
          const claimed = await claim(nextHop);
          return claimed.length > 0 && claimed;
        });
        expect(left.length).toBe(2);
      } finally {
        await hearing.stop();
      }
    },
  );

  test("a destination without limits is claimed in one statement, its row never written", async () => {
    await acceptMany(database, many(5, "free.test"));
    const before = (await stateOf("free.test")).xmin;
    const { claim, record } = await worker();
    const claimed = await claim("free.test");
    await record(...claimed.map((one) => outcomeOf(one, reached)));
    expect(claimed.length).toBe(5);
    const after = await stateOf("free.test");
    expect([after.xmin, after.concurrency, after.allowance]).toEqual([before, null, null]);
  });
});
