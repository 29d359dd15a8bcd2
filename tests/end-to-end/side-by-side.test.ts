/** Several processes of a kind beside each other, and strangers on our port. */
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, subjectOf } from "./dialogue.ts";
import { eventually, freePort } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";

const SESSIONS = 20;
const MESSAGES = 200;

const gateway = new Gateway();
const nextHop = new NextHop();

beforeAll(async () => {
  await nextHop.start();
  await gateway.start({
    "/v1/relays/internal": {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: nextHop.port }],
      retry: { delays: [1], lifetime: 60 },
    },
    "/v1/domains/relay.test": { relay: "internal" },
  });
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

test(`two ingresses on one port and two workers deliver ${MESSAGES} messages once each`, async () => {
  const listen = `smtp://127.0.0.1:${await freePort()}`;
  // One after the other: the second finds the port in use, and by whom.
  const ingresses = [await gateway.startIngress(listen), await gateway.startIngress(listen)];
  const workers = await Promise.all([gateway.startWorker(), gateway.startWorker()]);
  const port = ingresses[0]!.port;
  expect(ingresses[1]!.port).toBe(port);

  await Promise.all(Array.from({ length: SESSIONS }, async (_, session) => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    for (let count = 0; count < MESSAGES / SESSIONS; count += 1) {
      const recipient = `user-${session}-${count}@relay.test`;
      const content = contentWith(`${session}-${count}`);
      queueIdOf(await dialogue.mail("sender@sender.test", [recipient], content));
    }
    expect(await dialogue.say("QUIT")).toMatch(/^221 /);
    dialogue.close();
  }));
  await eventually("all are delivered", () => nextHop.accepted.length >= MESSAGES);
  // Draining, the workers finish what they have: whatever would come twice has come by then.
  for (const process of [...workers, ...ingresses]) expect(await process.stop()).toBe(0);
  expect(nextHop.seen).toHaveLength(MESSAGES);
  expect(new Set(nextHop.seen.map(({ content }) => subjectOf(content))).size).toBe(MESSAGES);
  for (const ingress of ingresses) {
    expect(ingress.log()).toContain('"message received"');
    // The Postgres of the tests is one that forgets.
    expect(ingress.log()).toMatch(/"Postgres cannot be relied on".*fsync is off/);
  }
});

describe("a port that a stranger listens on", () => {
  for (const reusePort of [false, true]) {
    const sharing = reusePort ? "even if it would share it" : "that does not share it";
    test(`ends the ingress with one sentence: ${sharing}`, async () => {
      const stranger = createServer((socket) => socket.destroy());
      await new Promise<void>((resolve) =>
        stranger.listen({ host: "127.0.0.1", port: 0, reusePort }, resolve)
      );
      try {
        const address = stranger.address();
        if (typeof address !== "object" || address === null) throw new Error("no port");
        const exit = await gateway.processes.runToEnd("ingress", {
          DATABASE_URL: gateway.databaseUrl,
          POSTERN_LOG_LEVEL: "error",
          POSTERN_SMTP_LISTEN: `smtp://127.0.0.1:${address.port}`,
        });
        expect(exit).toEqual({
          code: 1,
          stderr: expect.stringMatching(
            new RegExp(
              `^postern ingress: [^\\n]*127\\.0\\.0\\.1:${address.port}[^\\n]*in use[^\\n]*\\n$`,
            ),
          ),
        });
      } finally {
        await new Promise<void>((resolve) => stranger.close(() => resolve()));
      }
    });
  }
});
