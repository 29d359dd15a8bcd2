import { domainSchema, relaySchema, ruleSchema } from "@postern/config";
import { HeaderReader } from "@postern/message";
import { compile } from "@postern/routing";
import { parseForwardPath } from "@postern/smtp";
import { expect, test } from "vitest";
import type { Ingress } from "./gateway-state.ts";
import { IncomingMessage } from "./incoming-message.ts";
import { LARGEST_HEADER, MAX_HEADER_FIELDS } from "./message-front.ts";
import { MailTransaction } from "./policy.ts";
import type { SessionFacts } from "./session-facts.ts";

const snapshot = compile({
  version: 1,
  relays: new Map([["hop", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })]]),
  domains: new Map([["here.test", domainSchema.parse({ relay: "hop" })]]),
  clients: new Map(),
  users: new Map(),
  rules: new Map([[
    "bad",
    ruleSchema.parse({
      match: { header: { name: "X-Bad" } },
      actions: [{ do: "reject", code: 550, enhanced: "5.7.1", text: "bad" }],
    }),
  ]]),
  settings: new Map(),
});
const facts: SessionFacts = {
  address: "192.0.2.1",
  port: 4321,
  listener: "smtp://0.0.0.0:25",
  verb: "EHLO",
  helo: "client.test",
};
const nullPath = { kind: "null", address: "", sourceRoute: [] } as const;

/** What is answered to a message that comes in pieces of that size, and stored behind our field. */
async function receive(content: string, pieceSize = content.length || 1) {
  let stored = "";
  let size = 0;
  const decoder = new TextDecoder();
  const ingress = {
    snapshot,
    hostname: "mx.here.test",
    now: () => new Date(0),
    newQueueId: () => "id",
    log: { debug() {}, info() {}, warning() {}, error() {} },
    spool: {
      receive: () => ({
        size,
        // Now and then the spool is written to.
        add(bytes: Uint8Array) {
          size += bytes.length;
          const text = decoder.decode(bytes, { stream: true });
          if (size % 2 === 0) return Promise.resolve().then(() => void (stored += text));
          stored += text;
        },
        commit: () => Promise.resolve(),
        discard: () => Promise.resolve(void (stored = "")),
      }),
    },
  } as unknown as Ingress;
  const transaction = new MailTransaction(ingress, facts, nullPath, {});
  const parsed = parseForwardPath("<ann@here.test>");
  if ("fault" in parsed) throw new Error(parsed.fault);
  await transaction.rcpt(parsed.path, {});
  const envelope = { reversePath: "", parameters: {}, recipients: [] };
  const message = new IncomingMessage(ingress, facts, envelope, transaction);
  const octets = new TextEncoder().encode(content);
  for (let at = 0; at < octets.length; at += pieceSize) {
    await message.add(octets.subarray(at, at + pieceSize));
  }
  const { code, enhanced } = await message.commit(envelope);
  const ours = /^Received: (?:.*\r\n[ \t])*.*\r\n/.exec(stored)?.[0] ?? "";
  return { reply: `${code} ${enhanced}`, ours, stored: stored.slice(ours.length) };
}

test.each([
  ["Subject: x\r\n\r\nbody\r\n", ""],
  ["\r\nbody\r\n", ""],
  ["", ""],
  [" forged continuation;\r\n\tid x\r\n\r\nbody\r\n", "\r\n"],
  ["no field here\r\nX-Bad: 1\r\n", "\r\n"],
  ["text", "\r\n"],
  ["From a@b.test Mon\r\nSubject: x\r\n\r\nbody\r\n", "X-Mailbox-Line: "],
])("content %j goes behind our field with %j before it", async (content, before) => {
  for (const pieceSize of [1, 7, 1000]) {
    const { reply, ours, stored } = await receive(content, pieceSize);
    expect(reply).toBe("250 2.0.0");
    expect(ours).toMatch(/; Thu, 1 Jan 1970 00:00:00 \+0000\r\n$/);
    expect(stored).toBe(before + content);
  }
});

test("a rule sees the fields behind the first line of a mailbox file", async () => {
  expect((await receive("From a@b.test Mon\r\nX-Bad: 1\r\n\r\n")).reply).toBe("550 5.7.1");
});

test("what rules cannot read is refused", async () => {
  const many = "a: b\r\n".repeat(MAX_HEADER_FIELDS);
  const large = `X-Pad: ${"a".repeat(900)}\r\n`.repeat(300);
  for (const header of [large, `${many}X: y\r\n`]) {
    for (const bad of ["", "X-Bad: 1\r\n"]) {
      expect(await receive(`${header}${bad}\r\nbody`, 10_007)).toMatchObject({
        reply: "552 5.3.4",
        stored: "",
      });
    }
  }
  expect((await receive(`${many}\r\nbody`)).reply).toBe("250 2.0.0");
});

test("a header that is taken is read whole with our field before it", async () => {
  const line = `X-Pad: ${"a".repeat(900)}\r\n`;
  const header = line.repeat(Math.floor(LARGEST_HEADER / line.length));
  const { reply, ours } = await receive(`${header}\r\n`);
  expect(reply).toBe("250 2.0.0");
  expect(new HeaderReader().push(new TextEncoder().encode(`${ours}${header}\r\n`))).toBe("body");
  expect((await receive(`${header}${line}\r\n`)).reply).toBe("552 5.3.4");
});

test("results of authentication in our name are taken out where no rule asks for any", async () => {
  const [before, after] = ["From: a@b.test\r\n", "Subject: x\r\n\r\nbody\r\n"];
  const forged = "Authentication-Results: mx.here.test; spf=pass\r\n";
  for (const pieceSize of [5, 1000]) {
    expect((await receive(before + forged + after, pieceSize)).stored).toBe(before + after);
    expect((await receive(`${before}${forged}`, pieceSize)).stored).toBe(before);
  }
});
