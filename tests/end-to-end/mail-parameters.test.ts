/**
 * The parameters of MAIL from the client to the next hop: what is asked for is done, passed on, or
 * the sender is told why not.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { authority, selfSigned, vouchedFor } from "../../apps/worker/src/testing/certificates.ts";
import { Peer } from "../../apps/worker/src/testing/peer.ts";
import { contentWith, Dialogue, queueIdOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop, type TakenMessage } from "./next-hop.ts";

const gateway = new Gateway();
const nextHop = new NextHop();
const offers = ["PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"];
const requiring = [...offers, "REQUIRETLS"];
const peers = {
  trusted: new Peer({ certificate: vouchedFor, offers, offersInTls: requiring }),
  unwilling: new Peer({ certificate: vouchedFor, offers }),
  unknown: new Peer({ certificate: selfSigned, offers, offersInTls: requiring }),
};
const open: Dialogue[] = [];
const PASSWORD = "correct horse";
let [port, submission] = [0, 0];

beforeAll(async () => {
  await nextHop.start();
  await Promise.all(Object.values(peers).map((peer) => peer.start()));
  const retry = { delays: [1], lifetime: 60 };
  const relay = (to: number, more: object = {}) => ({
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: to }],
    retry,
    ...more,
  });
  const verify = { policy: "verify", certificateAuthority: authority, serverName: "mx.test" };
  const ways = {
    trusted: relay(peers.trusted.port, { tls: verify }),
    unwilling: relay(peers.unwilling.port, { tls: verify }),
    unknown: relay(peers.unknown.port, { tls: { policy: "encrypt" } }),
    plain: relay(nextHop.port),
    single: relay(nextHop.port, { limits: { concurrency: { minimum: 1, maximum: 1 } } }),
    sender: relay(nextHop.port),
  };
  await gateway.start({
    ...Object.fromEntries(
      Object.entries(ways).flatMap(([name, way]) => [
        [`/v1/relays/${name}`, way],
        [`/v1/domains/${name}.test`, { relay: name }],
      ]),
    ),
    "/v1/users/anna": { password: PASSWORD },
  });
  const [ingress] = await Promise.all([
    gateway.startIngress("smtp://127.0.0.1:0 smtps://127.0.0.1:0"),
    gateway.startWorker(),
  ]);
  [port = 0, submission = 0] = ingress.ports;
});

afterEach(() => {
  nextHop.script = () => undefined;
  for (const dialogue of open.splice(0)) dialogue.close();
});

afterAll(async () => {
  await gateway.stop();
  await Promise.all([nextHop, ...Object.values(peers)].map((peer) => peer.stop()));
});

/** A session after EHLO, in TLS if so wanted. */
async function session({ tls = false } = {}): Promise<Dialogue> {
  const dialogue = new Dialogue(port);
  open.push(dialogue);
  await dialogue.say("EHLO client.test");
  if (!tls) return dialogue;
  await dialogue.startTls();
  await dialogue.say("EHLO client.test");
  return dialogue;
}

/** A session of a user's. */
async function submissionSession(): Promise<Dialogue> {
  const dialogue = new Dialogue(submission, { tls: true });
  open.push(dialogue);
  await dialogue.say("EHLO client.test");
  await dialogue.say(`AUTH PLAIN ${btoa(`\0anna\0${PASSWORD}`)}`);
  return dialogue;
}

/** Sends one message with these parameters of MAIL; answers its queue id. */
async function send(
  dialogue: Dialogue,
  { from, to, parameters, content = contentWith("parameters") }: {
    readonly from: string;
    readonly to: string;
    readonly parameters: string;
    readonly content?: string;
  },
): Promise<string> {
  expect(await dialogue.say(`MAIL FROM:<${from}> ${parameters}`)).toMatch(/^250 /);
  expect(await dialogue.say(`RCPT TO:<${to}>`)).toMatch(/^250 /);
  expect(await dialogue.say("DATA")).toMatch(/^354 /);
  return queueIdOf(await dialogue.say(`${content}.`));
}

/** The report that came back to a sender, its header fields unfolded. */
async function reportFor(sender: string): Promise<string> {
  const report = await eventually(
    `the report for ${sender} is there`,
    () => nextHop.acceptedFor(sender).find(({ reversePath }) => reversePath === ""),
  );
  return report.content.toString("utf8").replaceAll(/\r\n[ \t]+/g, " ");
}

