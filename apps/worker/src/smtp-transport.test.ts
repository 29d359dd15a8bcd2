import type { Relay } from "@postern/config";
import { reverseOf } from "@postern/message";
import { readFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { SmtpTransport } from "./smtp-transport.ts";
import { deliveryOf, relayOf, type TestDelivering, testDelivering } from "./testing/delivering.ts";
import { Peer, type PeerManner } from "./testing/peer.ts";

const peers: Peer[] = [];
const transports: SmtpTransport[] = [];

afterEach(async () => {
  for (const transport of transports.splice(0)) transport.close();
  for (const peer of peers.splice(0)) await peer.stop();
});

async function peerWith(manner: PeerManner = {}): Promise<Peer> {
  const peer = await new Peer(manner).start();
  peers.push(peer);
  return peer;
}

function transportFor(delivering: TestDelivering): SmtpTransport {
  const transport = new SmtpTransport(delivering);
  transports.push(transport);
  return transport;
}

type SmtpRelay = Extract<Relay, { kind: "smtp" }>;

const to = (peer: Peer, more: Record<string, unknown> = {}): SmtpRelay =>
  relayOf({ kind: "smtp", hosts: [{ host: "127.0.0.1", port: peer.port }], ...more });

/** One delivery by a transport of its own. */
async function deliver(
  relay: SmtpRelay,
  delivery: ReturnType<typeof deliveryOf>,
  delivering = testDelivering(),
) {
  return await transportFor(delivering).deliver(delivery, relay);
}

const replies = ({ verdicts }: { verdicts: readonly { status: string; reply: string }[] }) =>
  verdicts.map(({ status, reply }) => `${status} ${reply}`);

describe("copies", () => {
  test("recipients treated alike share a transaction; each copy has its own header and size", async () => {
    const peer = await peerWith({ offers: ["PIPELINING", "SIZE"] });
    const edits = [{ remove: "Subject" }, { add: "X-Copy", value: "two" }];
    const attempt = await deliver(
      to(peer),
      deliveryOf([
        "a@example.com",
        { forwardPath: "b@example.com", treatment: { edits } },
        "c@example.com",
        { forwardPath: "d@example.com", treatment: { edits } },
        { forwardPath: "e@example.com", treatment: { reversePath: "@us.test:x@example.org" } },
        { forwardPath: "f@example.com", treatment: { sourceRoute: ["b.test", "c.test"] } },
      ]),
    );
    expect(attempt.verdicts.map(({ ordinal, status }) => [ordinal, status]).sort()).toEqual(
      [0, 1, 2, 3, 4, 5].map((ordinal) => [ordinal, "delivered"]),
    );
    const plain = "Subject: test\r\n\r\nHello\r\n";
    const edited = "X-Copy: two\r\n\r\nHello\r\n";
    expect(peer.messages.map(({ mail, rcpts, content }) => [mail, rcpts, content])).toEqual([
      [
        `MAIL FROM:<sender@example.org> SIZE=${plain.length}`,
        ["RCPT TO:<a@example.com>", "RCPT TO:<c@example.com>"],
        plain,
      ],
      [
        `MAIL FROM:<sender@example.org> SIZE=${edited.length}`,
        ["RCPT TO:<b@example.com>", "RCPT TO:<d@example.com>"],
        edited,
      ],
      [
        `MAIL FROM:<@us.test:x@example.org> SIZE=${plain.length}`,
        ["RCPT TO:<e@example.com>"],
        plain,
      ],
      [
        `MAIL FROM:<sender@example.org> SIZE=${plain.length}`,
        ["RCPT TO:<@b.test,@c.test:f@example.com>"],
        plain,
      ],
    ]);
    expect(peer.sessions).toHaveLength(1);
  });

  test("content in the store is edited as it streams", async () => {
    const peer = await peerWith({ offers: ["SIZE"] });
    const delivering = testDelivering();
    const text = `Subject: old\r\nX-Old: ${"x".repeat(5000)}\r\n\r\n${"body\r\n".repeat(50_000)}`;
    const bytes = new TextEncoder().encode(text);
    const pieces = [0, 1, 2, 3].map((n) => bytes.subarray(n * 100_000, (n + 1) * 100_000));
    const delivery = deliveryOf(
      [{ forwardPath: "a@example.com", treatment: { edits: [{ remove: "X-Old" }] } }],
      { content: undefined, size: bytes.length },
    );
    delivering.stored.set(delivery.messageId, pieces);
    await deliver(to(peer), delivery, delivering);
    const expected = text.replace(/X-Old: x+\r\n/, "");
    expect(peer.messages[0]!.content).toBe(expected);
    expect(peer.messages[0]!.mail).toContain(`SIZE=${expected.length}`);
  });
});

describe("transactions", () => {
  test("recipients go in transactions of as many as the relay says", async () => {
    const peer = await peerWith();
    const many = Array.from({ length: 5 }, (_, n) => `r${n}@example.com`);
    const attempt = await deliver(
      to(peer, { limits: { recipientsPerMessage: 2 } }),
      deliveryOf(many),
    );
    expect(attempt.verdicts.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 3, 4]);
    expect(peer.messages.map(({ rcpts }) => rcpts.length)).toEqual([2, 2, 1]);
    expect(peer.sessions).toHaveLength(1);
  });

  test.each([[["LIMITS RCPTMAX=3"], "LIMITS"], [[], "452"]])(
    "recipients beyond what the next hop takes (%j %s) follow at once",
    async (offers, how) => {
      const peer = await peerWith({
        offers,
        answer: (line, { lines }) => {
          if (how !== "452" || !line.startsWith("RCPT")) return undefined;
          const since = lines.slice(lines.findLastIndex((one) => one.startsWith("MAIL")));
          return since.filter((one) => one.startsWith("RCPT")).length > 3
            ? "452 4.5.3 Too many recipients"
            : undefined;
        },
      });
      const many = Array.from({ length: 8 }, (_, n) => `r${n}@example.com`);
      const attempt = await deliver(to(peer), deliveryOf(many));
      expect(attempt.verdicts.every(({ status }) => status === "delivered")).toBe(true);
      expect(peer.messages.map(({ rcpts }) => rcpts.length)).toEqual([3, 3, 2]);
      expect(peer.sessions).toHaveLength(1);
    },
  );

  test("one recipient refused, one put off, one taken", async () => {
    const peer = await peerWith({
      answer: (line) =>
        line.includes("<no@")
          ? "550 5.1.1 No"
          : line.includes("<busy@")
          ? "450 4.2.1 Busy"
          : undefined,
    });
    expect(
      replies(await deliver(to(peer), deliveryOf(["no@x.test", "busy@x.test", "yes@x.test"]))),
    ).toEqual(["never 550 5.1.1 No", "later 450 4.2.1 Busy", "delivered 250 2.0.0 Taken"]);
  });

  test("a lost connection after the content is recorded as in doubt", async () => {
    const peer = await peerWith({ answer: (line) => line === "message" ? "cut" : undefined });
    const [reply] = replies(await deliver(to(peer), deliveryOf(["a@x.test"])));
    expect(reply).toMatch(/^later 451 4\.4\.2 .*in doubt/);
  });
});

