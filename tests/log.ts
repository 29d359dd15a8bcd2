/** A log for tests: it writes nothing and calls `heard` for each line. */
import type { Log } from "@postern/process";

export function listeningLog(
  heard: (message: string, fields: Record<string, unknown>) => void = () => {},
): Log {
  const say = (message: string, fields: Record<string, unknown> = {}) => heard(message, fields);
  const log: Log = { debug: say, info: say, warning: say, error: say, with: () => log };
  return log;
}