function taken(recipient: string): Promise<TakenMessage> {
  return eventually(`mail for ${recipient} is there`, () => nextHop.acceptedFor(recipient)[0]);
}

/** Has the next hop offer these; sessions that are kept from before are broken. */
async function offering(...keywords: readonly string[]): Promise<void> {
  await nextHop.stop();
  await nextHop.start();
  const reply = ["250-next-hop.test", ...keywords.map((one) => `250-${one}`)].join("\r\n");
  nextHop.script = (step) => step === "ehlo" ? `${reply}\r\n250 ENHANCEDSTATUSCODES` : undefined;
}

describe("REQUIRETLS", () => {
  test("is neither offered nor accepted in clear", async () => {
    const dialogue = await session();
    expect(await dialogue.say("EHLO client.test")).not.toContain("REQUIRETLS");
    expect(await dialogue.say("MAIL FROM:<a@sender.test> REQUIRETLS")).toMatch(/^555 5\.5\.4 /);
  });

  test("goes on to a next hop that offers it under a certificate that is good", async () => {
    const id = await send(await session({ tls: true }), {
      from: "kept@sender.test",
      to: "ann@trusted.test",
      parameters: "REQUIRETLS",
    });
    await gateway.message(id, "delivered");
    const [message] = peers.trusted.messages;
    expect(message).toMatchObject({ tls: true });
    expect(message!.mail).toMatch(/^MAIL FROM:<kept@sender\.test>.* REQUIRETLS\b/);
  });

  for (
    const [name, why] of [
      ["plain", "has no TLS"],
      ["unwilling", "does not offer it"],
      ["unknown", "has a certificate that nobody vouches for"],
    ] as const
  ) {
    test(`bounces where the next hop ${why}`, async () => {
      const from = `${name}@sender.test`;
      const id = await send(await session({ tls: true }), {
        from,
        to: `ann@${name}.test`,
        parameters: "REQUIRETLS",
        content: contentWith("secret", "For no other eyes\r\n"),
      });
      const { recipients } = await gateway.message(id, "bounced");
      expect(recipients[0]?.lastReply).toMatch(/^550 5\.7\.30 /);
      const report = await reportFor(from);
      expect(report).toMatch(/^Status: 5\.7\.30\r$/m);
      // RFC 8689 §5: the report may travel in clear.
      expect(report).not.toContain("For no other eyes");
      expect(nextHop.acceptedFor(`ann@${name}.test`)).toEqual([]);
    });
  }

  test("what does not ask for it goes there all the same", async () => {
    const id = await send(await session(), {
      from: "free@sender.test",
      to: "ann@unknown.test",
      parameters: "",
    });
    await gateway.message(id, "delivered");
    expect(peers.unknown.messages).toHaveLength(1);
  });
});

