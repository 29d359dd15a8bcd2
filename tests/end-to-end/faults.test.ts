/**
 * kill -9 of ingress, worker and Postgres at random moments under load, all as real processes. The
 * ledger has every 250 that a client got and every copy that reached the next hop: with the worker
 * that made it, and a reply of its own by which it is found in the events of the gateway.
 *
 * `npm test` kills 12 times; `npm run faults` 200 times, or FAULT_KILLS times, by the seed FAULT_SEED.
 */
import { startPostgres } from "@postern/postgres";
import { migrate, openDatabase, removeDeadProcesses } from "@postern/store";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { contentWith, Dialogue, subjectOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Ledger, type Victim } from "./ledger.ts";
import { NextHop } from "./next-hop.ts";
import { Processes, type RunningProcess } from "./processes.ts";
import { randomFrom } from "./random.ts";

const KILLS = Number(Deno.env.get("FAULT_KILLS") ?? 12);
const SEED = Number(Deno.env.get("FAULT_SEED") ?? 20_261_124);
const LONG = KILLS > 12;
const SHOWN = LONG || Deno.env.has("FAULT_SEED");
const CLIENTS = 6;

/** Milliseconds between two kills, and before what was killed is started again: up to so many. */
const BETWEEN = 700;
const DOWN = 400;

const random = randomFrom(SEED);
const ledger = new Ledger();
const processes = new Processes();
const nextHop = new NextHop();
let dataDir = "";
let url = "";
let stopPostgres: () => Promise<void> = () => Promise.resolve();

async function startDatabase(): Promise<void> {
  const started = await startPostgres({ dataDir });
  if (!started.ok) throw new Error(started.problem);
  if (url !== "" && started.url !== url) throw new Error("Postgres came back at another address");
  url = started.url;
  stopPostgres = () => started.stop();
}

/** Where the embedded Postgres keeps its files. */
async function clusterFolder(): Promise<string> {
  const pointer = await Deno.readTextFile(`${dataDir}/postgres-folder`).catch(() => "");
  return pointer.trim() || `${dataDir}/postgres`;
}

/**
 * Starts Postgres at a port below those that the system gives away: while it is dead, somebody else's
 * connection must not get its port.
 */
async function startAtSteadyPort(): Promise<void> {
  await startDatabase();
  await stopPostgres();
  const file = `${await clusterFolder()}/postern.conf`;
  const settings = await Deno.readTextFile(file);
  const port = 12_000 + Deno.pid % 20_000;
  await Deno.writeTextFile(file, settings.replace(/^port = .*$/m, `port = ${port}`));
  url = "";
  await startDatabase();
}

const pause = (milliseconds: number) => new Promise((wake) => setTimeout(wake, milliseconds));

beforeAll(async () => {
  dataDir = await Deno.makeTempDir({ prefix: "postern-faults-" });
  await Deno.chmod(dataDir, 0o755);
  await startAtSteadyPort();
  await migrate(url);
  await nextHop.start();
  const token = "faults";
  const admin = await processes.start("admin", {
    DATABASE_URL: url,
    POSTERN_ADMIN_LISTEN: "127.0.0.1:0",
    POSTERN_ADMIN_TOKEN: token,
  });
  const [listening] = admin.listening;
  const api = listening!.includes("://") ? listening! : `http://${listening}`;
  const resources = {
    "relays/internal": {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: nextHop.port }],
      retry: { delays: [1], lifetime: 3600 },
    },
    "domains/relay.test": { relay: "internal" },
  };
  for (const [path, body] of Object.entries(resources)) {
    const response = await fetch(new URL(`/v1/${path}`, api), {
      method: "PUT",
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(await response.text());
    await response.body?.cancel();
  }
  await admin.stop();
});

afterAll(async () => {
  try {
    await processes.stop();
  } finally {
    await nextHop.stop();
    await stopPostgres();
    await Deno.remove(dataDir, { recursive: true });
  }
});

/** A process that is started again whenever it was killed, however often that takes. */
class Kept {
  current: RunningProcess | undefined;
  readonly #start: () => Promise<RunningProcess>;

  constructor(start: () => Promise<RunningProcess>) {
    this.#start = start;
  }

