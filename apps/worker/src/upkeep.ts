/**
 * Looks after the store now and then: partitions made ahead, what is past its time let go. All
 * workers offer to; the store lets one do it.
 */
import type { Settings } from "@postern/config";
import type { Log } from "@postern/process";
import { type Database, keepUp } from "@postern/store";

/** Milliseconds between two upkeeps of a worker. */
const INTERVAL = 60_000;

/** Begins at once and goes on until it is stopped. */
export function startUpkeep(
  database: Database,
  { retention, log }: {
    readonly retention: () => Settings["retention"];
    readonly log: Log;
  },
): { stop(): Promise<void> } {
  let underWay: Promise<void> | undefined;
  const begin = () => {
    underWay ??= keepUp(database, retention()).then((done) => {
      if (done === undefined || done.made + done.dropped.length + done.removed === 0) return;
      log.info("the store was looked after", { ...done });
    }).catch((error) => {
      log.warning("the store was not looked after", { error: String(error) });
    }).finally(() => {
      underWay = undefined;
    });
  };
  begin();
  const timer = setInterval(begin, INTERVAL);
  return {
    stop: async () => {
      clearInterval(timer);
      await underWay;
    },
  };
}
