/** What waits behind a destination that fails: its sender hears of it, though it is never tried. */
import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";

const gateway = new Gateway();
const senders = new NextHop();

beforeAll(() => senders.start());

afterAll(async () => {
  await gateway.stop();
  await senders.stop();
});

/** A port on which nobody listens. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as { port: number };
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("the delay is reported once, and the message waits on, never tried", async () => {
  const down = {
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: await closedPort() }],
    retry: { delays: [3600], lifetime: 7200, delayNotice: 1 },
  };
  await gateway.start({
    "/v1/relays/down": down,
    "/v1/relays/senders": { kind: "smtp", hosts: [{ host: "127.0.0.1", port: senders.port }] },
    "/v1/domains/down.test": { relay: "down" },
    "/v1/domains/sender.test": { relay: "senders" },
  });
  const { port } = await gateway.startIngress();
  const send = async (recipient: string) =>
    queueIdOf(await sendMail(port, "anna@sender.test", [recipient], contentWith("x")));
  const tried = await send("tried@down.test");
  const first = await gateway.startWorker();
  await gateway.message(tried, "deferred");
  const waiting = await send("waiting@down.test");
  await first.stop();

  const second = await gateway.startWorker();
  await eventually("both are late", async () => {
    if (senders.accepted.length === 2) return true;
    // Who is not late at its first look would wait for half a minute for the next one.
    await (await gateway.startWorker()).stop();
    return false;
  });
  const shown = await gateway.message(waiting, "deferred");
  expect(shown.events.map(({ kind }) => kind))
    .toEqual(["received", "routed", "delayed", "deferred"]);
  const texts = senders.accepted.map(({ content }) => content.toString());
  expect(texts.filter((text) => text.includes("waiting@down.test")).length).toBe(1);
  expect(texts.every((text) => text.includes("Action: delayed"))).toBe(true);
  await (await gateway.startWorker()).stop();
  expect(senders.accepted.length).toBe(2);
  await second.stop();
});

test("what waits for its turn within a rate, or in a pause, is seen to when its time is over", async () => {
  const hop = { kind: "smtp", hosts: [{ host: "127.0.0.1", port: senders.port }] };
  const slow = {
    ...hop,
    limits: { rate: { perHour: 1 } },
    retry: { delays: [3600], lifetime: 7200, delayNotice: 1 },
  };
  for (
    const [path, body] of Object.entries({
      "/v1/relays/slow": slow,
      "/v1/relays/paused": hop,
      "/v1/domains/slow.test": { relay: "slow" },
      "/v1/domains/paused.test": { relay: "paused" },
    })
  ) await gateway.put(path, body);
  const { port } = await gateway.startIngress();
  const send = async (recipient: string, parameters = "") => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    await dialogue.say(`MAIL FROM:<anna@sender.test>${parameters}`);
    await dialogue.say(`RCPT TO:<${recipient}>`);
    await dialogue.say("DATA");
    const reply = await dialogue.say(`${contentWith("x")}.`);
    dialogue.close();
    return queueIdOf(reply);
  };
  const worker = await gateway.startWorker();
  await gateway.message(await send("first@slow.test"), "delivered");
  await gateway.message(await send("first@paused.test"), "delivered");
  const { items } = await gateway.get<{ items: { id: number; relay: string }[] }>(
    "/v1/destinations?relay=paused",
  );
  await gateway.request("POST", `/v1/destinations/${items[0]!.id}/pause`);
  const late = await send("late@slow.test");
  const over = [await send("a@slow.test", " BY=1;R"), await send("a@paused.test", " BY=1;R")];
  await worker.stop();
  await eventually("all are seen to", async () => {
    await (await gateway.startWorker()).stop();
    const { events } = await gateway.message(late, "queued", "deferred");
    return events.some(({ kind }) => kind === "delayed");
  });
  for (const id of over) await gateway.message(id, "bounced");
});
