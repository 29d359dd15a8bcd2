/** kill -9 at the worst moment: nothing that was accepted is lost, nothing is delivered twice without need. */
import { openDatabase, removeDeadProcesses } from "@postern/store";
import postgres from "postgres";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, subjectOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";

const MESSAGES = 100;

const gateway = new Gateway();
const nextHop = new NextHop();
let sql: postgres.Sql;

beforeAll(async () => {
  await nextHop.start();
  await gateway.start({
    "/v1/relays/internal": {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: nextHop.port }],
      retry: { delays: [1], lifetime: 300 },
    },
    "/v1/domains/relay.test": { relay: "internal" },
  });
  sql = postgres(gateway.databaseUrl, { max: 1, onnotice: () => {} });
});

afterEach(() => {
  nextHop.script = () => undefined;
});

afterAll(async () => {
  await sql?.end();
  await gateway.stop();
  await nextHop.stop();
});

test(`a worker killed amid ${MESSAGES} deliveries loses none`, async () => {
  const ingress = await gateway.startIngress();
  const first = await gateway.startWorker();

  // From the 31st message on, the next hop has the content and keeps its reply to itself.
  const stuck = Promise.withResolvers<void>();
  const goOn = Promise.withResolvers<void>();
  let asked = 0;
  nextHop.script = async (step) => {
    if (step !== "message") return undefined;
    asked += 1;
    if (asked <= 30) return undefined;
    stuck.resolve();
    await goOn.promise;
    return undefined;
  };

  const dialogue = new Dialogue(ingress.port);
  await dialogue.say("EHLO client.test");
  for (let count = 0; count < MESSAGES; count += 1) {
    const content = contentWith(`crash ${count}`);
    queueIdOf(await dialogue.mail("sender@sender.test", [`user${count}@relay.test`], content));
  }
  dialogue.close();

  await stuck.promise;
  await first.kill();
  const inFlight = new Set(nextHop.seen.map(({ content }) => subjectOf(content)));
  const recorded = await sql<{ forward_path: string }[]>`
    select forward_path from recipients where state = 'delivered'`;
  const claimed = await sql`select 1 from deliveries where worker_id is not null`;
  expect(claimed.length).toBeGreaterThan(0);
  expect(recorded.length).toBeLessThan(MESSAGES);
  goOn.resolve();

  // The dead worker's lease runs out, and the ingress takes it for dead; to be quick, now.
  const aged = await sql`
    update processes set seen_at = now() - interval '1 minute'
    where kind = 'worker' and pid = ${first.pid} returning id`;
  expect(aged).toHaveLength(1);
  const database = openDatabase(gateway.databaseUrl, { applicationName: "crash test" });
  await removeDeadProcesses(database);
  await database.close();
  const second = await gateway.startWorker();
  await eventually("all are delivered", async () => {
    const [row] = await sql`select count(*)::int as n from recipients where state <> 'delivered'`;
    return row?.["n"] === 0;
  }, 25);

  const copies = new Map<string, number>();
  for (const { content } of nextHop.seen) {
    copies.set(subjectOf(content), (copies.get(subjectOf(content)) ?? 0) + 1);
  }
  expect(copies.size).toBe(MESSAGES);
  const twice = [...copies].filter(([, count]) => count > 1).map(([subject]) => subject);
  // Twice only what the next hop had in hand, or had taken, before its outcome was committed.
  expect(twice.filter((subject) => !inFlight.has(subject))).toEqual([]);
  const done = new Set(recorded.map((row) => row.forward_path));
  expect(twice.filter((subject) => done.has(`user${subject.split(" ")[1]}@relay.test`))).toEqual(
    [],
  );
  expect(Math.max(...copies.values())).toBeLessThanOrEqual(2);
  const [left] = await sql`select count(*)::int as n from deliveries`;
  expect(left?.["n"]).toBe(0);
  expect(await second.stop()).toBe(0);
  expect(await ingress.stop()).toBe(0);
}, 60_000);

test("an ingress killed while mail comes in has kept every message that got a 250", async () => {
  const ingress = await gateway.startIngress();
  const accepted: string[] = [];
  const enough = Promise.withResolvers<void>();
  const body = "0123456789abcdef\r\n".repeat(2_000);
  const client = async (name: number) => {
    const dialogue = new Dialogue(ingress.port);
    try {
      await dialogue.say("EHLO client.test");
      for (let count = 0; count < 1000; count += 1) {
        const content = contentWith(`killed ${name} ${count}`, body);
        const recipients = [`a${name}@relay.test`, `b${name}@relay.test`];
        accepted.push(queueIdOf(await dialogue.mail("killed@sender.test", recipients, content)));
        if (accepted.length === 60) enough.resolve();
      }
      throw new Error("the ingress was never killed");
    } catch (error) {
      if (!String(error).includes("connection lost")) throw error;
    } finally {
      dialogue.close();
    }
  };
  const clients = Array.from({ length: 8 }, (_, name) => client(name));
  await Promise.race([enough.promise, Promise.all(clients)]);
  await ingress.kill();
  await Promise.all(clients);
  expect(accepted.length).toBeGreaterThanOrEqual(60);

  const rows = await sql`
    select m.id, m.size::int as size,
      (select count(*)::int from recipients r where r.message_id = m.id) as recipients,
      (select count(*)::int from deliveries d where d.message_id = m.id) as deliveries,
      (select sum(length(c.bytes))::int from contents c where c.message_id = m.id) as bytes
    from messages m where m.reverse_path = 'killed@sender.test'`;
  const stored = new Map(rows.map((row) => [row["id"] as string, row]));
  expect(accepted.filter((id) => !stored.has(id))).toEqual([]);
  // What is there is there whole, acknowledged or not.
  for (const row of rows) {
    expect(row).toMatchObject({ recipients: 2, deliveries: 1, bytes: row["size"] });
    expect(row["size"]).toBeGreaterThan(body.length);
  }
});
