/**
 * The log of a process: one line for each event to standard error, as JSON for machines or laid
 * out for people. A thin face over logtape, so that the rest of the code depends on six methods.
 * Knows nothing of what is logged.
 */
import { configureSync, getLogger, type Logger, type LogRecord } from "@logtape/logtape";
import { getPrettyFormatter } from "@logtape/pretty";
import type { Environment } from "./environment.ts";

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
    return {
      ...Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v, depth + 1)])),
      name: value.name,
      message: value.message,
      stack: value.stack,
      ...(value.cause === undefined ? {} : { cause: plain(value.cause, depth + 1) }),
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
function jsonLine(record: LogRecord): string {
  const fixed = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    process: record.category.at(-1),
    message: record.message.join(""),
  };
  const fields = plain(record.properties) as Record<string, unknown>;
  return JSON.stringify({ ...fixed, ...fields, ...fixed }) + "\n";
}

/** Sets logging up for this process; a second call replaces the first. */
export function createLog(options: LogOptions): Log {
  const format = options.format === "json" ? jsonLine : getPrettyFormatter({
    colors: options.colors,
    timestamp: "time",
    categoryWidth: 8,
    wordWrap: false,
    properties: true,
  });
  configureSync({
    reset: true,
    sinks: { line: (record) => options.write(format(record)) },
    loggers: [
      { category: ["logtape", "meta"], sinks: ["line"], lowestLevel: "error" },
      { category: [options.process], sinks: ["line"], lowestLevel: options.level },
    ],
  });
  return face(getLogger([options.process]), LEVELS.indexOf(options.level));
}

const LEVELS = ["debug", "info", "warning", "error"] as const;

/** `lowest` is the index of the lowest level that is written; what is below costs one call. */
function face(logger: Logger, lowest: number): Log {
  // logtape reads {braces} in a message as placeholders; here a message is only words.
  const words = (message: string) => message.replaceAll("{", "{{").replaceAll("}", "}}");
  const at = (level: (typeof LEVELS)[number]): Log["debug"] =>
    LEVELS.indexOf(level) < lowest
      ? () => {}
      : (message, fields = {}) => logger[level](words(message), fields);
  return {
    debug: at("debug"),
    info: at("info"),
    warning: at("warning"),
    error: at("error"),
    with: (fields) => face(logger.with(fields), lowest),
  };
}
