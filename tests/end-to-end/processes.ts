/**
 * Starts the real processes of the gateway for a test and stops them again, by their own pid. What
 * they log is kept, and shown when a test fails. Must not know what the tests are about.
 */
import { fileURLToPath } from "node:url";
import { beforeEach } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** How long a process may take to be ready, or to end by itself, in milliseconds. */
const PATIENCE = 20_000;

/** How long a process may take to drain when nobody talks to it any more, in milliseconds. */
const DRAIN_PATIENCE = 10_000;

/** The last lines of each process are shown when a test fails. */
const SHOWN_LINES = 40;

/** What a child needs of our own environment; nothing else reaches it. */
const INHERITED = ["PATH", "HOME", "DENO_DIR", "TMPDIR", "LANG"];

/** The processes that tests start. */
export type ProcessName = "ingress" | "worker" | "admin";

/** A process that is ready. */
export interface RunningProcess {
  readonly name: ProcessName;
  readonly pid: number;
  /** Where it listens, as it said itself. */
  readonly listening: readonly string[];
  /** All it wrote on standard error so far. */
  log(): string;
  /** SIGTERM; resolves with the exit code. SIGKILL when it does not drain in time. */
  stop(): Promise<number>;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
}

/** How a process ended. */
export interface Exit {
  readonly code: number;
  readonly stderr: string;
}

function spawn(
  name: ProcessName,
  environment: Readonly<Record<string, string>>,
  wrapper: readonly string[] = [],
) {
  const inherited = INHERITED.flatMap((key) => {
    const value = Deno.env.get(key);
    return value === undefined ? [] : [[key, value]];
  });
  const [program, ...args] = [
    ...wrapper,
    ...[
      Deno.execPath(),
      "run",
      "--v8-flags=--max-semi-space-size=4",
      "-A",
      `apps/${name}/src/main.ts`,
    ],
  ];
  const child = new Deno.Command(program!, {
    args,
    cwd: root,
    clearEnv: true,
    env: {
      ...Object.fromEntries(inherited),
      POSTERN_SUPERVISED: "1",
      POSTERN_HOSTNAME: "gateway.test",
      POSTERN_LOG_FORMAT: "json",
      ...environment,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let stderr = "";
  const logged = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) stderr += text;
  })();
  return { child, logged, log: () => stderr };
}

/** The line that says where the process listens; undefined when it ended without one. */
async function readiness(
  stdout: ReadableStream<Uint8Array<ArrayBuffer>>,
): Promise<readonly string[] | undefined> {
  const reader = stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return undefined;
    text += value;
    const line = text.split("\n").slice(0, -1).find((one) => one.startsWith('{"ready":true'));
    if (line === undefined) continue;
    void drain(reader);
    return (JSON.parse(line) as { listening: string[] }).listening;
  }
}

async function drain(reader: ReadableStreamDefaultReader<string>): Promise<void> {
  while (!(await reader.read()).done);
}

/** Resolves with undefined when the promise takes too long. */
async function within<T>(promise: Promise<T>, milliseconds: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It is gone already, which is what was wanted.
  }
}

/** The processes of one test file. */
export class Processes {
  readonly #running = new Set<RunningProcess>();
  readonly #logs: (() => string)[] = [];

  constructor() {
    beforeEach(({ onTestFailed }) => {
      onTestFailed(() => console.error(this.#shown()));
    });
  }

  /** Starts a process and waits until it is ready; throws with its log when it does not get so far. */
  async start(
    name: ProcessName,
    environment: Readonly<Record<string, string>>,
    /** A command that becomes the process that its arguments name; `exec` must keep the pid. */
    wrapper: readonly string[] = [],
  ): Promise<RunningProcess> {
    const { child, logged, log } = spawn(name, environment, wrapper);
    this.#logs.push(() => {
      const lines = log().trimEnd().split("\n");
      const left = Math.max(0, lines.length - SHOWN_LINES);
      return [`--- ${name} ${child.pid}, ${left} lines before`, ...lines.slice(left)].join("\n");
    });
    const listening = await within(readiness(child.stdout), PATIENCE);
    if (listening === undefined) {
      signal(child, "SIGKILL");
      await child.status;
      await logged;
      throw new Error(`${name} did not become ready:\n${log()}`);
    }
    const gone = async () => {
      const { code } = await child.status;
      await logged;
      // The pipe may be closed from the other side already.
      await child.stdin.close().catch(() => {});
      this.#running.delete(running);
      return code;
    };
    const running: RunningProcess = {
      name,
      pid: child.pid,
      listening,
      log,
      stop: async () => {
        signal(child, "SIGTERM");
        if (await within(child.status, DRAIN_PATIENCE) === undefined) signal(child, "SIGKILL");
        return await gone();
      },
      kill: async () => {
        signal(child, "SIGKILL");
        await gone();
      },
    };
    this.#running.add(running);
    return running;
  }

  /** Runs a process that is expected to end by itself. */
  async runToEnd(
    name: ProcessName,
    environment: Readonly<Record<string, string>>,
  ): Promise<Exit | "still running"> {
    const { child, logged, log } = spawn(name, environment);
    const ended = within(child.status, PATIENCE);
    const ready = await Promise.race([readiness(child.stdout), ended.then(() => undefined)]);
    const status = ready === undefined ? await ended : undefined;
    if (status === undefined) signal(child, "SIGKILL");
    await child.status;
    await logged;
    await child.stdin.close().catch(() => {});
    return status === undefined ? "still running" : { code: status.code, stderr: log() };
  }

  /** Stops all that still run; each must drain in good order. */
  async stop(): Promise<void> {
    const ends = await Promise.all(
      [...this.#running].map(async (one) => ({ name: one.name, code: await one.stop() })),
    );
    const bad = ends.filter(({ code }) => code !== 0);
    if (bad.length === 0) return;
    throw new Error(`did not drain: ${JSON.stringify(bad)}\n${this.#shown()}`);
  }

  #shown(): string {
    return this.#logs.map((log) => log()).join("\n");
  }
}
