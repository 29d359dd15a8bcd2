/** What is measured, one function each. A rate is messages a second, a latency milliseconds. */
import { openDatabase } from "@postern/store";
import { Client } from "./client.ts";
import { type Load, send } from "./load.ts";
import type { MailServer } from "./mail-server.ts";
import type { Postern } from "./postern.ts";
import { processorSeconds } from "./processor-time.ts";
import { Sink } from "./sink.ts";

/** Figures by name. */
export type Figures = Readonly<Record<string, number>>;

/** Longest that a load, and then its arrival at the sink, may take. */
const PATIENCE = 300;

/** Sessions that are open before memory is measured. */
const WARM_UP = 1000;

/** Throughput: how fast mail is accepted, and how fast it is at the sink, the first byte to the last. */
export async function throughput(server: MailServer, sink: Sink, load: Load): Promise<Figures> {
  sink.reset();
  const before = processorSeconds(server.roots());
  const { began, ended } = await send(server.port, load, PATIENCE);
  const { lastAt } = await sink.until(load.messages * load.recipients, PATIENCE);
  const used = processorSeconds(server.roots()) - before;
  return {
    accept: rate(load.messages, ended - began),
    "end to end": rate(load.messages, lastAt - began),
    "CPU ms a message": used * 1000 / load.messages,
  };
}

/** A backlog: mail is accepted while nothing is delivered, then delivered while nothing comes in. */
export async function backlog(server: Postern, sink: Sink, load: Load): Promise<Figures> {
  await server.stopWorker();
  sink.reset();
  try {
    await send(server.port, load, PATIENCE);
  } finally {
    await server.startWorker();
  }
  const { firstAt, lastAt } = await sink.until(load.messages * load.recipients, PATIENCE);
  return { "end to end": rate(load.messages - 1, lastAt - firstAt) };
}

/** Latency of one session that waits for each reply: MAIL to the 250 after the dot, and to the sink. */
export async function latency(
  server: MailServer,
  sink: Sink,
  { messages }: Pick<Load, "messages">,
): Promise<Figures> {
  const content = `Subject: x\r\n\r\n${`${"y".repeat(70)}\r\n`.repeat(56)}`;
  const accepted: number[] = [];
  const arrived: number[] = [];
  const client = await Client.open(server.port);
  try {
    for (let count = 0; count < messages; count += 1) {
      const arrival = new Promise<void>((resolve) => sink.onMessage = resolve);
      const began = performance.now();
      await client.say("MAIL FROM:<a@source.test>", "250");
      await client.say("RCPT TO:<u@destination.test>", "250");
      await client.say("DATA", "354");
      await client.say(`${content}.`, "250");
      accepted.push(performance.now() - began);
      await within(arrival, 10_000);
      arrived.push(performance.now() - began);
    }
  } finally {
    sink.onMessage = () => {};
    client.close();
  }
  return {
    "250, p50": percentile(accepted, 0.5),
    "250, p99": percentile(accepted, 0.99),
    "at the sink, p50": percentile(arrived, 0.5),
    "at the sink, p99": percentile(arrived, 0.99),
  };
}

/** Memory of the ingress for each session that said EHLO and then nothing, in KB. */
export async function idleSessions(server: Postern, sessions: number): Promise<Figures> {
  const clients: Client[] = [];
  try {
    // The first bring memory that the rest shares: code, and a heap that grows in steps.
    for (let count = 0; count < WARM_UP; count += 1) clients.push(await Client.open(server.port));
    const before = await residentKilobytes(server.ingressPid);
    for (let count = 0; count < sessions; count += 1) clients.push(await Client.open(server.port));
    const after = await residentKilobytes(server.ingressPid);
    return { "KB a session": (after - before) / sessions };
  } finally {
    for (const client of clients) client.close();
  }
}

/**
 * Memory that large messages, all at once, take of ingress and worker: the most that each had resident
 * beyond what it had when it was ready.
 */
