/** The main job: mail from real clients, accepted or refused, relayed to the next hop and traceable. */
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, sendMail, subjectOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway, type ShownMessage } from "./gateway.ts";
import { NextHop, type TakenMessage } from "./next-hop.ts";
import { runPeer, testWith } from "./peers.ts";

const SMTPLIB = `
import json, smtplib, sys
port, sender, *recipients = sys.argv[1:]
content = sys.stdin.buffer.read()
with smtplib.SMTP("127.0.0.1", int(port), local_hostname="client.test") as session:
    try:
        refused = session.sendmail(sender, recipients, content, mail_options=["BODY=8BITMIME"])
    except smtplib.SMTPRecipientsRefused as error:
        refused = error.recipients
print(json.dumps({name: [code, text.decode()] for name, (code, text) in refused.items()}))
`;

const gateway = new Gateway();
const nextHop = new NextHop();
let port = 0;

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
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

/** What the next hop took for a recipient, once it did. */
function takenFor(recipient: string): Promise<TakenMessage> {
  return eventually(
    `the next hop has mail for ${recipient}`,
    () => nextHop.acceptedFor(recipient)[0],
  );
}

/** Parts our Received field, unfolded, from the content under it. */
function parted(content: Uint8Array): { received: string; rest: Buffer } {
  const bytes = Buffer.from(content);
  const field = /^Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*/.exec(bytes.toString("latin1"))?.[0];
  if (field === undefined) throw new Error(`no Received on top: ${bytes.subarray(0, 200)}`);
  return {
    received: field.replaceAll("\r\n", "").replaceAll("\t", " "),
    rest: bytes.subarray(field.length),
  };
}

async function sendByPython(
  recipients: readonly string[],
  content: Uint8Array | string,
): Promise<Record<string, [number, string]>> {
  const sent = await runPeer(
    "python3",
    ["-c", SMTPLIB, String(port), "sender@sender.test", ...recipients],
    content,
  );
  expect(sent.stderr).toBe("");
  return JSON.parse(sent.stdout) as Record<string, [number, string]>;
}

describe("Python's smtplib", () => {
  testWith(["python3"], "mail for the domain is relayed with a Received field", async () => {
    expect(await sendByPython(["python@relay.test"], contentWith("from Python"))).toEqual({});
    const { received, rest } = parted((await takenFor("python@relay.test")).content);
    expect(rest.toString()).toBe(contentWith("from Python"));
    expect(received).toMatch(
      /^Received: from client\.test \(\[127\.0\.0\.1\]\) by gateway\.test with ESMTP id [\w-]+ for <python@relay\.test>; \w{3}, +\d+ \w{3} \d{4} \d\d:\d\d:\d\d \+0000/,
    );
  });

  testWith(["python3"], "mail for another domain is refused with 550 5.7.1", async () => {
    const refused = await sendByPython(["user@elsewhere.test"], contentWith("elsewhere"));
    expect(refused["user@elsewhere.test"]?.[0]).toBe(550);
    expect(refused["user@elsewhere.test"]?.[1]).toMatch(/^5\.7\.1 /);
  });

  testWith(["python3"], "recipients are accepted and refused one by one", async () => {
    const all = ["one@relay.test", "user@elsewhere.test", "two@relay.test"];
    const refused = await sendByPython(all, contentWith("some of three"));
    expect(Object.keys(refused)).toEqual(["user@elsewhere.test"]);
    expect((await takenFor("two@relay.test")).recipients).toEqual([
      "one@relay.test",
      "two@relay.test",
    ]);
  });

  const every = Buffer.from(Array.from({ length: 256 }, (_, octet) => octet))
    .filter((octet) => octet !== 0x0d && octet !== 0x0a && octet !== 0);
  const long = Buffer.alloc(
    2_000_000,
    "0123456789abcdef0123456789abcdef0123456789abcdef01234567\r\n",
  );
  const contents = {
    "8-bit bytes": Buffer.concat([
      Buffer.from(contentWith("8-bit", "")),
      every,
      Buffer.from("\r\n"),
    ]),
    "leading dots": Buffer.from(contentWith("dots", ".\r\n..\r\n.x\r\n\r\n.\r\n...\r\n")),
    "no line at all but the header": Buffer.from("Subject: no body\r\n"),
    "2 MB": Buffer.concat([Buffer.from(contentWith("long", "")), long, Buffer.from("\r\n")]),
  };
  for (const [what, content] of Object.entries(contents)) {
    testWith(["python3"], `content arrives byte by byte: ${what}`, async () => {
      const recipient = `bytes-${what.replaceAll(" ", "-")}@relay.test`;
      expect(await sendByPython([recipient], content)).toEqual({});
      const taken = await takenFor(recipient);
      // A comparison of buffers: a diff of megabytes would help nobody.
      expect(Buffer.compare(parted(taken.content).rest, content)).toBe(0);

      const found = await gateway.get<{ items: ShownMessage[] }>(
        `/v1/messages?recipient=${encodeURIComponent(recipient)}`,
      );
      expect(found.items).toHaveLength(1);
      const raw = await gateway.raw(found.items[0]!.id);
      expect(Buffer.compare(raw, taken.content)).toBe(0);
      expect(found.items[0]!.size).toBe(raw.length);
    });
  }
});

