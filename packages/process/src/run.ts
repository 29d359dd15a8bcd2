/**
 * The life of a process: environment, log, start, ready, drain, exit. Every app's `main.ts` runs
 * inside `runProcess`, so that all of them stop, fail and report in the same way. Knows nothing of
 * what the process does.
 *
 * A supervised process (POSTERN_SUPERVISED=1) says on standard output when it is ready, leaves
 * SIGINT to its supervisor (a terminal sends that to the whole group), and takes the end of its
 * standard input for the death of its supervisor.
 */
import process from "node:process";
import { type Environment, readEnvironment, SUPERVISED_VARIABLE } from "./environment.ts";
import { createLog, type Log } from "./log.ts";

/** An expected failure at start: its message is one clear sentence for the person who started. */
export class StartError extends Error {
  override readonly name = "StartError";
  /** Whether it may be mended over the API while the process is started again and again. */
  readonly mendable: boolean;

  constructor(message: string, { mendable = false, ...options }: StartErrorOptions = {}) {
    super(message, options);
    this.mendable = mendable;
  }
}

interface StartErrorOptions extends ErrorOptions {
  readonly mendable?: boolean;
}

/** The exit code of a mendable error: EX_CONFIG of sysexits.h. Its supervisor does not give up. */
const MENDABLE_CODE = 78;

/** The processes that Postern consists of. */
export type ProcessName = "ingress" | "worker" | "admin" | "gateway" | "migrate";

/** What a process is given. */
export interface ProcessContext {
  readonly environment: Environment;
  readonly log: Log;
  /** Aborted when the process is asked to stop, before the first stop step runs. */
  readonly stopping: AbortSignal;
  /** Registers a step of the drain; the last registered runs first. */
  onStop(step: () => Promise<void> | void): void;
  /** Registers what SIGHUP is to do; without any it does nothing. */
  onHangup(step: () => void): void;
  /** Tells the supervisor, and the log, that the process serves. */
  ready(info: { readonly listening: readonly string[] }): void;
}

/** How a process ends. */
export interface RunOptions {
  /** Stop, with exit code 0, as soon as `main` has resolved. */
  readonly exitWhenDone?: boolean;
}

/** `npm` repeats a terminal's SIGINT: two signals within this time (milliseconds) are one. */
const SAME_SIGNAL = 1000;
/** How long a start that is cut short may take to notice it, in milliseconds. */
const START_GRACE = 5000;
/** How long an orphan may drain, in milliseconds: nobody is left to kill it. */
const ORPHAN_DRAIN = 30_000;
/** The least time between two writes of the log, in milliseconds. */
const LOG_PAUSE = 10;

const encoder = new TextEncoder();

/**
 * Writes a whole text. What cannot be written is lost: that a reader went away or the disk of the log is
 * full is no reason to stop serving mail.
 */
function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  let bytes = encoder.encode(text);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(stream.writeSync(bytes));
  } catch {
    // There is nowhere to say so.
  }
}

/** Waits for a promise, however it ends, but not longer than so many milliseconds. */
async function settled(promise: Promise<unknown>, limit: number): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => timer = setTimeout(resolve, limit));
  await Promise.race([promise.then(() => {}, () => {}), late]);
  clearTimeout(timer);
}

/** Calls `ended` when standard input ends. */
async function watchStandardInput(ended: () => void): Promise<void> {
  const buffer = new Uint8Array(256);
  try {
    while (await Deno.stdin.read(buffer) !== null);
  } catch (error) {
    // A pipe that cannot be read any more has ended too.
    if (!(error instanceof Deno.errors.BadResource)) console.error(error);
  }
  ended();
}

/**
 * Gathers lines into one write: a line after a pause is written at once, what follows it soon after
 * waits for its company. What is gathered is written before the process exits, too.
 */
function gathered(write: (text: string) => void): (line: string) => void {
  let text = "";
  let writtenAt = -Infinity;
  const flush = () => {
    if (text === "") return;
    const whole = text;
    text = "";
    writtenAt = performance.now();
    write(whole);
  };
  // Deno.exit() fires this event, and not node's "exit".
  (globalThis as unknown as EventTarget).addEventListener("unload", flush);
  return (line) => {
    if (text === "") {
      const wait = writtenAt + LOG_PAUSE - performance.now();
      if (wait <= 0) queueMicrotask(flush);
      else setTimeout(flush, wait);
    }
    text += line;
  };
}

