/** Limits: how much a client, a user or a relay may have at once and over time. */
import { z } from "zod";
import { seconds } from "./names.ts";

const count = z.int().min(1).max(1_000_000_000);

/** So many in each second, minute and hour. */
export const rateSchema = z
  .strictObject({
    perSecond: count.optional(),
    perMinute: count.optional(),
    perHour: count.optional(),
  })
  .meta({ id: "Rate", examples: [{ perMinute: 600 }] });

/** @see rateSchema */
export type Rate = z.output<typeof rateSchema>;

/** What those who send may use. What is absent is not limited beyond the listener's own limits. */
export const senderLimitsSchema = z
  .strictObject({
    connections: count.optional().meta({ description: "Sessions at once" }),
    messageSize: count.optional().meta({ description: "Bytes of content" }),
    recipients: count.optional().meta({ description: "Recipients of one message" }),
    messages: rateSchema.optional().meta({ description: "Messages over time" }),
    recipientRate: rateSchema.optional().meta({ description: "Recipients over time" }),
  })
  .meta({ id: "SenderLimits" });

/** @see senderLimitsSchema */
export type SenderLimits = z.output<typeof senderLimitsSchema>;

/** How a destination is treated. All workers together keep to these. */
export const destinationLimitsSchema = z
  .strictObject({
    concurrency: z
      .strictObject({
        minimum: z.int().min(1).max(1000).default(1),
        maximum: z.int().min(1).max(1000).default(20),
      })
      .refine(({ minimum, maximum }) => minimum <= maximum, {
        error: "the minimum is above the maximum",
      })
      .optional()
      .meta({ description: "Sessions at once: grows on success, shrinks on failure" }),
    messagesPerConnection: count.optional(),
    recipientsPerMessage: count.optional().meta({ description: "Recipients in one transaction" }),
    rate: rateSchema.optional().meta({ description: "Messages over time" }),
    hostsPerAttempt: z.int().min(1).max(100).optional(),
    idleSeconds: seconds.optional().meta({ description: "How long an unused session is kept" }),
  })
  .meta({ id: "DestinationLimits" });

/** @see destinationLimitsSchema */
export type DestinationLimits = z.output<typeof destinationLimitsSchema>;