describe("sessions", () => {
  test("are kept for the next delivery, and used for so many messages", async () => {
    const peer = await peerWith();
    const relay = to(peer, { limits: { messagesPerConnection: 2 } });
    const transport = transportFor(testDelivering());
    for (let n = 0; n < 5; n++) await transport.deliver(deliveryOf(["a@x.test"]), relay);
    expect(peer.messages.map(({ session }) => session)).toEqual([0, 0, 1, 1, 2]);
  });

  test("a kept session that is over is replaced without a word about the message", async () => {
    const peer = await peerWith();
    const relay = to(peer);
    const transport = transportFor(testDelivering());
    await transport.deliver(deliveryOf(["a@x.test"]), relay);
    peer.manner = {
      answer: (line, session) =>
        line.startsWith("MAIL") && session === peer.sessions[0] ? "421 4.4.2 Idle" : undefined,
    };
    const attempt = await transport.deliver(deliveryOf(["a@x.test"]), relay);
    expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
    expect(peer.messages.map(({ session }) => session)).toEqual([0, 1]);
  });

  test("that were opened for another definition of the relay are not used", async () => {
    const peer = await peerWith();
    const transport = transportFor(testDelivering());
    await transport.deliver(deliveryOf(["a@x.test"]), to(peer));
    await transport.deliver(deliveryOf(["a@x.test"]), to(peer));
    await transport.deliver(deliveryOf(["a@x.test"]), to(peer, { ehloName: "other.test" }));
    expect(peer.messages.map(({ session }) => session)).toEqual([0, 0, 1]);
    expect(peer.sessions.map(({ lines }) => lines[0])).toEqual([
      "EHLO gateway.test",
      "EHLO other.test",
    ]);
  });
});

