/**
 * Looks after the store now and then: partitions made ahead, what is past its time let go. All
 * workers offer to; the store lets one do it.
 */
import type { Settings } from "@postern/config";
import type { Log } from "@postern/process";
import { type Database, keepUp } from "@postern/store";

/** Milliseconds between two upkeeps of a worker. */
const INTERVAL = 60_000;

/** After one that failed, as when others are in the way for long, the next comes sooner: from 1 s. */
const FIRST_RETRY = 1_000;

/** Begins at once and goes on until it is stopped. */
export function startUpkeep(
  database: Database,
  { retention, log }: {
    readonly retention: () => Settings["retention"];
    readonly log: Log;
  },
): { stop(): Promise<void> } {
  /** Partitions that are kept, and said to be. */
  const kept = new Set<string>();
  const goneThrough = new Map<string, number>();
  let failures = 0;
  let stopped = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let underWay = Promise.resolve();

  async function lookAfter() {
    try {
      const done = await keepUp(database, retention(), { goneThrough });
      failures = 0;
      const keptNow = done?.kept.filter((name) => !kept.has(name)) ?? [];
      if (keptNow.length > 0) {
        log.warning("partitions are kept: much in them is still queued or held", {
          partitions: keptNow,
        });
        for (const name of keptNow) kept.add(name);
      }
      if (done !== undefined && done.made + done.dropped.length + done.removed > 0) {
        log.info("the store was looked after", { ...done });
      }
    } catch (error) {
      failures += 1;
      log.warning("the store was not looked after", { error: String(error), failures });
    }
    if (stopped) return;
    const pause = failures === 0 ? INTERVAL : FIRST_RETRY * 2 ** (failures - 1);
    timer = setTimeout(begin, Math.min(pause, INTERVAL));
  }

  function begin() {
    underWay = lookAfter();
  }

  begin();
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      await underWay;
    },
  };
}