  /** While Postgres is away a process cannot start: it is tried until it can. */
  async start(): Promise<void> {
    this.current = await eventually("a process starts", () => this.#start(), 300);
  }

  /** SIGKILL, then a new one after a while. */
  async kill(victim: Victim, down: number): Promise<void> {
    const { current } = this;
    if (current === undefined) return;
    this.current = undefined;
    ledger.kill(victim);
    if (victim === "worker") ledger.bury(workerNames.get(current)!);
    await current.kill();
    if (victim === "worker") await forget(current.pid);
    await pause(down);
    await this.start();
  }
}

/** What each worker calls itself to the next hop. */
const workerNames = new Map<RunningProcess, string>();
let workersBegun = 0;

/** Starts a worker under a name that no other has had. */
async function startWorker(): Promise<RunningProcess> {
  workersBegun += 1;
  const name = `worker-${workersBegun}.gateway.test`;
  try {
    const running = await processes.start("worker", { DATABASE_URL: url, POSTERN_HOSTNAME: name });
    workerNames.set(running, name);
    return running;
  } catch (error) {
    ledger.bury(name);
    throw error;
  }
}

/** The replies to content that the events have as deliveries. */
async function recordedReplies(sql: postgres.Sql): Promise<Set<string>> {
  const rows = await sql`
    select r ->> 'reply' as reply
    from events, json_array_elements((detail -> 'recipients')::json) as r
    where kind = 'attempted' and r ->> 'state' = 'delivered'`;
  return new Set(rows.map((row) => String(row["reply"])));
}

/**
 * Others that have run for long enough take a worker for dead 30 s after its last sign of life; that
 * time is made to pass here.
 */
async function forget(pid: number): Promise<void> {
  if (LONG) return;
  const database = openDatabase(url, { applicationName: "fault test", connections: 1 });
  try {
    await eventually("the dead worker's claims are free", async () => {
      await database.sql`update processes set seen_at = now() - interval '1 minute'
        where kind = 'worker' and pid = ${pid}`;
      await removeDeadProcesses(database);
      return true;
    }, 60);
  } finally {
    await database.close();
  }
}

async function killPostgres(down: number): Promise<void> {
  const pidFile = await Deno.readTextFile(`${await clusterFolder()}/data/postmaster.pid`);
  ledger.kill("postgres");
  Deno.kill(Number(pidFile.split("\n")[0]), "SIGKILL");
  await pause(down);
  await startDatabase();
}

/** Sends mail, one message after another, through whichever ingress there is, until told to stop. */
async function client(name: number, ingresses: readonly Kept[], stopped: () => boolean) {
  const chance = randomFrom(SEED + 1 + name);
  let dialogue: Dialogue | undefined;
  for (let count = 0; !stopped(); count += 1) {
    const ingress = ingresses[chance(ingresses.length)]!.current;
    if (ingress === undefined) {
      await pause(10);
      continue;
    }
    const message = `${name}-${count}`;
    // One in fifty is so large that its content goes ahead of it in pieces.
    const lines = chance(50) === 0 ? 20_000 : 1 + chance(100);
    const body = `${message} 0123456789abcdef\r\n`.repeat(lines);
    const recipients = chance(4) === 0 ? ["a@relay.test", "b@relay.test"] : ["a@relay.test"];
    try {
      if (dialogue === undefined) {
        dialogue = new Dialogue(Number(new URL(ingress.listening[0]!).port));
        await dialogue.say("EHLO client.test");
      }
      ledger.send(message, recipients, body);
      const reply = await dialogue.mail("s@sender.test", recipients, contentWith(message, body));
      if (reply.startsWith("250 ")) ledger.promise(message);
      else {
        // Nothing but "later" is a fit answer to a sound message, whatever dies.
        expect(reply).toMatch(/^4\d\d 4\./);
        dialogue.close();
        dialogue = undefined;
      }
    } catch (error) {
      if (!String(error).includes("connection lost")) throw error;
      dialogue?.close();
      dialogue = undefined;
    }
    await pause(chance(20));
  }
  dialogue?.close();
}

test(`nothing is lost by ${KILLS} kills, nothing doubled without need`, async () => {
  let copies = 0;
  nextHop.script = (step) => {
    if (step !== "message") return undefined;
    const { content, recipients, client: worker } = nextHop.seen.at(-1)!;
    copies += 1;
    const reply = `250 2.0.0 Copy ${copies}`;
    const text = content.toString("latin1");
    ledger.arrive(subjectOf(content), recipients, text.slice(text.indexOf("\r\n\r\n") + 4), {
      worker,
      reply,
    });
    // The ledger has it: a long run must not keep it all in memory.
    nextHop.seen.length = 0;
    nextHop.accepted.length = 0;
    return reply;
  };
  const environment = { DATABASE_URL: url };
  const ingress = () =>
    new Kept(() =>
      processes.start("ingress", { ...environment, POSTERN_SMTP_LISTEN: "smtp://127.0.0.1:0" })
    );
  const worker = () => new Kept(startWorker);
  const ingresses = [ingress(), ingress()];
  const workers = [worker(), worker()];
  await Promise.all([...ingresses, ...workers].map((one) => one.start()));

  let over = false;
  const clients = Array.from(
    { length: CLIENTS },
    (_, name) => client(name, ingresses, () => over),
  );
  const restarts: Promise<void>[] = [];
  const restarting = (restart: Promise<void>) => {
    // What goes wrong with it is thrown where all are awaited.
    restart.catch(() => {});
    restarts.push(restart);
  };
  // A victim that is down already cannot be killed again: then the next one comes sooner.
  while (ledger.killed < KILLS) {
    // Under load means: there is somebody to take mail, and somebody to deliver it.
    await eventually(
      "an ingress and a worker run",
      () => [ingresses, workers].every((all) => all.some(({ current }) => current !== undefined)),
      300,
    );
    await pause(random(BETWEEN));
    const down = random(DOWN);
    const chosen = random(5);
    if (chosen < 2) restarting(ingresses[chosen]!.kill("ingress", down));
    else if (chosen < 4) restarting(workers[chosen - 2]!.kill("worker", down));
    else await killPostgres(down);
  }
  await Promise.all(restarts);
  over = true;
  await Promise.all(clients);

  await eventually("all that was promised has arrived", () => ledger.missing().length === 0, 90)
    .catch(() => {});
  expect(ledger.missing().slice(0, 20)).toEqual([]);

  // The books of the gateway itself agree: all ended, nothing waits, no content is without a message.
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    await eventually("the queue is empty", async () => {
      const [row] = await sql`select
        (select count(*)::int from deliveries) as waiting,
        (select count(*)::int from recipients where state <> 'delivered') as undelivered`;
      return row?.["waiting"] === 0 && row["undelivered"] === 0;
    }, 60);
    const { faults, ...figures } = ledger.balance(await recordedReplies(sql));
    if (SHOWN) console.log(JSON.stringify(figures));
    expect(faults.slice(0, 20)).toEqual([]);
    expect(ledger.killed).toBe(KILLS);
    expect(figures.promised).toBeGreaterThan(KILLS * 5);
  } finally {
    await sql.end();
  }
}, LONG ? 3_600_000 : 120_000);
