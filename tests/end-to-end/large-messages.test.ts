/** Large messages, several at once: every byte arrives, and no process keeps them in memory. */
import { Buffer } from "node:buffer";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Dialogue, queueIdOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";

const MESSAGES = 4;
const MEGABYTE = 1024 * 1024;

/**
 * What a process may take beyond its idle size, in bytes. All content at once would be 80 MB, and
 * as it goes to Postgres and back several times that; what streams takes what is under way, and
 * what the garbage collector has not come to.
 */
const GROWTH = 120 * MEGABYTE;

const gateway = new Gateway();
const nextHop = new NextHop();

beforeAll(async () => {
  await nextHop.start();
  await gateway.start({
    "/v1/relays/default": {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: nextHop.port }],
      tls: { policy: "none" },
    },
    "/v1/clients/local": { networks: ["127.0.0.0/8"] },
  });
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

/** About 20 MB of lines that differ, with dots to stuff and octets beyond ASCII. */
function largeContent(index: number): string {
  const lines = Array.from(
    { length: 8191 },
    (_, line) =>
      line % 7 === 0
        ? `.${index} a line with a dot in front, ${line}\r\n`
        : `${index} ${line} µ \\ é ${"=".repeat(line % 60)}\r\n`,
  );
  const block = lines.join("");
  const blocks = Math.ceil(20 * MEGABYTE / Buffer.byteLength(block));
  return `Subject: large ${index}\r\n\r\n${block.repeat(blocks)}`;
}

/** The most memory that a process has had resident, in bytes; undefined where nobody says. */
async function peakOf(pid: number): Promise<number | undefined> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`).catch(() => "");
  const kilobytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024;
}

async function send(port: number, index: number, content: string): Promise<string> {
  const dialogue = new Dialogue(port);
  try {
    await dialogue.say("EHLO client.test");
    await dialogue.say(`MAIL FROM:<a${index}@source.test> BODY=8BITMIME`);
    await dialogue.say(`RCPT TO:<b${index}@destination.test>`);
    await dialogue.say("DATA");
    return queueIdOf(await dialogue.say(`${content.replaceAll("\r\n.", "\r\n..")}.`));
  } finally {
    dialogue.close();
  }
}

test("large messages stream through, whole and without filling the memory", async () => {
  const ingress = await gateway.startIngress();
  const worker = await gateway.startWorker();
  const idle = await Promise.all([ingress, worker].map(({ pid }) => peakOf(pid)));
  const contents = Array.from({ length: MESSAGES }, (_, index) => largeContent(index));
  await Promise.all(contents.map((content, index) => send(ingress.port, index, content)));
  await eventually("all have arrived", () => nextHop.accepted.length === MESSAGES, 60);
  for (const [index, content] of contents.entries()) {
    const [taken] = nextHop.acceptedFor(`b${index}@destination.test`);
    const received = taken!.content;
    const from = received.indexOf("Subject: ");
    // Compared as a whole: to show where they differ would take minutes.
    expect(received.subarray(from).equals(Buffer.from(content))).toBe(true);
  }
  for (const [index, { pid }] of [ingress, worker].entries()) {
    const peak = await peakOf(pid);
    if (peak !== undefined) expect(peak - idle[index]!).toBeLessThan(GROWTH);
  }
}, 120_000);
