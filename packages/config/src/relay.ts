/**
 * A relay: a named definition of where deliveries go next. Its kind says how the next hop is
 * found and spoken to.
 */
import { z } from "zod";
import { host, port, seconds } from "./names.ts";

/** When a deferred recipient is tried again, and when it is given up. */
export const retrySchedule = z
  .strictObject({
    delays: z
      .array(seconds)
      .min(1)
      .max(100)
      .meta({
        description:
          "Seconds to wait after the first, second, … failed attempt; the last one repeats",
      }),
    lifetime: seconds.meta({
      description: "Seconds after which a recipient still deferred bounces",
    }),
  })
  .meta({ id: "RetrySchedule" });

/** @see retrySchedule */
export type RetrySchedule = z.output<typeof retrySchedule>;

/** Retries of RFC 5321 §4.5.4.1: soon at first, then hourly, given up after five days. */
export const defaultRetrySchedule: RetrySchedule = {
  delays: [60, 300, 900, 1800, 3600],
  lifetime: 5 * 24 * 3600,
};

const common = {
  retry: retrySchedule.optional(),
};

const mxRelay = z.strictObject({
  kind: z.literal("mx"),
  port: port.default(25).meta({ description: "The port of every mail host found by MX lookup" }),
  ...common,
});

const smtpRelay = z.strictObject({
  kind: z.literal("smtp"),
  hosts: z
    .array(z.strictObject({ host, port: port.default(25) }))
    .min(1)
    .max(100)
    .meta({ description: "Tried in this order until one takes the message" }),
  ...common,
});

const captureRelay = z.strictObject({ kind: z.literal("capture") });

const discardRelay = z.strictObject({ kind: z.literal("discard") });

/**
 * The definition of a relay: `mx` (the mail hosts of each recipient's domain), `smtp` (these
 * hosts), `capture` (kept in Postgres for looking at), `discard` (accepted and dropped).
 */
export const relaySchema = z
  .discriminatedUnion("kind", [mxRelay, smtpRelay, captureRelay, discardRelay])
  .meta({
    id: "Relay",
    examples: [{ kind: "smtp", hosts: [{ host: "10.0.0.5", port: 25 }] }],
  });

/** @see relaySchema */
export type Relay = z.output<typeof relaySchema>;

/** The relay for what has no domain of ours. */
export const DEFAULT_RELAY = "default";
