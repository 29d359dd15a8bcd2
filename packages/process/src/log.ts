/**
 * The log of a process: one line for each event to standard error, as JSON for machines or laid
 * out for people by LogTape. Knows nothing of what is logged.
 */
import type { LogRecord } from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";
import type { Environment } from "./environment.ts";
import { loggedError } from "./logged-error.ts";

/** Where a process says what it does. Messages are fixed words; what varies goes into fields. */
export interface Log {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warning(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  /** A log that adds these fields to every line. */
  with(fields: Record<string, unknown>): Log;
}

/** What {@link createLog} needs. */
export interface LogOptions {
  /** The name in the field `process`. */
  readonly process: string;
  readonly level: Environment["logLevel"];
  readonly format: Environment["logFormat"];
  /** Whether lines may be coloured. */
  readonly colors: boolean;
  /** Takes one whole line with its line feed. */
  readonly write: (line: string) => void;
}

/** Makes what JSON cannot say sayable: errors with their causes, big integers, sets, bytes. */
function plain(value: unknown, depth = 0): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value === "function" || typeof value === "symbol") return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth > 6) return "…";
  if (value instanceof Error) {
    const { name, message, stack, cause, ...fields } = loggedError(value);
    return {
      ...Object.fromEntries(Object.entries(fields).map(([k, v]) => [k, plain(v, depth + 1)])),
      name,
      message,
      stack,
      ...(cause === undefined ? {} : { cause: plain(cause, depth + 1) }),
    };
  }
  if (value instanceof Date || value instanceof URL) return value.toJSON();
  if (value instanceof Uint8Array) return `${value.byteLength} bytes`;
  if (value instanceof Map) return plain(Object.fromEntries(value), depth);
  if (value instanceof Set) return plain([...value], depth);
  if (Array.isArray(value)) return value.map((item) => plain(item, depth + 1));
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v, depth + 1)]));
}

/** `{time, level, process, message, …fields}`; no field can replace one of the four. */
function jsonLine({ timestamp, level, category, message, properties }: LogRecord): string {
  const line: Record<string, unknown> = {
    time: new Date(timestamp).toISOString(),
    level,
    process: category[0],
    message: message[0],
  };
  for (const [name, value] of Object.entries(properties)) {
    if (!Object.hasOwn(line, name)) line[name] = plain(value);
  }
  return `${JSON.stringify(line)}\n`;
}

/** Makes the log of this process. */
export function createLog(options: LogOptions): Log {
  const format = options.format === "json" ? jsonLine : getPrettyFormatter({
    colors: options.colors,
    timestamp: "time",
    categoryWidth: 8,
    wordWrap: false,
    properties: true,
  });
  const lowest = LEVELS.indexOf(options.level);
  const category = [options.process];
  const lineOf = (level: Level, message: string, properties: Record<string, unknown>) =>
    format({
      category,
      level,
      message: [message],
      rawMessage: message,
      timestamp: Date.now(),
      properties,
    });
  const write: Write = (level, message, given) => {
    let line: string;
    try {
      const fields = Object.entries(given).map(([name, value]) =>
        [name, value instanceof Error ? loggedError(value) : value] as const
      );
      line = lineOf(level, message, Object.fromEntries(fields));
    } catch (error) {
      // Nobody stops serving mail for want of words.
      line = lineOf(level, message, { unloggable: String(error) });
    }
    options.write(line);
  };
  return face(write, lowest, {});
}

const LEVELS = ["debug", "info", "warning", "error"] as const;

type Level = (typeof LEVELS)[number];

type Write = (level: Level, message: string, fields: Record<string, unknown>) => void;

/** `lowest` is the index of the lowest level that is written; what is below costs one call. */
function face(write: Write, lowest: number, all: Record<string, unknown>): Log {
  const at = (level: Level): Log["debug"] =>
    LEVELS.indexOf(level) < lowest
      ? () => {}
      : (message, fields) => write(level, message, { ...all, ...fields });
  return {
    debug: at("debug"),
    info: at("info"),
    warning: at("warning"),
    error: at("error"),
    with: (fields) => face(write, lowest, { ...all, ...fields }),
  };
}