/**
 * Runs `main` as a process. Once it has resolved, the process lives until SIGTERM or SIGINT (or,
 * supervised, the end of its standard input), runs its stop steps and exits 0. A second signal
 * exits at once. SIGHUP, which also comes of a terminal that is closed, never ends it. A
 * {@link StartError} becomes its sentence on standard error and exit code 1, or 78 where it is
 * mendable; anything else thrown is a bug: logged, exit code 1.
 */
export async function runProcess(
  name: ProcessName,
  main: (context: ProcessContext) => Promise<void>,
  options: RunOptions = {},
): Promise<void> {
  const terminal = Deno.stderr.isTerminal();
  const read = readEnvironment(Deno.env.toObject(), { hostname: Deno.hostname, terminal });
  if (!read.ok) {
    writeAll(Deno.stderr, read.problems.map((problem) => `postern ${name}: ${problem}\n`).join(""));
    Deno.exit(1);
  }
  const { environment } = read;
  const log = createLog({
    process: name,
    level: environment.logLevel,
    format: environment.logFormat,
    colors: terminal,
    write: gathered((text) => writeAll(Deno.stderr, text)),
  });
  const supervised = Deno.env.get(SUPERVISED_VARIABLE) === "1";

  const fatal = (message: string, error: unknown) => {
    log.error(message, { error });
    Deno.exit(1);
  };
  process.on("unhandledRejection", (error) => fatal("unhandled rejection", error));
  process.on("uncaughtException", (error) => fatal("uncaught error", error));

  const stopping = new AbortController();
  const stopAsked = new Promise<void>((resolve) => {
    stopping.signal.addEventListener("abort", () => resolve());
  });
  let stoppedAt: number | undefined;
  const stop = (reason: string) => {
    if (stopping.signal.aborted) return;
    log.info("stopping", { reason });
    stopping.abort();
  };
  const onSignal = (signal: Deno.Signal, number: number) => () => {
    if (stoppedAt === undefined) {
      stoppedAt = performance.now();
      stop(signal);
    } else if (performance.now() - stoppedAt > SAME_SIGNAL) {
      Deno.exit(128 + number);
    }
  };
  Deno.addSignalListener("SIGTERM", onSignal("SIGTERM", 15));
  Deno.addSignalListener("SIGINT", supervised ? () => {} : onSignal("SIGINT", 2));
  const hangups: (() => void)[] = [];
  Deno.addSignalListener("SIGHUP", () => {
    for (const step of hangups) step();
  });
  if (supervised) {
    void watchStandardInput(() => {
      stop("the supervisor is gone");
      setTimeout(() => Deno.exit(1), ORPHAN_DRAIN);
    });
  }
  // Neither a signal listener nor a promise keeps Deno running.
  const alive = setInterval(() => {}, 60_000);

  const steps: (() => Promise<void> | void)[] = [];
  let exitCode = 0;
  const started = main({
    environment,
    log,
    stopping: stopping.signal,
    onStop: (step) => void steps.push(step),
    onHangup: (step) => void hangups.push(step),
    ready: (info) => {
      if (supervised) {
        writeAll(Deno.stdout, JSON.stringify({ ready: true, listening: info.listening }) + "\n");
      }
      log.info("ready", { listening: info.listening });
    },
  }).catch((error: unknown) => {
    if (stopping.signal.aborted) {
      log.debug("the start was cut short", { error });
      return;
    }
    exitCode = 1;
    if (error instanceof StartError) {
      writeAll(Deno.stderr, `postern ${name}: ${error.message}\n`);
      if (error.mendable) exitCode = MENDABLE_CODE;
    } else log.error("failed to start", { error });
    stopping.abort();
  });
  if (options.exitWhenDone === true) void started.then(() => stopping.abort());

  await stopAsked;
  await settled(started, START_GRACE);
  for (let step = steps.pop(); step !== undefined; step = steps.pop()) {
    try {
      await step();
    } catch (error) {
      exitCode = 1;
      log.error("a stop step failed", { error });
    }
  }
  clearInterval(alive);
  log.debug("stopped");
  Deno.exit(exitCode);
}

/** The address of the database, for a process that cannot bring its own. Throws StartError. */
export function requireDatabaseUrl(environment: Environment): string {
  if (environment.databaseUrl !== undefined) return environment.databaseUrl;
  throw new StartError(
    "DATABASE_URL is unset, expected postgres://USER:PASSWORD@HOST:PORT/DATABASE " +
      "(only npm start brings its own database)",
  );
}