describe("swaks", () => {
  const swaks = (recipient: string, ...more: readonly string[]) =>
    runPeer("swaks", [
      ...["--server", "127.0.0.1", "--port", String(port), "--helo", "client.test"],
      ...["--from", "sender@sender.test", "--to", recipient, ...more],
    ]);

  testWith(["swaks"], "mail for the domain is relayed", async () => {
    const sent = await swaks(
      "swaks@relay.test",
      "--header",
      "Subject: by swaks",
      "--body",
      "Hello",
    );
    expect(sent.stdout).toMatch(/<- +250 2\.0\.0 /);
    expect(sent.code).toBe(0);
    expect(subjectOf((await takenFor("swaks@relay.test")).content)).toBe("by swaks");
  });

  testWith(["swaks"], "mail for another domain is refused with 550 5.7.1", async () => {
    const sent = await swaks("user@elsewhere.test");
    expect(sent.stdout).toMatch(/<\*\* 550 5\.7\.1 /);
    expect(sent.code).toBe(24);
  });
});

describe("curl", () => {
  const curl = (recipient: string, content: string) =>
    runPeer("curl", [
      ...["--silent", "--show-error", "--verbose", "--noproxy", "*", "--max-time", "15"],
      ...["--mail-from", "sender@sender.test", "--mail-rcpt", recipient],
      ...["--upload-file", "-", `smtp://127.0.0.1:${port}/client.test`],
    ], content);

  testWith(["curl"], "mail for the domain is relayed", async () => {
    const sent = await curl("curl@relay.test", contentWith("by curl"));
    expect(sent.stderr).toMatch(/< 250 2\.0\.0 /);
    expect(sent.code).toBe(0);
    const { rest } = parted((await takenFor("curl@relay.test")).content);
    expect(rest.toString()).toBe(contentWith("by curl"));
  });

  testWith(["curl"], "mail for another domain is refused with 550 5.7.1", async () => {
    const sent = await curl("user@elsewhere.test", contentWith("elsewhere"));
    expect(sent.stderr).toMatch(/< 550 5\.7\.1 /);
    expect(sent.code).not.toBe(0);
  });
});