describe("DELIVERBY", () => {
  test("R: what a next hop defers for longer is returned, and not tried again", async () => {
    await offering("DELIVERBY");
    const { script } = nextHop;
    let asked = 0;
    nextHop.script = (step, transaction, number) => {
      if (step !== "rcpt" || transaction.recipients.at(-1) !== "late@plain.test") {
        return script(step, transaction, number);
      }
      asked += 1;
      return "450 4.2.0 Later";
    };
    const id = await send(await session(), {
      from: "returned@sender.test",
      to: "late@plain.test",
      parameters: "BY=2;R",
    });
    const { recipients } = await gateway.message(id, "bounced");
    expect(recipients[0]?.lastReply).toMatch(/^554 5\.4\.7 /);
    expect(await reportFor("returned@sender.test")).toMatch(/^Status: 5\.4\.7\r$/m);
    expect(asked).toBeGreaterThanOrEqual(1);
    expect(asked).toBeLessThanOrEqual(3);
  });

  test("R: a next hop that does not know of it has nothing", async () => {
    await offering("8BITMIME");
    const id = await send(await session(), {
      from: "untimely@sender.test",
      to: "untimely@plain.test",
      parameters: "BY=600;R",
    });
    const { recipients } = await gateway.message(id, "bounced");
    expect(recipients[0]?.lastReply).toMatch(/^550 5\.3\.3 /);
    expect(nextHop.acceptedFor("untimely@plain.test")).toEqual([]);
  });

  test("N: the sender hears of the delay, and the mail arrives", async () => {
    await offering("DELIVERBY");
    const { script } = nextHop;
    let released = false;
    nextHop.script = (step, transaction, number) =>
      step === "rcpt" && !released && transaction.recipients.at(-1) === "slow@plain.test"
        ? "450 4.2.0 Later"
        : script(step, transaction, number);
    const id = await send(await session(), {
      from: "told@sender.test",
      to: "slow@plain.test",
      parameters: "BY=1;N",
    });
    const report = await reportFor("told@sender.test");
    expect(report).toMatch(/^Action: delayed\r$/m);
    expect(report).toMatch(/^Will-Retry-Until: /m);
    released = true;
    await gateway.message(id, "delivered");
    expect(nextHop.acceptedFor("told@sender.test")).toHaveLength(1);
  });

  test("goes on with the time that is left", async () => {
    await offering("DELIVERBY");
    const { script } = nextHop;
    let refused = 0;
    nextHop.script = (step, transaction, number) =>
      step === "rcpt" && transaction.recipients.at(-1) === "left@plain.test" && refused++ < 1
        ? "450 4.2.0 Later"
        : script(step, transaction, number);
    await send(await session(), {
      from: "left@sender.test",
      to: "left@plain.test",
      parameters: "BY=600;RT",
    });
    const { commands } = await taken("left@plain.test");
    const left = Number(/ BY=(\d+);RT\b/.exec(commands[0]!)?.[1]);
    expect(left).toBeGreaterThan(580);
    expect(left).toBeLessThan(600);
  });
});

describe("HOLDFOR", () => {
  test("on submission: not before its time, and then", async () => {
    const began = Date.now();
    const id = await send(await submissionSession(), {
      from: "patient@sender.test",
      to: "held@plain.test",
      parameters: "HOLDFOR=2",
    });
    const { events } = await gateway.message(id, "delivered");
    const [first] = events.filter(({ kind }) => kind === "attempted");
    const received = events.find(({ kind }) => kind === "received")!;
    expect(Date.parse(first!.at) - Date.parse(received.at)).toBeGreaterThanOrEqual(1950);
    expect(Date.now() - began).toBeLessThan(10_000);
    expect((await taken("held@plain.test")).commands[0]).not.toContain("HOLD");
  });

  test("is nothing that strangers may ask for", async () => {
    const dialogue = await session();
    expect(await dialogue.say("EHLO client.test")).not.toContain("FUTURERELEASE");
    expect(await dialogue.say("MAIL FROM:<a@sender.test> HOLDFOR=2")).toMatch(/^555 5\.5\.4 /);
  });
});

test("MT-PRIORITY of users: goes on, and higher goes first", async () => {
  await offering("MT-PRIORITY");
  const { script } = nextHop;
  let release: (() => void) | undefined;
  const released = new Promise<void>((resolve) => release = resolve);
  let waiting = false;
  nextHop.script = async (step, transaction, number) => {
    if (step !== "message" || transaction.recipients[0] !== "first@single.test") {
      return script(step, transaction, number);
    }
    waiting = true;
    await released;
    return undefined;
  };
  const dialogue = await submissionSession();
  const parcel = (name: string, parameters: string) =>
    send(dialogue, { from: "p@sender.test", to: `${name}@single.test`, parameters });
  await parcel("first", "");
  await eventually("the first is under way", () => waiting);
  const ids = [
    await parcel("low", "MT-PRIORITY=-4"),
    await parcel("middle", ""),
    await parcel("high", "MT-PRIORITY=6"),
  ];
  // A worker that has heard of a later message has heard of these, too.
  const barrier = { from: "p@sender.test", to: "barrier@plain.test", parameters: "" };
  await gateway.message(await send(dialogue, barrier), "delivered");
  release!();
  for (const id of ids) await gateway.message(id, "delivered");
  const came = nextHop.accepted.filter(({ recipients }) => recipients[0]?.endsWith("@single.test"));
  expect(came.map(({ recipients }) => recipients[0]!.split("@")[0]))
    .toEqual(["first", "high", "middle", "low"]);
  expect(came.map(({ commands }) => / MT-PRIORITY=(\S+)/.exec(commands[0]!)?.[1]))
    .toEqual([undefined, "6", undefined, "-4"]);
});

