/** When a deferred recipient is tried again, and when it is given up (RFC 5321 §4.5.4.1). */
import { defaultRetrySchedule, type Relay, type RetrySchedule } from "@postern/config";

/** The schedule of a relay, or the one for those that have none. */
export function scheduleOf(relay: Relay | undefined): RetrySchedule {
  return (relay !== undefined && "retry" in relay && relay.retry) || defaultRetrySchedule;
}

/** Seconds after which a sender hears of a delay, where the relay does not say. */
const DELAY_NOTICE_SECONDS = 4 * 3600;

/** Seconds after which a sender hears of a delay; undefined where it never does. */
export function delayNoticeOf({ delayNotice }: RetrySchedule): number | undefined {
  return delayNotice === false ? undefined : delayNotice ?? DELAY_NOTICE_SECONDS;
}

/** What is tried so shortly before the end of its lifetime is not tried again: clocks differ. */
const LAST_MILLISECONDS = 1000;

/** The time of the next attempt, the last at the end of the lifetime; undefined after it. */
export function nextAttempt(
  { delays, lifetime }: RetrySchedule,
  { attempts, lifetimeFrom, now, random, notBefore, deliverBy }: {
    /** Attempts made, this one included. */
    readonly attempts: number;
    readonly lifetimeFrom: Date;
    readonly now: Date;
    readonly random: () => number;
    /** The next hop asked not to be tried before this time. */
    readonly notBefore?: Date | undefined;
    /** When the sender's time for delivery is over (RFC 2852): to be acted on then, not later. */
    readonly deliverBy?: Date | undefined;
  },
): Date | undefined {
  const delay = delays[Math.min(attempts, delays.length) - 1] ?? lifetime;
  // A tenth of jitter: what failed together is not tried again together.
  const regular = now.getTime() + delay * 1000 * (1 + 0.1 * random());
  const end = lifetimeFrom.getTime() + lifetime * 1000;
  if (end - now.getTime() < LAST_MILLISECONDS) return undefined;
  const asked = Math.min(Math.max(regular, notBefore?.getTime() ?? 0), end);
  const by = deliverBy?.getTime() ?? 0;
  return new Date(by > now.getTime() ? Math.min(asked, by) : asked);
}
