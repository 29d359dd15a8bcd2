/**
 * NAME
 *   bench – Postern beside Postfix on the same machine, in the same run
 *
 * SYNOPSIS
 *   npm run bench -- [--scenarios ABCDEFHIJ] [--runs 3] [--scale 1] [--no-postfix] [--folder /var/tmp]
 *       [--profiles FOLDER]
 *
 * WHAT IT DOES
 *   Starts a private Postfix and a private Postern (embedded Postgres with fsync on, ingress, worker,
 *   API), both on loopback and both relaying to one counting sink in this process, and puts the same
 *   load on each in turn. Prints a table in Markdown with minimum/median/maximum of the runs, the
 *   ratio of the medians, and the target. Servers, load and sink share two processors.
 *
 *     A  the memory of 3,000 idle sessions beside 1,000 others, before anything else (Postern only)
 *     B  10,000 messages of 4 KB, 20 sessions, kept connections
 *     C  10,000 messages of 4 KB, 20 sessions, a connection for each message
 *     D  1,000 messages of 4 KB with 50 recipients of one destination each
 *     E  200 messages of 1 MB
 *     F  20,000 messages of 4 KB accepted while no worker runs, then delivered (Postern only)
 *     G  500,000 messages of 4 KB as in B, tenth by tenth (Postern only; only when asked for)
 *     H  the latency of 300 messages of 4 KB in one session
 *     I  the same while 100,000 wait at a next hop that takes content and never answers (Postern only)
 *     J  the memory that 20 messages of 50 MB at once take of ingress and worker (Postern only)
 *
 *   --scale 0.1 takes a tenth of the messages, to try it out. --profiles has each process of Postern
 *   write a CPU profile into that folder (for Chromium's developer tools).
 *
 * WHAT IT NEEDS
 *   Linux; Debian's postfix package for smtp-source and for Postfix itself, which only root can start
 *   (--no-postfix measures Postern alone); 4 GB under the folder, 15 GB for G. About five minutes; G
 *   takes ten more. Nothing else that is busy: ratios bear a busy machine, other figures do not.
 *
 * DIAGNOSTICS
 *   Exit code 0 when all was measured, whatever the figures; 1 with one sentence when something is
 *   missing or failed; 2 for wrong arguments. On SIGINT and SIGTERM everything is ended and removed.
 */
import { parseArgs } from "node:util";
import { type Load, loadProblem } from "./load.ts";
import type { MailServer } from "./mail-server.ts";
import { postfixProblem, startPostfix } from "./postfix.ts";
import { type Postern, startPostern } from "./postern.ts";
import { type Measured, rowsOf, tableOf, type Target } from "./report.ts";
import {
  backlog,
  besideBacklog,
  type Figures,
  idleSessions,
  largeMessages,
  latency,
  longRun,
  throughput,
} from "./scenarios.ts";
import { Sink } from "./sink.ts";

const small: Load = { messages: 10_000, size: 4096, recipients: 1, sessions: 20, kept: false };

interface Scenario {
  readonly title: string;
  readonly targets: readonly Target[];
  readonly load: Load;
  /** Runs of Postern, and of Postfix where the scenario is for both. */
  readonly postern: (server: Postern, sink: Sink, load: Load) => Promise<Figures>;
  readonly postfix?: (server: MailServer, sink: Sink, load: Load) => Promise<Figures>;
  /** Once is enough, however many runs are asked for. */
  readonly once?: true;
}

const both = (run: (server: MailServer, sink: Sink, load: Load) => Promise<Figures>) => ({
  postern: run,
  postfix: run,
});
const atLeast = (figure: string, least: number): Target => ({ figure, of: "Postfix", least });

