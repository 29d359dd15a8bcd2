/**
 * Keeps child processes running: starts them, learns from their standard output when they serve,
 * starts them again with a growing pause when they die, and stops them together. Their standard
 * input is a pipe that nothing is written to: it ends when this process dies, in whatever way,
 * and that is how they learn of it. Knows nothing of what the children do.
 */
import type { Log } from "@postern/process";
import { sleep } from "./sleep.ts";

/** One child process. */
export interface ChildSpec {
  readonly name: string;
  /** The arguments for Deno: `run`, the permissions, the file. */
  readonly args: readonly string[];
}

/** Durations in milliseconds. */
export interface SupervisionTimes {
  /** The pause before the first restart; it doubles with each further one. */
  readonly firstPause: number;
  readonly longestPause: number;
  /** A child that served for this long starts again with the first pause. */
  readonly healthyAfter: number;
  /** How long a child may drain before it is killed. */
  readonly drain: number;
}

/** The times of production. */
export const SUPERVISION_TIMES: SupervisionTimes = {
  firstPause: 200,
  longestPause: 10_000,
  healthyAfter: 30_000,
  drain: 30_000,
};

/** How the first start of all children went. */
export type FirstStart =
  | { readonly ok: true; readonly listening: Readonly<Record<string, readonly string[]>> }
  /** The child ended with exit code 1 before it served; its reason is on standard error. */
  | { readonly ok: false; readonly failed: string };

/** What runs once {@link supervise} was called. */
export interface Supervisor {
  readonly firstStart: Promise<FirstStart>;
  /** Passes SIGHUP on to the children that serve: what starts has not learned to live with it yet. */
  hangUp(): void;
  /** Asks all children to drain, kills those that do not in time, resolves when none is left. */
  stop(): Promise<void>;
}

/** Starts the children and keeps them running until `stop`. */
export function supervise(options: {
  readonly children: readonly ChildSpec[];
  readonly env: Readonly<Record<string, string>>;
  readonly log: Log;
  readonly times?: SupervisionTimes;
}): Supervisor {
  const { children, env, log, times = SUPERVISION_TIMES } = options;
  const first = Promise.withResolvers<FirstStart>();
  const listening: Record<string, readonly string[]> = {};
  const serving = new Set<Deno.ChildProcess>();
  const stopping = new AbortController();

  function served(name: string, addresses: readonly string[]): void {
    listening[name] = addresses;
    if (children.every((child) => child.name in listening)) first.resolve({ ok: true, listening });
  }

  async function keep(child: ChildSpec): Promise<void> {
    let pause = times.firstPause;
    while (!stopping.signal.aborted) {
      const startedAt = performance.now();
      const process = new Deno.Command(Deno.execPath(), {
        args: [...child.args],
        env: { ...env, POSTERN_SUPERVISED: "1" },
        stdin: "piped",
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const stop = () => terminate(process);
      stopping.signal.addEventListener("abort", stop, { once: true });
      const reading = readReadyLines(process.stdout, (addresses) => {
        serving.add(process);
        served(child.name, addresses);
      });
      const status = await process.status;
      stopping.signal.removeEventListener("abort", stop);
      await reading;
      serving.delete(process);
      await process.stdin.close().catch(() => {}); // already broken: its reader is gone
      if (stopping.signal.aborted) return;
      if (status.code === 1 && !(child.name in listening)) {
        first.resolve({ ok: false, failed: child.name });
        return;
      }
      if (performance.now() - startedAt >= times.healthyAfter) pause = times.firstPause;
      log.warning("a process ended and is started again", {
        child: child.name,
        code: status.code,
        signal: status.signal,
        pause: pause / 1000,
      });
      await sleep(pause, stopping.signal);
      pause = Math.min(pause * 2, times.longestPause);
    }
  }

  /** Asks a child to stop; it is killed if it takes too long. */
  function terminate(process: Deno.ChildProcess): void {
    signal(process, "SIGTERM");
    const timer = setTimeout(() => {
      log.error("a process did not stop in time and is killed", { pid: process.pid });
      signal(process, "SIGKILL");
    }, times.drain);
    void process.status.finally(() => clearTimeout(timer));
  }

  function signal(process: Deno.ChildProcess, name: Deno.Signal): void {
    try {
      process.kill(name);
    } catch (error) {
      // It ended in this moment; its status says so.
      if (!(error instanceof TypeError) && !(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  const kept = children.map(keep);
  for (const keeping of kept) keeping.catch((error: unknown) => first.reject(error));
  return {
    firstStart: first.promise,
    hangUp() {
      for (const process of serving) signal(process, "SIGHUP");
    },
    async stop() {
      stopping.abort();
      await Promise.allSettled(kept);
    },
  };
}

/** Reads a child's standard output to its end; only ready lines mean anything. */
async function readReadyLines(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
  ready: (listening: readonly string[]) => void,
): Promise<void> {
  let text = "";
  for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (text + part).split("\n");
    text = (lines.pop() ?? "").slice(0, 65_536);
    for (const line of lines) {
      const listening = parseReadyLine(line);
      if (listening !== undefined) ready(listening);
    }
  }
}

function parseReadyLine(line: string): readonly string[] | undefined {
  if (!line.startsWith('{"ready":true')) return undefined;
  const parsed: { listening?: unknown } = JSON.parse(line);
  return Array.isArray(parsed.listening) ? parsed.listening.map(String) : [];
}
