/** Destinations leave each other alone: neither a slow one nor a bad message holds others up. */
import { openDatabase } from "@postern/store";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { acceptMany, to } from "../../packages/store/src/testing/mail.ts";
import { contentWith, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";

const gateway = new Gateway();
const slow = new NextHop();
const fast = new NextHop();
let port = 0;

beforeAll(async () => {
  await Promise.all([slow.start(), fast.start()]);
  const relayTo = (hop: NextHop) => ({
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: hop.port }],
    retry: { delays: [1], lifetime: 3600 },
  });
  await gateway.start({
    "/v1/relays/slow": relayTo(slow),
    "/v1/relays/fast": relayTo(fast),
    "/v1/domains/slow.test": { relay: "slow" },
    "/v1/domains/fast.test": { relay: "fast" },
  });
  port = (await gateway.startIngress()).port;
});

afterAll(async () => {
  slow.script = () => undefined;
  await gateway.stop();
  await Promise.all([slow.stop(), fast.stop()]);
});

async function send(recipient: string): Promise<string> {
  return queueIdOf(await sendMail(port, "sender@sender.test", [recipient], contentWith("x")));
}

test("mail for a fast destination does not wait for a slow one with much mail", async () => {
  let go: () => void = () => {};
  const stalled = new Promise<void>((resolve) => go = resolve);
  slow.script = async (step) => {
    if (step === "message") await stalled;
    return undefined;
  };
  for (let index = 0; index < 150; index += 1) await send(`r${index}@slow.test`);
  const worker = await gateway.startWorker();
  await eventually("the slow destination has its sessions", () => slow.seen.length >= 2);
  for (let index = 0; index < 20; index += 1) await send(`r${index}@fast.test`);
  await eventually("the fast one has its mail", () => fast.accepted.length === 20);
  expect(slow.accepted.length).toBe(0);
  go();
  await eventually("the slow one gets all of it", () => slow.accepted.length === 150);
  await worker.stop();
});

test("a rate that is lifted lets what waits for it go", async () => {
  const relay = { kind: "smtp", hosts: [{ host: "127.0.0.1", port: fast.port }] };
  await gateway.put("/v1/relays/rated", { ...relay, limits: { rate: { perHour: 2 } } });
  await gateway.put("/v1/domains/rated.test", { relay: "rated" });
  const worker = await gateway.startWorker();
  const first = await send("r0@rated.test");
  await gateway.message(first, "delivered");
  const waiting = [await send("r1@rated.test"), await send("r2@rated.test")];
  // What comes later and has no limit shows that the others were asked for.
  await gateway.message(await send("later@fast.test"), "delivered");
  expect((await gateway.message(waiting[0]!, "queued")).recipients.length).toBe(1);
  await gateway.put("/v1/relays/rated", relay);
  for (const id of waiting) await gateway.message(id, "delivered");
  await worker.stop();
});

test("a message whose content is gone is set aside and holds nothing up", async () => {
  const [bad, good] = [await send("bad@fast.test"), await send("good@fast.test")];
  const sql = postgres(gateway.databaseUrl, { max: 1, onnotice: () => {} });
  await sql`delete from contents where message_id = ${bad}`;
  await sql.end();
  await gateway.startWorker();
  await gateway.message(good, "delivered");
  const shown = await gateway.message(bad, "held");
  expect(shown.recipients[0]?.lastReply).toMatch(/^451 4\.3\.0 Set aside: .* of content 0 are in/);
  expect(shown.events.at(-1)).toMatchObject({ kind: "held", recipient: "bad@fast.test" });
  expect(fast.acceptedFor("bad@fast.test")).toEqual([]);
});

test("a next hop that answers with NUL and broken UTF-8 is understood, and shown harmlessly", async () => {
  fast.script = (step, { recipients }) =>
    step === "rcpt" && recipients.at(-1)?.startsWith("odd@")
      ? { raw: "550 5.1.1 no\0 such \xff\xc3( user\r\n" }
      : undefined;
  const worker = await gateway.startWorker();
  const [odd, plain] = [await send("odd@fast.test"), await send("plain@fast.test")];
  const shown = await gateway.message(odd, "bounced");
  expect(shown.recipients[0]?.lastReply).toBe("550 5.1.1 no  such \ufffd\ufffd( user");
  await gateway.message(plain, "delivered");
  fast.script = () => undefined;
  await worker.stop();
});

test("next hops that say nothing, however many, hold up no mail for others", async () => {
  const silent = new NextHop();
  silent.script = () => ({ then: "stall" });
  await silent.start();
  const relay = { kind: "smtp", hosts: [{ host: "127.0.0.1", port: silent.port }] };
  const names = Array.from({ length: 80 }, (_, index) => `silent${index}`);
  for (const name of names) await gateway.put(`/v1/relays/${name}`, relay);
  const database = openDatabase(gateway.databaseUrl, { applicationName: "silent next hops" });
  await acceptMany(
    database,
    names.flatMap((name) => Array(20).fill({ recipients: [to("user@silent.test", name)] })),
  );
  await database.close();
  const worker = await gateway.startWorker();
  await eventually("all of them are waited for", () => silent.sessions >= 2 * names.length);
  const sent: string[] = [];
  for (let index = 0; index < 30; index += 1) sent.push(await send(`other${index}@fast.test`));
  for (const id of sent) await gateway.message(id, "delivered");
  await worker.kill();
  await silent.stop();
});
