/**
 * The arithmetic of a destination's limits: a token bucket for each period of its rate, and a number
 * of deliveries at once that grows on success and shrinks on failure. Pure; the state lies with the
 * destination in Postgres, where all workers share it.
 */
import type { DestinationLimits } from "@postern/config";

type Rate = NonNullable<DestinationLimits["rate"]>;
type Concurrency = NonNullable<DestinationLimits["concurrency"]>;

/** What is left in each bucket, at a time in milliseconds. */
export interface Allowance {
  readonly at: number;
  readonly left: Readonly<Record<string, number>>;
}

const PERIODS = [["perSecond", 1], ["perMinute", 60], ["perHour", 3600]] as const;

/** Deliveries at once to a limited destination that nothing is known of yet. */
const FIRST_CONCURRENCY = 5;

/** A bucket holds a tenth of its period's number, or one: no period ever sees more than that beyond it. */
function capacity(perPeriod: number): number {
  return Math.max(1, perPeriod / 10);
}

/** The buckets now: those of before, filled up for the time since; full ones at first. */
export function refill(rate: Rate, before: Allowance | null, now: number): Allowance {
  const left: Record<string, number> = {};
  for (const [name, seconds] of PERIODS) {
    const perPeriod = rate[name];
    if (perPeriod === undefined) continue;
    const had = before?.left[name] ?? Infinity;
    const since = Math.max(0, now - (before?.at ?? now)) / 1000;
    left[name] = Math.min(capacity(perPeriod), had + since * perPeriod / seconds);
  }
  return { at: now, left };
}

/** How many may go now. */
export function allowed({ left }: Allowance): number {
  return Math.max(0, Math.floor(Math.min(...Object.values(left)) + 1e-9));
}

/** What is left after so many went. */
export function spend({ at, left }: Allowance, count: number): Allowance {
  return {
    at,
    left: Object.fromEntries(Object.entries(left).map(([name, had]) => [name, had - count])),
  };
}

/** Milliseconds until one may go; 0 when one may go now. */
export function untilAllowed(rate: Rate, { left }: Allowance): number {
  const waits = PERIODS.flatMap(([name, seconds]) => {
    const perPeriod = rate[name];
    if (perPeriod === undefined) return [];
    return [Math.max(0, 1 - (left[name] ?? 0)) * seconds / perPeriod];
  });
  return Math.ceil(Math.max(0, ...waits) * 1000);
}

/** The number of deliveries at once, within the bounds in force; the first guess where none is kept. */
export function atOnce({ minimum, maximum }: Concurrency, kept: number | null): number {
  return Math.min(maximum, Math.max(minimum, kept ?? FIRST_CONCURRENCY));
}