export async function largeMessages(server: Postern, sink: Sink, load: Load): Promise<Figures> {
  await server.restart();
  const before = {
    ingress: await residentKilobytes(server.ingressPid),
    worker: await residentKilobytes(server.workerPid),
  };
  sink.reset();
  await send(server.port, load, PATIENCE);
  await sink.until(load.messages, PATIENCE);
  const peak = {
    ingress: await residentKilobytes(server.ingressPid, "VmHWM"),
    worker: await residentKilobytes(server.workerPid, "VmHWM"),
  };
  return {
    "ingress, MB": (peak.ingress - before.ingress) / 1000,
    "ingress in all, MB": peak.ingress / 1000,
    "worker, MB": (peak.worker - before.worker) / 1000,
    "worker in all, MB": peak.worker / 1000,
  };
}

/** Latency as in {@link latency}, while so many wait at a next hop that takes all and answers nothing. */
export async function besideBacklog(server: Postern, sink: Sink, load: Load): Promise<Figures> {
  const stalled = new Sink({ stalls: true });
  await stalled.start();
  try {
    const domain = "stalled.test";
    const hosts = [{ host: "127.0.0.1", port: stalled.port }];
    await server.put("/v1/relays/stalled", { kind: "smtp", hosts });
    await server.put(`/v1/domains/${domain}`, { relay: "stalled" });
    await server.stopWorker();
    try {
      await send(server.port, { ...load, domain }, PATIENCE);
    } finally {
      await server.startWorker();
    }
    // As many as a worker has in hand of a next hop that says nothing.
    for (const deadline = performance.now() + 60_000; stalled.count.connections < 2;) {
      if (performance.now() > deadline) {
        throw new Error("the stalled next hop has too few sessions");
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    return await latency(server, sink, { messages: 300 });
  } finally {
    await stalled.stop();
  }
}

/**
 * A long run: the rate of each tenth, to see whether it falls as the database fills, and what the
 * queue's table takes half way and at the end, when nothing waits any more.
 */
export async function longRun(server: Postern, sink: Sink, load: Load): Promise<Figures> {
  sink.reset();
  const tenth = load.messages / 10;
  const marks: number[] = [];
  let half = Promise.resolve(NaN);
  sink.onMessage = () => {
    const { messages } = sink.count;
    if (messages % tenth === 0) marks.push(performance.now());
    if (messages === load.messages / 2) half = queueSize(server.databaseUrl);
  };
  try {
    const { began } = await send(server.port, load, 3600);
    await sink.until(load.messages, PATIENCE);
    const rates = marks.map((at, index) => rate(tenth, at - (marks[index - 1] ?? began)));
    return {
      ...Object.fromEntries(rates.map((value, index) => [`tenth ${index + 1}`, value])),
      "last tenth / first": rates.at(-1)! / rates[0]!,
      "queue half way, MB": await half / 1e6,
      "queue at the end, MB": await queueSize(server.databaseUrl) / 1e6,
    };
  } finally {
    sink.onMessage = () => {};
  }
}

/** Bytes that the table of what is still to be delivered takes, indexes included. */
async function queueSize(databaseUrl: string): Promise<number> {
  const database = openDatabase(databaseUrl, { applicationName: "bench", connections: 1 });
  try {
    const [row] = await database.sql`select pg_total_relation_size('deliveries') as bytes`;
    return Number(row?.bytes);
  } finally {
    await database.close();
  }
}

function rate(messages: number, milliseconds: number): number {
  return messages / (milliseconds / 1000);
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}

async function within(promise: Promise<void>, milliseconds: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new Error(`no arrival within ${milliseconds} ms`)),
      milliseconds,
    );
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What a process has resident, or the most that it ever had. */
async function residentKilobytes(pid: number, of: "VmRSS" | "VmHWM" = "VmRSS"): Promise<number> {
  const status = await Deno.readTextFile(`/proc/${pid}/status`);
  return Number(new RegExp(`^${of}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]);
}
