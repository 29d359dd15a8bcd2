import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { IdleWatch } from "@postern/process";
import { domainSchema, relaySchema, settingsSchema } from "@postern/config";
import { compile } from "@postern/routing";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Admission } from "./admission.ts";
import { Authenticator } from "./authenticator.ts";
import { serveConnection } from "./connection.ts";
import type { Ingress } from "./gateway-state.ts";
import type { RecipientChecks } from "./recipient-checks.ts";
import type { HandshakeFailure, TlsAcceptor } from "./tls-acceptor.ts";

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
  const asked: (number | "touch" | "end" | { readonly credit: number })[] = [];
  let runOut = () => {};
  return {
    asked,
    /** The limit runs out now. */
    runOut: () => runOut(),
    watch: (onIdle: () => void): IdleWatch => {
      runOut = onIdle;
      return {
        touch: () => void asked.push("touch"),
        credit: (seconds) => void asked.push({ credit: seconds }),
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

/** Serves connections. */
async function serve(
  kind: "smtp" | "smtps",
  clock: ReturnType<typeof stoppedClock>,
  ingress: Ingress,
) {
  const options = { hostname: ingress.hostname, banner: "Postern" };
  const listener = {
    kind,
    url: `${kind}://127.0.0.1:25`,
    options,
    optionsThroughProxy: options,
    clock,
  } as const;
  const sockets: Socket[] = [];
  const gone = { count: 0 };
  const closed = Promise.withResolvers<void>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    serveConnection(socket, listener, ingress, () => {
      gone.count += 1;
      closed.resolve();
    });
  });
  servers.push(server);
  await once(server.listen(0, "127.0.0.1"), "listening");
  return { port: (server.address() as AddressInfo).port, sockets, gone, closed: closed.promise };
}

/** A client of a connection that is served, after the greeting. */
async function converse(clock: ReturnType<typeof stoppedClock>, ingress = plainIngress) {
  const { port, sockets, closed } = await serve("smtp", clock, ingress);
  const client = connect(port, "127.0.0.1");
  const lines = client.setEncoding("latin1")[Symbol.asyncIterator]();
  const reply = async () => (await lines.next()).value as string | undefined;
  expect(await reply()).toBe("220 mx.here.test ESMTP Postern\r\n");
  return {
    served: sockets[0]!,
    closed,
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
  expect(clock.asked).toEqual(["touch", 300, "touch"]);
  clock.runOut();
  expect(await reply()).toBe("421 4.4.2 Timed out waiting for the client\r\n");
  expect(await reply()).toBeUndefined();
  expect(clock.asked.slice(3)).toEqual(["touch", 5]);
  clock.runOut();
  await closed;
  expect(clock.asked.slice(5)).toEqual(["end"]);
});

test("a command is whole before its time-out, however it comes in", async () => {
  const clock = stoppedClock();
  const { served, say, send, reply } = await converse(clock);
  await say("EHLO there.test");
  const before = clock.asked.length;
  for (const part of ["N", "O", "OP"]) {
    send(part);
    await once(served, "data");
  }
  expect(clock.asked.slice(before)).toEqual([]);
  send("\r\n");
  expect(await reply()).toBe("250 2.0.0 Ok\r\n");
  expect(clock.asked.slice(before)).toEqual(["touch"]);
});

test("content puts its time-out off by what it is worth at the least rate", async () => {
  const clock = stoppedClock();
  const { served, say, send, reply } = await converse(clock);
  await say("EHLO there.test");
  const before = clock.asked.length;
  // A chunk that nobody takes is read over.
  send("BDAT 1000 LAST\r\n");
  await once(served, "data");
  expect(clock.asked.slice(before)).toEqual([180]);
  send("x".repeat(250));
  await once(served, "data");
  expect(clock.asked.slice(before)).toEqual([180, { credit: 0.5 }]);
  send("x".repeat(750));
  expect(await reply()).toMatch(/^503 /);
  expect(clock.asked.slice(before + 2)).toEqual([{ credit: 1.5 }, "touch", 300]);
});

test("connections to smtps have a place from the first moment on", async () => {
  const clock = stoppedClock();
  const settings = new Map([[
    "gateway",
    settingsSchema.parse({ smtp: { sessionsPerIngress: 2 } }),
  ]]);
  const handshakes: PromiseWithResolvers<HandshakeFailure>[] = [];
  const tls = {
    accept(socket: Socket) {
      const handshake = Promise.withResolvers<HandshakeFailure>();
      handshakes.push(handshake);
      return handshake.promise.finally(() => socket.destroy());
    },
  } as unknown as TlsAcceptor;
  const admission = new Admission();
  const snapshot = compile({ ...nothing, settings });
  const ingress = { ...plainIngress, admission, snapshot, tls };
  const { port, gone } = await serve("smtps", clock, ingress);
  const clients = [1, 2].map(() => connect(port, "127.0.0.1"));
  await eventually("two handshakes", () => handshakes.length === 2);
  await once(connect(port, "127.0.0.1").resume(), "close");
  expect(handshakes).toHaveLength(2);
  await eventually("one is gone", () => gone.count === 1);
  expect(admission.size).toBe(2);
  handshakes[0]!.resolve({ problem: "no more wanted" });
  await eventually("two are gone", () => gone.count === 2);
  clients.push(connect(port, "127.0.0.1"));
  await eventually("a third handshake", () => handshakes.length === 3);
  for (const client of clients) client.destroy();
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
