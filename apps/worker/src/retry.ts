/** When a deferred recipient is tried again, and when it is given up (RFC 5321 §4.5.4.1). */
import { defaultRetrySchedule, type Relay } from "@postern/config";

/** The time of the next attempt, or undefined when the lifetime is over. */
export function nextAttempt(
  relay: Relay | undefined,
  { attempts, receivedAt, now, random }: {
    /** Attempts made, this one included. */
    readonly attempts: number;
    readonly receivedAt: Date;
    readonly now: Date;
    readonly random: () => number;
  },
): Date | undefined {
  const schedule = (relay !== undefined && "retry" in relay && relay.retry) || defaultRetrySchedule;
  const { delays, lifetime } = schedule;
  const delay = delays[Math.min(attempts, delays.length) - 1] ?? lifetime;
  // A tenth of jitter: what failed together is not tried again together.
  const at = now.getTime() + delay * 1000 * (1 + 0.1 * random());
  return at > receivedAt.getTime() + lifetime * 1000 ? undefined : new Date(at);
}
