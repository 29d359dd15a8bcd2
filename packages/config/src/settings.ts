/** What holds for the gateway as a whole. There is one set of settings, named `gateway`. */
import { z } from "zod";
import { mailbox, seconds } from "./names.ts";

const day = 24 * 3600;

/** The definition of the settings; each has a default, so that `{}` is a whole definition. */
export const settingsSchema = z
  .strictObject({
    postmaster: mailbox.optional().meta({
      description: "Gets what cannot be returned: reports about reports. Held when absent",
    }),
    delivery: z
      .strictObject({
        holdBackSeconds: z.number().min(0).max(60).default(0.25).meta({
          description:
            "While much mail is being accepted and the machine of a worker is short of " +
            "processor time, mail is delivered when it has been due for so long; 0: at once",
        }),
      })
      .prefault({}),
    retention: z
      .strictObject({
        content: seconds.default(7 * day).meta({
          description: "How long content is kept after its last recipient came to an end",
        }),
        messages: seconds.default(30 * day).meta({
          description: "How long messages can be searched after that",
        }),
      })
      .prefault({}),
    smtp: z
      .strictObject({
        messageSize: z.int().min(65_536).max(1024 ** 3).default(52_428_800).meta({
          description: "Bytes of content of one message",
        }),
        recipientsPerMessage: z.int().min(100).max(50_000).default(1000),
        lineLength: z.int().min(998).max(1_000_000).default(998).meta({
          description: "Bytes in a line of content without its CRLF",
        }),
        lineEnds: z.enum(["refuse", "normalise"]).default("refuse").meta({
          description: "What becomes of bare CR, bare LF and NUL",
        }),
        errorsPerSession: z.int().min(1).max(10_000).default(20),
        messagesPerSession: z.int().min(1).max(1_000_000).default(10_000),
        sessionsPerIngress: z.int().min(1).max(100_000).default(10_000).meta({
          description: "Sessions at once in each ingress process; one more gets 421",
        }),
        sessionsPerAddress: z.int().min(1).max(100_000).optional().meta({
          description:
            "Sessions at once from an address that is no client's, in each ingress. Unless " +
            "set, 50 from an address of the internet, and any number from a private one, which may be " +
            "a balancer's. Behind the PROXY protocol and XCLIENT the outside address counts",
        }),
        receivedFields: z.int().min(20).max(1000).default(100).meta({
          description: "More Received fields mean a mail loop",
        }),
        tarpit: z
          .strictObject({
            afterErrors: z.int().min(0).max(1000).default(10),
            seconds: z.int().min(0).max(60).default(1),
          })
          .prefault({}),
      })
      .prefault({}),
  })
  .meta({ id: "Settings", examples: [{ postmaster: "postmaster@example.com" }] });

/** @see settingsSchema */
export type Settings = z.output<typeof settingsSchema>;

/** The name of the one set of settings. */
export const SETTINGS_NAME = "gateway";

/** The schema of that name. */
export const settingsName = z.literal(SETTINGS_NAME).meta({ description: "There is only one" });

/** The settings of a gateway where nobody has set any. */
export const defaultSettings: Settings = settingsSchema.parse({});