const scenarios: Readonly<Record<string, Scenario>> = {
  A: {
    title: "idle sessions",
    targets: [{ figure: "KB a session", of: "itself", most: 10 }],
    load: { ...small, messages: 3000 },
    postern: (server, _sink, { messages }) => idleSessions(server, messages),
    once: true,
  },
  B: {
    title: "4 KB, kept connections",
    targets: [atLeast("end to end", 2.5)],
    load: { ...small, kept: true },
    ...both(throughput),
  },
  C: {
    title: "4 KB, new connections",
    targets: [atLeast("accept", 3), atLeast("end to end", 2.5)],
    load: small,
    ...both(throughput),
  },
  D: {
    title: "50 recipients",
    targets: [atLeast("end to end", 1.5)],
    load: { ...small, messages: 1000, recipients: 50 },
    ...both(throughput),
  },
  E: {
    title: "1 MB",
    targets: [atLeast("end to end", 0.8)],
    load: { ...small, messages: 200, size: 1_048_576 },
    ...both(throughput),
  },
  F: {
    title: "backlog of 20,000",
    targets: [{
      ...atLeast("end to end", 3),
      against: { scenario: "B", figure: "end to end" },
    }],
    load: { ...small, messages: 20_000, kept: true },
    postern: backlog,
  },
  G: {
    title: "500,000 in one run",
    targets: [{ figure: "last tenth / first", of: "itself", least: 0.9 }],
    load: { ...small, messages: 500_000, kept: true },
    postern: longRun,
    once: true,
  },
  H: {
    title: "latency in ms",
    targets: [{ figure: "250, p50", of: "Postfix", most: 2 }],
    load: { ...small, messages: 300, sessions: 1 },
    ...both(latency),
  },
  I: {
    title: "latency in ms beside 100,000",
    targets: [],
    load: { ...small, messages: 100_000, kept: true },
    postern: besideBacklog,
    once: true,
  },
  J: {
    title: "20 of 50 MB at once",
    targets: [
      { figure: "ingress, MB", of: "itself", most: 100 },
      { figure: "worker, MB", of: "itself", most: 100 },
    ],
    load: { ...small, messages: 20, size: 50_000_000 },
    postern: largeMessages,
    once: true,
  },
};

/** Milliseconds that what is under way may take to notice that all was ended. */
const GRACE = 20_000;

/** The processors that everything shares. */
const PROCESSORS = "0,1";

interface Arguments {
  readonly scenarios: readonly string[];
  readonly runs: number;
  readonly scale: number;
  readonly postfix: boolean;
  readonly folder: string;
  readonly profiles?: string | undefined;
}

