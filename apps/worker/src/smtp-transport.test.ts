import type { Relay } from "@postern/config";
import { reverseOf } from "@postern/message";
import { afterEach, describe, expect, test } from "vitest";
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
    expect(second.facts.tried).toEqual([{ host: "127.0.0.1", reply: "421 4.3.2 Busy" }]);
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
    expect(attempt.destinationFailure).toBeUndefined();
  });

  test("an address that does not answer makes way for the next one", async () => {
    const peer = await peerWith();
    // Nothing listens there: this loopback address refuses at once.
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.9", "127.0.0.1"] } });
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
});

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
