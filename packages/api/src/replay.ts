/** `POST /v1/config/replay`: what a candidate configuration would do with real mail of late. */
import { documentSchema, plainText, resourceKinds } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";

const replayRequestSchema = z.strictObject({
  configuration: documentSchema.exactOptional().meta({ description: "The candidate as a whole" }),
  changes: z.array(z.strictObject({
    kind: z.enum(Object.keys(resourceKinds) as [keyof typeof resourceKinds]),
    name: plainText,
    body: z.unknown().meta({ description: "The definition; null deletes it" }),
  })).min(1).max(10_000).exactOptional().meta({
    description: "The candidate as changes to the configuration in force",
  }),
  messages: z.int().min(1).max(100_000).default(1000).meta({
    description: "How many messages to look at, the newest first",
  }),
  differences: z.int().min(1).max(1000).default(100).meta({
    description: "How many differences to tell; all are counted",
  }),
}).refine(
  ({ configuration, changes }) => (configuration === undefined) !== (changes === undefined),
  {
    error: "expected configuration or changes",
    path: ["configuration"],
  },
).meta({
  id: "ReplayRequest",
  examples: [{
    changes: [{ kind: "domains", name: "example.com", body: { relay: "default" } }],
    messages: 10_000,
  }],
});

const outcomeSchema = z.looseObject({
  action: z.enum(["deliver", "reject", "defer", "ask"]),
  rule: z.string().nullable(),
}).meta({ id: "ReplayedOutcome" });

const replaySchema = z.object({
  version: z.int().meta({ description: "Of the configuration in force" }),
  messages: z.int().meta({ description: "Messages looked at" }),
  recipients: z.int(),
  differing: z.int().meta({ description: "Recipients that would be decided differently" }),
  differences: z.array(z.object({
    id: z.uuid(),
    receivedAt: z.iso.datetime(),
    recipient: z.string(),
    before: outcomeSchema,
    after: outcomeSchema,
  })).meta({ description: "The newest of them" }),
}).meta({ id: "Replay" });

/** Asking what would be different. */
export const replayDescriptions = {
  replay: {
    method: "post",
    path: "/v1/config/replay",
    id: "replayConfiguration",
    summary:
      "What a candidate configuration would decide differently about the last real messages; " +
      "where a rule looks at headers, before or after, the token must have content:read, too",
    scope: "config:read",
    // It tells who got mail.
    moreScopes: ["queue:read"],
    body: replayRequestSchema,
    answers: { 200: { description: "The differences", schema: replaySchema } },
    problems: [400, 404, 409, 413, 415, 422],
  },
} as const satisfies Record<string, OperationDescription>;