describe("the way of a message", () => {
  test("all recipients at one destination get one copy, and learn nothing of each other", async () => {
    const recipients = ["a", "b", "c"].map((name) => `${name}-copy@relay.test`);
    const reply = await sendMail(port, "sender@sender.test", recipients, contentWith("one copy"));
    await gateway.message(queueIdOf(reply), "delivered");
    const copies = nextHop.seen.filter(({ content }) => subjectOf(content) === "one copy");
    expect(copies.map((copy) => copy.recipients)).toEqual([recipients]);
    expect(parted(copies[0]!.content).received).not.toContain("for <");
  });

  test("GET /v1/messages finds it, and /v1/messages/{id} tells each step", async () => {
    const reply = await sendMail(
      port,
      "traced-sender@sender.test",
      ["Traced@relay.test"],
      `Message-ID: <traced@sender.test>\r\n${contentWith("traced")}`,
    );
    const id = queueIdOf(reply);
    const message = await gateway.message(id, "delivered");
    const taken = nextHop.acceptedFor("Traced@relay.test");
    expect(taken).toHaveLength(1);

    const nextHopSaid = expect.stringMatching(/^250 2\.0\.0 Taken as \d+$/);
    expect(message).toMatchObject({
      id,
      reversePath: "traced-sender@sender.test",
      recipients: [{ forwardPath: "Traced@relay.test", state: "delivered" }],
    });
    expect(message.events.map(({ kind }) => kind)).toEqual([
      "received",
      "routed",
      "attempted",
      "delivered",
    ]);
    expect(message.events[2]).toMatchObject({ host: "127.0.0.1", port: nextHop.port });
    expect(message.events[3]).toMatchObject({ recipient: "Traced@relay.test", reply: nextHopSaid });

    for (
      const query of [
        "sender=traced-sender@sender.test",
        "recipient=traced@relay.test",
        "messageId=traced@sender.test",
        "messageId=%3Ctraced@sender.test%3E",
        "sender=traced-sender@sender.test&state=delivered",
      ]
    ) {
      const { items } = await gateway.get<{ items: ShownMessage[] }>(`/v1/messages?${query}`);
      expect(items.map((item) => item.id), query).toEqual([id]);
    }
    const none = await gateway.get<{ items: ShownMessage[] }>(
      "/v1/messages?sender=traced-sender@sender.test&state=bounced",
    );
    expect(none.items).toEqual([]);
  });

  test("a message that does not exist is 404, as a problem document", async () => {
    const id = "01900000-0000-7000-8000-000000000000";
    for (const path of [`/v1/messages/${id}`, `/v1/messages/${id}/raw`]) {
      const response = await gateway.request("GET", path);
      await response.body?.cancel();
      expect([path, response.status]).toEqual([path, 404]);
      expect(response.headers.get("content-type")).toContain("application/problem+json");
    }
  });
});

describe("a change of the configuration", () => {
  test("takes effect in a session that is open, and a client may relay anywhere", async () => {
    const dialogue = new Dialogue(port);
    try {
      await dialogue.say("EHLO client.test");
      await dialogue.say("MAIL FROM:<sender@sender.test>");
      expect(await dialogue.say("RCPT TO:<user@later.test>")).toMatch(/^550 5\.7\.1 /);
      await gateway.put("/v1/domains/later.test", { relay: "internal" });
      await eventually(
        "the new domain is accepted",
        async () => (await dialogue.say("RCPT TO:<user@later.test>")).startsWith("250 "),
        1,
      );
      expect(await dialogue.say("RCPT TO:<user@elsewhere.test>")).toMatch(/^550 5\.7\.1 /);
      await gateway.put("/v1/clients/loopback", { networks: ["127.0.0.0/8"] });
      await eventually(
        "the new client may relay",
        async () => (await dialogue.say("RCPT TO:<user@elsewhere.test>")).startsWith("250 "),
        1,
      );
      const deleted = await gateway.request("DELETE", "/v1/clients/loopback");
      await deleted.body?.cancel();
      expect(deleted.ok).toBe(true);
      await eventually(
        "it may not any more",
        async () => (await dialogue.say("RCPT TO:<user2@elsewhere.test>")).startsWith("550 5.7.1 "),
        1,
      );
    } finally {
      dialogue.close();
    }
  });
});