function readArguments(): Arguments | string {
  try {
    const { values } = parseArgs({
      args: Deno.args,
      allowNegative: true,
      options: {
        scenarios: { type: "string", default: "ABCDEFHIJ" },
        runs: { type: "string", default: "3" },
        scale: { type: "string", default: "1" },
        postfix: { type: "boolean", default: true },
        folder: { type: "string", default: "/var/tmp" },
        profiles: { type: "string" },
      },
    });
    const wanted = [...new Set(values.scenarios.toUpperCase())].sort();
    const unknown = wanted.filter((name) => scenarios[name] === undefined);
    if (unknown.length > 0) return `there is no scenario ${unknown.join(", ")}`;
    const [runs, scale] = [Number(values.runs), Number(values.scale)];
    if (!Number.isInteger(runs) || runs < 1 || runs > 100) return "--runs takes 1 to 100";
    if (!(scale > 0 && scale <= 10)) return "--scale takes a number above 0, up to 10";
    if (!values.folder.startsWith("/")) return "--folder takes an absolute path";
    return { ...values, scenarios: wanted, runs, scale };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

/** Runs this program again on two processors; the answer is its exit code. */
async function onTwoProcessors(): Promise<number> {
  const { code } = await new Deno.Command("taskset", {
    args: ["-c", PROCESSORS, Deno.execPath(), "run", "-A", import.meta.filename!, ...Deno.args],
  }).spawn().status;
  return code;
}

async function bench(given: Arguments): Promise<void> {
  const stops: (() => Promise<void>)[] = [];
  let stopping: Promise<void> | undefined;
  // A signal and the failure that it leads to ask for the same end, and wait for it.
  const stopAll = () =>
    stopping ??= (async () => {
      for (let stop = stops.pop(); stop !== undefined; stop = stops.pop()) {
        await stop().catch((error) => console.error(`while ending: ${error}`));
      }
    })();
  /** A start that a signal comes upon is waited for, and what it started is ended. */
  const begin = <T extends { stop(): Promise<void> }>(starting: Promise<T>): Promise<T> => {
    stops.push(async () => await (await starting.catch(() => undefined))?.stop());
    return starting;
  };
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    // What is under way fails by that, and this program with it.
    Deno.addSignalListener(name, () => {
      void stopAll().finally(() => setTimeout(() => Deno.exit(130), GRACE));
    });
  }
  try {
    const folder = await Deno.makeTempDir({ dir: given.folder, prefix: "postern-bench-" });
    stops.push(() => Deno.remove(folder, { recursive: true }));
    await Deno.chmod(folder, 0o755);
    const sink = new Sink();
    await sink.start();
    stops.push(() => sink.stop());
    const postfix = given.postfix
      ? await begin(startPostfix(`${folder}/postfix`, sink.port))
      : undefined;
    if (stopping !== undefined) throw new Error("ended");
    const postern = await begin(startPostern(`${folder}/postern`, sink.port, given.profiles));
    const measured: Measured[] = [];
    for (const name of given.scenarios) {
      measured.push(await measure(name, given, { postfix, postern, sink }));
    }
    console.log(`\n${tableOf(rowsOf(measured))}`);
  } finally {
    await stopAll();
  }
}

/** One scenario, the servers in turn, so that what else the machine does meets both. */
async function measure(
  name: string,
  { runs, scale }: Arguments,
  { postfix, postern, sink }: {
    readonly postfix: MailServer | undefined;
    readonly postern: Postern;
    readonly sink: Sink;
  },
): Promise<Measured> {
  const scenario = scenarios[name]!;
  const { load, title, targets } = scenario;
  const scaled = { ...load, messages: Math.max(10, Math.round(load.messages * scale)) };
  const figures: { postfix: Figures[]; postern: Figures[] } = { postfix: [], postern: [] };
  const note = (server: string, result: Figures) => {
    const shown = Object.entries(result).map(([key, value]) => `${key} ${value.toFixed(2)}`);
    console.log(`${name} ${title}, ${server}: ${shown.join("; ")}`);
    return result;
  };
  for (let run = 0; run < (scenario.once ? 1 : runs); run += 1) {
    if (postfix !== undefined && scenario.postfix !== undefined) {
      figures.postfix.push(note(postfix.name, await scenario.postfix(postfix, sink, scaled)));
    }
    figures.postern.push(note(postern.name, await scenario.postern(postern, sink, scaled)));
  }
  return { scenario: name, title, targets, ...figures };
}

async function main(): Promise<number> {
  const given = readArguments();
  if (typeof given === "string") {
    console.error(`bench: ${given}`);
    return 2;
  }
  const problem = await loadProblem() ?? (given.postfix ? await postfixProblem() : undefined);
  if (problem !== undefined) {
    console.error(`bench: ${problem}`);
    return 1;
  }
  if (navigator.hardwareConcurrency > 2) return await onTwoProcessors();
  const [load = NaN] = Deno.loadavg();
  console.log(
    `${new Date().toISOString()}, ${navigator.hardwareConcurrency} processors, load ${
      load.toFixed(1)
    } before the start, ${given.runs} runs, Deno ${Deno.version.deno}`,
  );
  try {
    await bench(given);
    return 0;
  } catch (error) {
    console.error(`bench: ${error instanceof Error ? error.message : error}`);
    return 1;
  }
}

Deno.exit(await main());
