/**
 * Postfix and its test programs on both sides: a private Postfix relays into the gateway, is the
 * next hop, and smtp-source and smtp-sink make a crowd.
 */
import { Buffer } from "node:buffer";
import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect } from "vitest";
import { contentWith, Dialogue, queueIdOf, sendMail, subjectOf } from "./dialogue.ts";
import { eventually, freePort } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";
import { missing, pathOf, type Peer, runPeer, testWith } from "./peers.ts";
import { PrivatePostfix } from "./private-postfix.ts";

const MESSAGES = 200;
const POSTFIX: readonly Peer[] = ["postfix", "root"];
const CROWD: readonly Peer[] = ["smtp-source", "smtp-sink"];

const gateway = new Gateway();
const nextHop = new NextHop();
const postfix = missing(...POSTFIX).length === 0 ? new PrivatePostfix() : undefined;
const haveCrowd = missing(...CROWD).length === 0;
let port = 0;
let postfixPort = 0;
let sinkPort = 0;
let sink: Deno.ChildProcess | undefined;
let sinkFolder = "";

/** smtp-sink keeps each message as a file, with its envelope on top. */
async function startSink(): Promise<void> {
  sinkFolder = await Deno.makeTempDir({ prefix: "postern-sink-" });
  await Deno.chmod(sinkFolder, 0o777);
  sink = new Deno.Command(pathOf("smtp-sink"), {
    args: [
      ...(Deno.uid() === 0 ? ["-u", "nobody"] : []),
      ...["-d", `${sinkFolder}/message.`, `127.0.0.1:${sinkPort}`, "200"],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await eventually("smtp-sink answers", async () => {
    const dialogue = new Dialogue(sinkPort);
    try {
      return (await dialogue.greeting).startsWith("220 ");
    } finally {
      dialogue.close();
    }
  });
}

beforeAll(async () => {
  if (postfix === undefined && !haveCrowd) return;
  await nextHop.start();
  [postfixPort, sinkPort] = [await freePort(), await freePort()];
  const relay = (to: number) => ({
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: to }],
    retry: { delays: [1], lifetime: 60 },
  });
  await gateway.start({
    "/v1/relays/internal": relay(nextHop.port),
    "/v1/relays/postfix": relay(postfixPort),
    "/v1/relays/sink": relay(sinkPort),
    "/v1/domains/relay.test": { relay: "internal" },
    "/v1/domains/final.test": { relay: "postfix" },
    "/v1/domains/sink.test": { relay: "sink" },
    "/v1/domains/sender.test": { relay: "internal" },
  });
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
  await postfix?.start([{ port: postfixPort }], [
    `relayhost = [127.0.0.1]:${port}`,
    `transport_maps = inline:{ {final.test=smtp:[127.0.0.1]:${nextHop.port}} }`,
  ]);
  if (haveCrowd) await startSink();
});

afterAll(async () => {
  await postfix?.stop();
  await nextHop.stop();
  if (sink !== undefined) {
    sink.kill("SIGKILL");
    await sink.status;
    await Deno.remove(sinkFolder, { recursive: true });
  }
  // Last, because it throws when a process does not drain.
  await gateway.stop();
});

testWith(POSTFIX, "Postfix relays into the gateway, which relays on", async () => {
  const recipients = ["one@relay.test", "two@relay.test"];
  const content = contentWith("by Postfix", ".\r\n8-bit: \u00e9\r\n");
  expect(await sendMail(postfixPort, "sender@sender.test", recipients, content)).toMatch(/^250 /);
  const message = await eventually(
    "the next hop has it",
    () => nextHop.acceptedFor("one@relay.test")[0],
  ).catch((error) => {
    throw new Error(postfix?.log(), { cause: error });
  });
  expect(message.recipients).toEqual(recipients);
  const text = message.content.toString("utf8");
  expect(text).toMatch(/^Received: from postfix\.test \(\[127\.0\.0\.1\]\)\s+by gateway\.test\s/);
  expect(text).toMatch(/\r\nReceived: from client\.test [^]*by postfix\.test /);
  expect(text.endsWith("\r\n\r\n.\r\n8-bit: \u00e9\r\n")).toBe(true);
  expect(postfix?.log()).toMatch(/to=<one@relay\.test>.*status=sent \(250 2\.0\.0 /);
});

testWith(POSTFIX, "Postfix bounces what the gateway refuses, with its reply", async () => {
  await sendMail(postfixPort, "p@sender.test", ["user@elsewhere.test"], contentWith("no relaying"));
  const report = await eventually(
    "Postfix's report comes by the gateway",
    () => nextHop.acceptedFor("p@sender.test")[0],
  ).catch((error) => {
    throw new Error(postfix?.log(), { cause: error });
  });
  expect(report.reversePath).toBe("");
  expect(report.content.toString("latin1")).toMatch(/^Diagnostic-Code: smtp; 550 5\.7\.1 /m);
});

testWith(POSTFIX, "Postfix is the next hop", async () => {
  const recipients = ["one@final.test", "two@final.test"];
  const content = contentWith("to Postfix", ".\r\n..\r\n8-bit: \u00e9\r\n");
  const id = queueIdOf(await sendMail(port, "sender@sender.test", recipients, content));
  const { events } = await gateway.message(id, "delivered");
  const replies = events.filter(({ kind }) => kind === "delivered").map(({ reply }) => reply);
  expect(replies).toHaveLength(2);
  for (const reply of replies) expect(reply).toMatch(/^250 2\.0\.0 Ok: queued as \w+$/);
  const message = await eventually("it came on", () => nextHop.acceptedFor("one@final.test")[0]);
  expect(message.recipients).toEqual(recipients);
  expect(subjectOf(message.content)).toBe("to Postfix");
  const text = message.content.toString("utf8");
  expect(text).toMatch(/^Received: from gateway\.test [^]*\r\nReceived: from client\.test /);
  expect(text.endsWith("\r\n\r\n.\r\n..\r\n8-bit: \u00e9\r\n")).toBe(true);
});

testWith(CROWD, `smtp-source sends ${MESSAGES} messages, smtp-sink gets each once`, async () => {
  const sent = await runPeer("smtp-source", [
    ...["-s", "10", "-m", String(MESSAGES), "-l", "4096", "-N", "-M", "client.test"],
    ...["-f", "sender@sender.test", "-t", "user@sink.test", `127.0.0.1:${port}`],
  ]);
  expect(sent).toMatchObject({ code: 0, stderr: "" });
  const files = () => readdirSync(sinkFolder);
  await eventually("smtp-sink has them all", () => files().length >= MESSAGES);
  await eventually("no delivery is left", async () => {
    const { items } = await gateway.get<{ items: unknown[] }>(
      "/v1/messages?sender=sender@sender.test&state=queued",
    );
    return items.length === 0;
  });
  const recipients = files().map((name) => {
    const text = Buffer.from(readFileSync(`${sinkFolder}/${name}`)).toString("latin1");
    return /^X-Rcpt-Args: <([^>]+)>/m.exec(text)?.[1];
  });
  expect(recipients).toHaveLength(MESSAGES);
  expect(new Set(recipients).size).toBe(MESSAGES);
  expect(recipients.every((one) => one?.endsWith("@sink.test"))).toBe(true);
});
