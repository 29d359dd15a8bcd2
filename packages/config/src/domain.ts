/** A relay domain: one that the gateway accepts mail for, and what becomes of its mail. */
import { z } from "zod";
import { mailbox, plainText, resourceName, seconds } from "./names.ts";
import { patternSchema } from "./pattern.ts";

/** What becomes of source routes, `<@a,@b:c@d>` (RFC 5321 appendix C). */
export const sourceRoutesSchema = z.enum(["strip", "honour", "refuse"]).meta({
  id: "SourceRoutes",
  description: "strip: deliver to the final mailbox; honour: go to the first host; refuse: 553",
});

/** How it is found out whether a recipient exists. */
export const recipientCheckSchema = z
  .discriminatedUnion("verify", [
    z.strictObject({ verify: z.literal("none") }),
    z.strictObject({ verify: z.literal("list") }),
    z.strictObject({
      verify: z.literal("pattern"),
      pattern: patternSchema.meta({ description: "Matched with the whole address" }),
    }),
    z.strictObject({
      verify: z.literal("callout"),
      cache: seconds.default(3600).meta({ description: "Seconds an answer is believed" }),
    }),
  ])
  .meta({
    id: "RecipientCheck",
    description: "none: any address; list: those of the domain's recipient list; pattern: those " +
      "that match; callout: those that the relay's host accepts",
  });

/** The definition of a relay domain; its name is the domain, or `*.` and the domain it is above. */
export const domainSchema = z
  .strictObject({
    relay: resourceName.meta({ description: "The name of the relay for this domain's mail" }),
    recipients: recipientCheckSchema.default({ verify: "none" }),
    catchAll: mailbox.optional().meta({ description: "Takes the mail of unknown recipients" }),
    aliases: z
      .record(plainText.min(1).max(64), z.array(mailbox).min(1).max(1000))
      .check(namedOnce)
      .overwrite((aliases) =>
        Object.fromEntries(
          Object.entries(aliases).map(([local, mailboxes]) => [local.toLowerCase(), mailboxes]),
        )
      )
      .optional()
      .meta({ description: "By local part, the mailboxes that get the mail instead" }),
    subAddressing: z
      .strictObject({
        separator: z.string().regex(/^[+=_~-]$/, { error: "expected one of + = _ ~ -" }),
        strip: z.boolean().default(false).meta({
          description: "Deliver to the address without its detail",
        }),
      })
      .optional()
      .meta({ description: "user+detail@ is user@ for checks and aliases" }),
    maximumSize: z.int().min(1024).max(1024 ** 3).optional().meta({
      description: "Bytes of content that its recipients take",
    }),
    tls: z.enum(["optional", "required"]).default("optional").meta({
      description: "Whether mail for it must come over TLS",
    }),
    sourceRoutes: sourceRoutesSchema.default("strip"),
    policy: z
      .strictObject({
        clients: z.array(resourceName).max(1000).optional().meta({
          description: "Only these clients and authenticated users may send to it",
        }),
        recipientsPerMessage: z.int().min(1).max(100_000).optional(),
        nullReversePath: z.enum(["accept", "refuse"]).default("accept").meta({
          description: "Whether reports (MAIL FROM:<>) are taken",
        }),
      })
      .optional()
      .meta({ description: "What is different for this domain" }),
  })
  .meta({ id: "Domain", examples: [{ relay: "internal" }] });

/** Refuses local parts that differ in case only: mail is routed without regard to it. */
function namedOnce({ value, issues }: z.core.ParsePayload<Record<string, string[]>>): void {
  const seen = new Map<string, string>();
  for (const local of Object.keys(value)) {
    const former = seen.get(local.toLowerCase());
    if (former === undefined) seen.set(local.toLowerCase(), local);
    else {
      const message = `${former} is the same local part: case does not count`;
      issues.push({ code: "custom", input: value, path: [local], message });
    }
  }
}

/** @see domainSchema */
export type Domain = z.output<typeof domainSchema>;
