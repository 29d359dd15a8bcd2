import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { IdleWatch } from "@postern/process";
import { domainSchema, relaySchema } from "@postern/config";
import { compile } from "@postern/routing";
import { afterEach, expect, test } from "vitest";
import { Admission } from "./admission.ts";
import { Authenticator } from "./authenticator.ts";
import { serveConnection } from "./connection.ts";
import type { Ingress } from "./gateway-state.ts";
import type { RecipientChecks } from "./recipient-checks.ts";

const none = new Map();
const nothing = {
  version: 1,
  relays: none,
  domains: none,
  clients: none,
  users: none,
  rules: none,
  settings: none,
};
const plainIngress = {
  hostname: "mx.here.test",
  log: { debug() {}, info() {}, warning() {}, error() {} },
  now: () => new Date(),
  admission: new Admission(),
  authenticator: new Authenticator({ secret: new Uint8Array(32), now: () => new Date() }),
  snapshot: compile(nothing),
} as unknown as Ingress;

/** A clock that stands still, and tells what it was asked for. */
function stoppedClock() {
  const asked: (number | "touch" | "end")[] = [];
  let runOut = () => {};
  return {
    asked,
    /** The limit runs out now. */
    runOut: () => runOut(),
    watch: (onIdle: () => void): IdleWatch => {
      runOut = onIdle;
      return {
        touch: () => void asked.push("touch"),
        limit: (seconds) => void asked.push(seconds),
        end: () => void asked.push("end"),
      };
    },
  };
}

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A client of a connection that is served, after the greeting. */
async function converse(clock: ReturnType<typeof stoppedClock>, ingress = plainIngress) {
  const options = { hostname: ingress.hostname, banner: "Postern" };
  const listener = {
    kind: "smtp",
    url: "smtp://127.0.0.1:25",
    options,
    optionsThroughProxy: options,
    clock,
  } as const;
  let served: Socket | undefined;
  const closed = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    served = socket;
    serveConnection(socket, listener, ingress, closed.resolve);
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  const client = connect((server.address() as AddressInfo).port, "127.0.0.1");
  const lines = client.setEncoding("latin1")[Symbol.asyncIterator]();
  const reply = async () => (await lines.next()).value as string | undefined;
  expect(await reply()).toBe("220 mx.here.test ESMTP Postern\r\n");
  return {
    served: served!,
    closed: closed.promise,
    reply,
    send: (text: string) => void client.write(text),
    say: (command: string) => {
      client.write(`${command}\r\n`);
      return reply();
    },
  };
}

test("a client that says nothing for five minutes is told so, and has seconds to close", async () => {
  const clock = stoppedClock();
  const { say, reply, closed } = await converse(clock);
  expect(clock.asked).toEqual(["touch", 300]);
  expect(await say("HELO there.test")).toBe("250 mx.here.test\r\n");
  // What comes and what goes both count as something.
  expect(clock.asked).toEqual(["touch", 300, "touch", "touch"]);
  clock.runOut();
  expect(await reply()).toBe("421 4.4.2 Timed out waiting for the client\r\n");
  expect(await reply()).toBeUndefined();
  expect(clock.asked.slice(4)).toEqual(["touch", 5]);
  clock.runOut();
  await closed;
  expect(clock.asked.slice(6)).toEqual(["end"]);
});

test("replies that are ready go out where the next answer takes long to find", async () => {
  const clock = stoppedClock();
  const answer = Promise.withResolvers<boolean>();
  const asked = Promise.withResolvers<void>();
  const snapshot = compile({
    ...nothing,
    relays: new Map([["r", relaySchema.parse({ kind: "mx" })]]),
    domains: new Map([
      ["d.test", domainSchema.parse({ relay: "r", recipients: { verify: "callout" } })],
      ["e.test", domainSchema.parse({ relay: "r" })],
    ]),
  });
  const recipientChecks = {
    ask() {
      asked.resolve();
      return answer.promise;
    },
  } as unknown as RecipientChecks;
  const { say, send, reply } = await converse(clock, {
    ...plainIngress,
    snapshot,
    recipientChecks,
  });
  await say("EHLO there.test");
  send("MAIL FROM:<a@b.test>\r\nRCPT TO:<u@e.test>\r\nRCPT TO:<u@d.test>\r\nNOOP\r\n");
  await asked.promise;
  expect(clock.asked.at(-1)).toBe(1);
  clock.runOut();
  expect(await reply()).toMatch(/^250 2\.1\.0 .*\r\n250 2\.1\.5 .*\r\n$/);
  // Nothing more is ready.
  clock.runOut();
  answer.resolve(false);
  expect(await reply()).toMatch(/^550 5\.1\.1 .*\r\n250 2\.0\.0 .*\r\n$/);
});

test("a session that ended leaves nothing of itself at its socket", async () => {
  const clock = stoppedClock();
  const { served, say, closed } = await converse(clock);
  expect(await say("QUIT")).toBe("221 2.0.0 Bye\r\n");
  await closed;
  for (const event of ["data", "drain", "end", "close"]) {
    expect(served.listenerCount(event)).toBe(0);
  }
  // But what the runtime has still to say about it ends no process.
  served.emit("error", new Error("late"));
});