describe("sessions that end", () => {
  test("one that says how many messages it takes (RFC 9422) takes no more", async () => {
    const peer = await peerWith({ offers: ["LIMITS MAILMAX=2"] });
    const transport = transportFor(testDelivering());
    for (let count = 0; count < 5; count += 1) {
      const attempt = await transport.deliver(deliveryOf(["a@x.test"]), to(peer));
      expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
    }
    const recipients = ["a@x.test", "b@x.test", "c@x.test", "d@x.test"];
    const relay = to(peer, { limits: { recipientsPerMessage: 1 } });
    const attempt = await transportFor(testDelivering()).deliver(deliveryOf(recipients), relay);
    expect(replies(attempt)).toEqual(Array(4).fill("delivered 250 2.0.0 Taken"));
    expect(peer.sessions).toHaveLength(3 + 2);
  });

  test("one that was used again for five minutes makes way for another one", async () => {
    const peer = await peerWith();
    const delivering = testDelivering();
    const transport = transportFor(delivering);
    const relay = to(peer, { limits: { idleSeconds: 60 } });
    for (let minute = 0; minute < 8; minute += 1) {
      await transport.deliver(deliveryOf(["a@x.test"]), relay);
      delivering.time += 60_000;
    }
    expect(peer.messages.map(({ session }) => session)).toEqual([0, 0, 0, 0, 0, 0, 1, 1]);
  });

  test("one that refuses RSET takes no more", async () => {
    const peer = await peerWith({
      answer: (line) =>
        line === "RSET" ? "502 5.5.1 What?" : line.includes("<no") ? "550 5.1.1 No" : undefined,
    });
    const transport = transportFor(testDelivering());
    const refused = await transport.deliver(deliveryOf(["no@x.test"]), to(peer));
    const taken = await transport.deliver(deliveryOf(["a@x.test"]), to(peer));
    expect([...replies(refused), ...replies(taken)])
      .toEqual(["never 550 5.1.1 No", "delivered 250 2.0.0 Taken"]);
  });

  test("one that was kept and ends says nothing of what was not offered to it, either", async () => {
    const peer = await peerWith({ offers: ["LIMITS RCPTMAX=2"] });
    const transport = transportFor(testDelivering());
    await transport.deliver(deliveryOf(["a@x.test"]), to(peer));
    peer.manner.answer = (line, session) =>
      session === peer.sessions[0] && line.startsWith("MAIL") ? "421 4.4.2 Idle" : undefined;
    const recipients = ["a@x.test", "b@x.test", "c@x.test", "bad\u0001@x.test"];
    expect(replies(await transport.deliver(deliveryOf(recipients), to(peer)))).toEqual([
      ...Array(3).fill("delivered 250 2.0.0 Taken"),
      expect.stringMatching(/^never 553 5\.1\.3 /),
    ]);
  });

  test("one whose peer does not read is closed when its time is over", async () => {
    const open: Socket[] = [];
    const server = createServer((socket) => {
      open.push(socket);
      const replies = ["220 x", "250 x", "250 x", "250 x", "354 x"];
      socket.write(`${replies.shift()}\r\n`);
      socket.on("error", () => {});
      socket.on("data", () => {
        if (replies.length > 0) socket.write(`${replies.shift()}\r\n`);
        if (replies.length === 0) socket.pause();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const hosts = [{ host: "127.0.0.1", port }];
    const relay = relayOf({ kind: "smtp", hosts, timeouts: { content: 1 } });
    const text = `\r\n${"x".repeat(70)}\r\n`.repeat(150_000);
    const attempt = await deliver(relay, deliveryOf(["a@x.test"], { text }));
    expect(replies(attempt)[0]).toMatch(/^later 451 4\.4\.2 .*timed out/);
    await eventually("no process has its end of the connection", async () => {
      const lines = (await readFile("/proc/net/tcp", "utf8")).split("\n").slice(1);
      const ends = lines.map((line) => line.trim().split(/\s+/))
        .filter(([, , remote]) => remote?.endsWith(`:${port.toString(16).toUpperCase()}`));
      return ends.every((fields) => fields[9] === "0");
    });
    for (const socket of open) socket.destroy();
    server.close();
  });

  test("one whose peer drips its reply has no more time for it", async () => {
    const server = createServer((socket) => {
      const timer = setInterval(() => socket.write("2"), 50);
      socket.on("error", () => {}).on("close", () => clearInterval(timer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as { port: number };
    const hosts = [{ host: "127.0.0.1", port }];
    const relay = relayOf({ kind: "smtp", hosts, timeouts: { command: 1 } });
    expect(replies(await deliver(relay, deliveryOf(["a@x.test"])))[0])
      .toMatch(/^later 451 4\.4\.2 Connection timed out \(waiting for the greeting\)/);
    server.close();
  });
});

test("what is delivered stays so when the content of the rest cannot be read", async () => {
  const peer = await peerWith();
  const delivering = testDelivering();
  let reads = 0;
  const away = Object.assign(new Error("gone"), { code: "CONNECTION_CLOSED" });
  const queue = {
    async *readContent() {
      // Read to see whether it is 7-bit, and to send it: the second time for the second recipient.
      if (++reads > 2) throw away;
      yield new TextEncoder().encode("Subject: x\r\n\r\nHello\r\n");
    },
  };
  const transport = transportFor({ ...delivering, queue: queue as never });
  const delivery = deliveryOf(["a@x.test", "b@x.test"], { content: undefined, size: 22 });
  const attempt = await transport.deliver(
    delivery,
    to(peer, { limits: { recipientsPerMessage: 1 } }),
  );
  expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
  expect(attempt.error).toBe(away);
});

describe("hosts", () => {
  test("are tried in order; one that is down is tried last for a while", async () => {
    const down = await peerWith();
    await down.stop();
    const [busy, up] = [await peerWith({ answer: () => "421 4.3.2 Busy" }), await peerWith()];
    const hosts = [down, busy, up].map(({ port }) => ({ host: "127.0.0.1", port }));
    const relay = to(up, { hosts });
    const delivering = testDelivering();
    const first = await deliver(relay, deliveryOf(["a@x.test"]), delivering);
    expect(first.facts).toMatchObject({
      host: "127.0.0.1",
      port: up.port,
      tried: [
        { host: "127.0.0.1", reply: expect.stringMatching(/^451 4\.4\.1 .*connection refused/) },
        { host: "127.0.0.1", reply: "421 4.3.2 Busy" },
      ],
    });
    const second = await deliver(relay, deliveryOf(["a@x.test"]), delivering);
    expect(second.facts.tried).toEqual([
      { host: "127.0.0.1", address: "127.0.0.1", port: busy.port, reply: "421 4.3.2 Busy" },
    ]);
  });

  test("no more than so many in one attempt; that none will is the destination's failure", async () => {
    const busy = await peerWith({ answer: () => "421 4.3.2 Busy" });
    const hosts = [1, 2, 3].map(() => ({ host: "127.0.0.1", port: busy.port }));
    const attempt = await deliver(
      to(busy, { hosts, limits: { hostsPerAttempt: 2 } }),
      deliveryOf(["a@x.test", "b@x.test"]),
    );
    expect(replies(attempt)).toEqual(["later 421 4.3.2 Busy", "later 421 4.3.2 Busy"]);
    expect(attempt.destinationFailure).toBe("421 4.3.2 Busy");
    expect(busy.sessions).toHaveLength(2);
  });

  test("5yz from all of them is final and says nothing about other mail", async () => {
    const closed = await peerWith({ answer: () => "554 5.3.2 No service here" });
    const attempt = await deliver(to(closed), deliveryOf(["a@x.test"]));
    expect(replies(attempt)).toEqual(["never 554 5.3.2 No service here"]);
    expect(attempt.verdicts[0]!.place).toMatchObject({ host: "127.0.0.1", port: closed.port });
    expect(attempt.destinationFailure).toBeUndefined();
  });

  test("5yz is not final while there is a host that nobody asked", async () => {
    const closed = await peerWith({ answer: () => "554 5.3.2 No service here" });
    const hosts = [closed, await peerWith()].map(({ port }) => ({ host: "127.0.0.1", port }));
    const relay = to(closed, { hosts, limits: { hostsPerAttempt: 1 } });
    expect(replies(await deliver(relay, deliveryOf(["a@x.test"]))))
      .toEqual(["later 554 5.3.2 No service here"]);
  });

  test("nor while there is one that could not be looked up", async () => {
    const closed = await peerWith({ answer: () => "554 5.3.2 No service here" });
    const hosts = [{ host: "127.0.0.1", port: closed.port }, { host: "unknown.test" }];
    expect(replies(await deliver(to(closed, { hosts }), deliveryOf(["a@x.test"]))))
      .toEqual(["later 451 4.4.4 No address found for unknown.test"]);
  });

  test.each(["554 5.3.2 No service here", "421 4.3.2 Busy", "cut"])(
    "an address that says %j makes way for the next one",
    async (greeting) => {
      const open = await new Peer({}, "127.0.0.2").start();
      const closed = new Peer({ answer: () => greeting });
      closed.port = open.port;
      peers.push(open, await closed.start());
      const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1", "127.0.0.2"] } });
      const relay = to(open, { hosts: [{ host: "mx.test", port: open.port }] });
      const attempt = await deliver(relay, deliveryOf(["a@x.test"]), delivering);
      expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
      expect(attempt.facts.address).toBe("127.0.0.2");
    },
  );

  test.each([
    ["MAIL", "452 4.3.1 Disk full"],
    ["MAIL", "421 4.3.2 Shutting down"],
    ["MAIL", "cut"],
    ["RCPT", "450 4.2.0 Greylisted"],
    ["DATA", "451 4.3.0 Not now"],
    ["message", "451 4.7.1 The scanner is away"],
  ])("what one does not take at %s (%s) the next one gets", async (step, answer) => {
    const first = await peerWith({ answer: (line) => line.startsWith(step) ? answer : undefined });
    const second = await peerWith();
    const hosts = [first, second].map(({ port }) => ({ host: "127.0.0.1", port }));
    const attempt = await deliver(to(first, { hosts }), deliveryOf(["a@x.test", "b@x.test"]));
    expect(replies(attempt)).toEqual(Array(2).fill("delivered 250 2.0.0 Taken"));
    expect(attempt.facts).toMatchObject({ port: second.port, tried: [{ port: first.port }] });
    expect([first.sessions.length, second.sessions.length]).toEqual([1, 1]);
  });

  test("only those recipients that one does not take; each verdict says whose it is", async () => {
    const first = await peerWith({
      answer: (line) =>
        line.includes("grey") && line.startsWith("RCPT")
          ? "450 4.2.0 Greylisted"
          : line.includes("<no")
          ? "550 5.1.1 No"
          : undefined,
    });
    const second = await peerWith({
      answer: (line) => line.startsWith("RCPT") ? "451 4.2.0 Greylisted here, too" : undefined,
    });
    const hosts = [first, second].map(({ port }) => ({ host: "127.0.0.1", port }));
    const recipients = ["a@x.test", "grey@x.test", "no@x.test"];
    const attempt = await deliver(to(first, { hosts }), deliveryOf(recipients));
    expect(replies(attempt)).toEqual([
      "delivered 250 2.0.0 Taken",
      "later 451 4.2.0 Greylisted here, too",
      "never 550 5.1.1 No",
    ]);
    expect(attempt.verdicts.map(({ place }) => place?.port))
      .toEqual([first.port, second.port, first.port]);
    expect(attempt.destinationFailure).toBeUndefined();
  });

  test("what each one does not take goes on from there, whoever has the others", async () => {
    const asked = (line: string, who: string) => line.startsWith(`RCPT TO:<${who}`);
    const first = await peerWith();
    first.manner.answer = (line) => {
      if (asked(line, "a")) return "450 4.2.0 The first says not now";
      return line === "connect" && first.sessions.length > 1 ? "421 4.3.2 Full" : undefined;
    };
    const second = await peerWith({
      answer: (line) => asked(line, "b") ? "450 4.2.0 The second says not now" : undefined,
    });
    const third = await peerWith();
    const hosts = [first, second, third].map(({ port }) => ({ host: "127.0.0.1", port }));
    const limits = { recipientsPerMessage: 1, messagesPerConnection: 1 };
    const attempt = await deliver(
      to(first, { hosts, limits }),
      deliveryOf(["a@x.test", "b@x.test", "c@x.test"]),
    );
    expect(replies(attempt)).toEqual(Array(3).fill("delivered 250 2.0.0 Taken"));
    expect(attempt.verdicts.map(({ place }) => place?.port))
      .toEqual([second.port, third.port, second.port]);
    expect(attempt.facts.tried?.map(({ port, reply }) => [port, reply])).toEqual([
      [first.port, "421 4.3.2 Full"],
      [first.port, "450 4.2.0 The first says not now"],
      [second.port, "450 4.2.0 The second says not now"],
    ]);
    const rcpts = ({ said }: Peer) => said.filter((line) => line.startsWith("RCPT"));
    expect(rcpts(second)).toHaveLength(3);
    expect(rcpts(third)).toHaveLength(1);
  });

  test("the next message is for the first one again", async () => {
    const first = await peerWith({
      answer: (line) => line.includes("<grey") ? "450 4.2.0 Greylisted" : undefined,
    });
    const second = await peerWith();
    const hosts = [first, second].map(({ port }) => ({ host: "127.0.0.1", port }));
    const transport = transportFor(testDelivering());
    await transport.deliver(deliveryOf(["grey@x.test"]), to(first, { hosts }));
    const { facts } = await transport.deliver(deliveryOf(["a@x.test"]), to(first, { hosts }));
    expect(facts.port).toBe(first.port);
    expect([first.sessions.length, second.sessions.length]).toEqual([1, 1]);
  });

  test("what may have been accepted is not offered to the next one", async () => {
    const first = await peerWith({ answer: (line) => line === "message" ? "cut" : undefined });
    const second = await peerWith();
    const hosts = [first, second].map(({ port }) => ({ host: "127.0.0.1", port }));
    const attempt = await deliver(to(first, { hosts }), deliveryOf(["a@x.test"]));
    expect(replies(attempt)[0]).toMatch(/^later .*in doubt/);
    expect(second.sessions).toHaveLength(0);
  });

  test("what a host said counts more than that the next one is not there", async () => {
    const busy = await peerWith({
      answer: (line) => line.startsWith("MAIL") ? "452 4.3.1 Disk full" : undefined,
    });
    const down = await peerWith();
    await down.stop();
    const hosts = [busy, down].map(({ port }) => ({ host: "127.0.0.1", port }));
    const attempt = await deliver(to(busy, { hosts }), deliveryOf(["a@x.test"]));
    expect(replies(attempt)).toEqual(["later 452 4.3.1 Disk full"]);
    expect(attempt.destinationFailure).toBeUndefined();
    expect(attempt.facts).toMatchObject({ port: busy.port, tried: [{}, { port: down.port }] });
  });

  test("an address that does not answer makes way for the next one", async () => {
    const peer = await peerWith();
    // The second, which comes first by this chance, refuses at once: nothing listens there.
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1", "127.0.0.9"] } });
    const relay = to(peer, { hosts: [{ host: "mx.test", port: peer.port }] });
    const { facts } = await deliver(relay, deliveryOf(["a@x.test"]), delivering);
    expect(facts).toMatchObject({ host: "mx.test", address: "127.0.0.1" });
  });

  test("are connected to from the source address", async () => {
    const peer = await peerWith();
    const wrong = to(peer, { sourceAddress: "::1" });
    expect(replies(await deliver(wrong, deliveryOf(["a@x.test"])))[0])
      .toMatch(/^later 451 4\.4\.1 .*no address of the family of ::1/);
    const right = to(peer, { sourceAddress: "127.0.0.5" });
    expect(replies(await deliver(right, deliveryOf(["a@x.test"])))).toEqual([
      "delivered 250 2.0.0 Taken",
    ]);
  });

  test("are not avoided where nobody tried to connect to them", async () => {
    const [first, second] = [await peerWith(), await peerWith()];
    const hosts = [first, second].map(({ port }) => ({ host: "127.0.0.1", port }));
    const delivering = testDelivering();
    await deliver(to(first, { hosts, sourceAddress: "::1" }), deliveryOf(["a@x.test"]), delivering);
    const { facts } = await deliver(to(first, { hosts }), deliveryOf(["a@x.test"]), delivering);
    expect(facts.port).toBe(first.port);
  });
});

test.each([["connect", true], ["EHLO", true], ["MAIL", false], ["RCPT", false], [
  "message",
  false,
]])(
  "a reply that makes no sense at %s is told in our words, not as the next hop's",
  async (step, isBeforeAll) => {
    const peer = await peerWith({
      answer: (line) => line.startsWith(step) ? "354 Hm" : undefined,
    });
    const { verdicts } = await deliver(to(peer), deliveryOf(["a@x.test"]));
    const [{ status, reply, isOurs, place }] = verdicts as [typeof verdicts[0]];
    expect([status, reply]).toEqual(["later", expect.stringMatching(/^451 4\.5\.0 Unexpected/)]);
    // Where there was no session, there is nobody to quote.
    expect(isBeforeAll ? place : isOurs).toBe(isBeforeAll ? undefined : true);
  },
);

describe("what the next hop lacks", () => {
  const eightBit = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n" +
    "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n";

  test("8BITMIME: the content is converted, its size told as it goes", async () => {
    const peer = await peerWith({ offers: ["SIZE"] });
    await deliver(
      to(peer),
      deliveryOf(["a@x.test"], { text: eightBit, parameters: { body: "8BITMIME" } }),
    );
    const { content, mail } = peer.messages[0]!;
    expect(content).toContain("Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe");
    expect(mail).toBe(`MAIL FROM:<sender@example.org> SIZE=${content.length}`);
  });

  test("8BITMIME: what was not declared is looked at", async () => {
    const [lacking, offering] = [await peerWith(), await peerWith({ offers: ["8BITMIME"] })];
    await deliver(to(lacking), deliveryOf(["a@x.test"], { text: eightBit }));
    expect(lacking.messages[0]!.content).toContain("Gr=C3=BC=C3=9Fe");
    await deliver(to(offering), deliveryOf(["a@x.test"], { text: eightBit }));
    expect(offering.messages[0]!.mail).toBe("MAIL FROM:<sender@example.org> BODY=8BITMIME");
  });

  test("8BITMIME: signed content is not touched but returned", async () => {
    const peer = await peerWith();
    const text =
      'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\n\r\nGrüße\r\n--b--\r\n';
    const [reply] = replies(await deliver(to(peer), deliveryOf(["a@x.test"], { text })));
    expect(reply).toMatch(/^never 554 5\.6\.3 .*8BITMIME.*signed/);
    expect(peer.said.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test("BINARYMIME: sent in chunks where it is offered, converted where it is not", async () => {
    const text = "MIME-Version: 1.0\r\nContent-Type: application/x; a=b\r\n" +
      "Content-Transfer-Encoding: binary\r\n\r\na\nb\0c";
    const delivery = deliveryOf(["a@x.test"], { text, parameters: { body: "BINARYMIME" } });
    const [able, unable] = [
      await peerWith({ offers: ["CHUNKING", "BINARYMIME"] }),
      await peerWith({ offers: ["CHUNKING", "8BITMIME"] }),
    ];
    await deliver(to(able), delivery);
    expect(able.messages[0]!.content).toBe(text);
    expect(able.messages[0]!.mail).toContain("BODY=BINARYMIME");
    await deliver(to(unable), delivery);
    expect(unable.messages[0]!.content).toContain(`\r\n\r\n${btoa("a\nb\0c")}`);
    expect(unable.messages[0]!.mail).not.toContain("BODY");
  });

  test.each([
    ["SMTPUTF8", "5.6.7", "Subject: grün\r\n\r\n", { smtpUtf8: true }],
    ["SIZE", "5.3.4", `${"x".repeat(70)}\r\n`.repeat(20), {}],
    ["REQUIRETLS", "5.7.30", "\r\n", { requireTls: true }],
    ["DELIVERBY", "5.3.3", "\r\n", { deliverBy: { seconds: 60, mode: "return", trace: false } }],
  ])("%s: %s, nothing is sent", async (_, code, text, parameters) => {
    const peer = await peerWith({ offers: ["SIZE 1000", "8BITMIME"] });
    const attempt = await deliver(to(peer), deliveryOf(["a@x.test"], { text, parameters }));
    expect(replies(attempt)[0]).toMatch(new RegExp(`^never 55\\d ${code.replaceAll(".", "\\.")} `));
    expect(peer.said.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test.each([
    ["SIZE", ["SIZE 1000"], `${"x".repeat(70)}\r\n`.repeat(20), {}],
    ["SMTPUTF8", [], "Subject: grün\r\n\r\n", { smtpUtf8: true }],
  ])("%s: another host may have it", async (_, offers, text, parameters) => {
    const lacking = await peerWith({ offers });
    const able = await peerWith({ offers: ["SMTPUTF8", "8BITMIME"] });
    const hosts = [lacking, able].map(({ port }) => ({ host: "127.0.0.1", port }));
    const attempt = await deliver(
      to(able, { hosts }),
      deliveryOf(["a@x.test"], { text, parameters }),
    );
    expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
    expect(lacking.said.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test("a host that is not there might have it: then nothing is final", async () => {
    const lacking = await peerWith();
    const down = await peerWith();
    await down.stop();
    const hosts = [lacking, down].map(({ port }) => ({ host: "127.0.0.1", port }));
    const parameters = { requireTls: true };
    const attempt = await deliver(to(lacking, { hosts }), deliveryOf(["a@x.test"], { parameters }));
    expect(replies(attempt)[0]).toMatch(/^later 451 4\.4\.1 /);
  });

  test("SMTPUTF8: goes without where all is ASCII", async () => {
    const peer = await peerWith({ offers: ["8BITMIME"] });
    const parameters = { smtpUtf8: true };
    const attempt = await deliver(to(peer), deliveryOf(["a@x.test"], { parameters }));
    expect(replies(attempt)).toEqual(["delivered 250 2.0.0 Taken"]);
  });

  test("DSN: the request is passed on, or a report of our own is owed", async () => {
    const recipient = { forwardPath: "a@x.test", parameters: { notify: ["SUCCESS"] } };
    const [able, unable] = [await peerWith({ offers: ["DSN"] }), await peerWith()];
    const passed = await deliver(to(able), deliveryOf([recipient]));
    expect(able.messages[0]!.rcpts).toEqual(["RCPT TO:<a@x.test> NOTIFY=SUCCESS"]);
    expect(passed.verdicts[0]!.owed).toBeUndefined();
    const taken = await deliver(to(unable), deliveryOf([recipient, "b@x.test"]));
    expect(taken.verdicts.map(({ owed }) => owed)).toEqual(["relayed", undefined]);
  });

  test("DELIVERBY: what is left of the time is passed on", async () => {
    const peer = await peerWith({ offers: ["DELIVERBY", "MT-PRIORITY"] });
    const delivering = testDelivering();
    delivering.time += 20_000;
    const deliverBy = { seconds: 60, mode: "notify", trace: false };
    const parameters = { deliverBy, priority: 3 };
    await deliver(to(peer), deliveryOf(["a@x.test"], { parameters }), delivering);
    expect(peer.messages[0]!.mail).toBe(
      "MAIL FROM:<sender@example.org> BY=40;N MT-PRIORITY=3",
    );
  });
});

describe("LMTP", () => {
  test("each recipient has its own reply, and what is taken has arrived", async () => {
    const peer = await peerWith({
      lmtp: true,
      offers: ["PIPELINING"],
      answer: (line) =>
        line.startsWith("message") && line.includes("full") ? "452 4.2.2 Full" : undefined,
    });
    const relay = relayOf({ kind: "lmtp", hosts: [{ host: "127.0.0.1", port: peer.port }] });
    const notify = { notify: ["SUCCESS"] };
    const attempt = await transportFor(testDelivering()).deliver(
      deliveryOf([
        { forwardPath: "full@x.test", parameters: notify },
        { forwardPath: "ok@x.test", parameters: notify },
        "quiet@x.test",
      ], { parameters: { deliverBy: { seconds: 60, mode: "return", trace: false } } }),
      relay,
    );
    expect(peer.said[0]).toBe("LHLO gateway.test");
    expect(attempt.verdicts.map(({ status, reply, owed }) => [status, reply, owed])).toEqual([
      ["later", "452 4.2.2 Full", undefined],
      ["delivered", "250 2.0.0 Taken", "delivered"],
      ["delivered", "250 2.0.0 Taken", undefined],
    ]);
  });
});

describe("sender rewriting", () => {
  const rewriting = { senderRewriting: { domain: "srs.gateway.test" } };

  test("strangers' reverse-paths become ours, and can be reversed", async () => {
    const peer = await peerWith();
    const delivering = testDelivering({ domains: ["ours.test", "*.wide.test"] });
    const transport = transportFor(delivering);
    const senders = ["s@stranger.test", "", "a@ours.test", "a@b.wide.test", "x@gateway.test"];
    for (const reversePath of senders) {
      await transport.deliver(deliveryOf(["a@x.test"], { reversePath }), to(peer, rewriting));
    }
    const [first, ...others] = peer.messages.map(({ mail }) => /<(.*)>/.exec(mail)![1]!);
    expect(others).toEqual(senders.slice(1));
    expect(first).toMatch(/^SRS0=.*=stranger\.test=s@srs\.gateway\.test$/);
    const day = Math.floor(delivering.time / 86_400_000);
    const sign = delivering.signSender!;
    expect(reverseOf(first!, { domain: "srs.gateway.test", day, sign }))
      .toEqual({ status: "reversed", address: "s@stranger.test" });
  });
});