describe("content that the next hop does not take as it is", () => {
  test("BDAT and BINARYMIME in, Base64 out", async () => {
    const dialogue = await session();
    await dialogue.say("MAIL FROM:<binary@sender.test> BODY=BINARYMIME");
    await dialogue.say("RCPT TO:<binary@plain.test>");
    const octets = new Uint8Array([0, 10, 13, 46, 13, 10, 46, 13, 10, 255, 128, 7]);
    const header = "From: binary@sender.test\r\nSubject: binary\r\nMIME-Version: 1.0\r\n" +
      "Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    dialogue.write(`BDAT ${header.length}\r\n${header}`);
    expect(await dialogue.reply()).toMatch(/^250 /);
    dialogue.write(`BDAT ${octets.length} LAST\r\n`);
    dialogue.write(octets);
    const id = queueIdOf(await dialogue.reply());
    const { commands, content } = await taken("binary@plain.test");
    expect(commands[0]).not.toContain("BINARYMIME");
    const text = content.toString("latin1");
    expect(text).toMatch(/^Content-Transfer-Encoding: base64\r$/m);
    expect(text).not.toMatch(/^Content-Transfer-Encoding: binary\r$/m);
    const encoded = text.slice(text.indexOf("\r\n\r\n") + 4).replaceAll("\r\n", "");
    expect(encoded).toBe(btoa(String.fromCharCode(...octets)));
    await gateway.message(id, "delivered");
  });

  test("8BITMIME in, quoted-printable out", async () => {
    await offering("PIPELINING");
    await send(await session(), {
      from: "eight@sender.test",
      to: "eight@plain.test",
      parameters: "BODY=8BITMIME",
      content: contentWith("eight", "gr\u00fcn\r\n"),
    });
    const { commands, content } = await taken("eight@plain.test");
    expect(commands[0]).not.toContain("BODY=8BITMIME");
    const text = content.toString("latin1");
    expect(text).toMatch(/^Content-Transfer-Encoding: quoted-printable\r$/m);
    expect(text.endsWith("\r\n\r\ngr=C3=BCn\r\n")).toBe(true);
  });

  test("8BITMIME goes on where it is offered", async () => {
    await offering("8BITMIME");
    await send(await session(), {
      from: "same@sender.test",
      to: "same@plain.test",
      parameters: "BODY=8BITMIME",
      content: contentWith("same", "gr\u00fcn\r\n"),
    });
    const { commands, content } = await taken("same@plain.test");
    expect(commands[0]).toContain("BODY=8BITMIME");
    expect(content.toString("utf8").endsWith("\r\n\r\ngr\u00fcn\r\n")).toBe(true);
  });

  for (
    const [name, to, content, keyword] of [
      ["address", "gr\u00fcn@plain.test", contentWith("ascii"), "8BITMIME"],
      ["header", "ascii@plain.test", contentWith("gr\u00fcn"), "8BITMIME"],
      ["seven", "seven@plain.test", contentWith("gr\u00fcn"), "PIPELINING"],
    ] as const
  ) {
    test(`SMTPUTF8 to one with ${keyword} (${name}): a report that can be read`, async () => {
      await offering(keyword);
      const from = `utf8-${name}@sender.test`;
      const id = await send(await session(), { from, to, parameters: "SMTPUTF8", content });
      const { recipients } = await gateway.message(id, "bounced");
      expect(recipients[0]?.lastReply).toBe("550 5.6.7 The next hop does not offer SMTPUTF8");
      const report = await reportFor(from);
      expect(report).toMatch(/^Status: 5\.6\.7\r$/m);
      expect(report).toMatch(/^Action: failed\r$/m);
      expect(report).toContain(to);
      expect(report).toContain("The next hop does not offer SMTPUTF8");
      // To one without 8BITMIME the report itself went in quoted-printable.
      const [subject] = /^Subject: .*$/m.exec(content)!;
      expect(report.replaceAll("=C3=BC", "\u00fc")).toContain(subject.trimEnd());
    });
  }

  test("SMTPUTF8 that is ASCII throughout goes all the same", async () => {
    await send(await session(), {
      from: "plain-ascii@sender.test",
      to: "plain-ascii@plain.test",
      parameters: "SMTPUTF8",
    });
    const { commands } = await taken("plain-ascii@plain.test");
    expect(commands[0]).not.toContain("SMTPUTF8");
  });
});
