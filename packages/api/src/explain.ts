/** `POST /v1/explain`: what would happen to a mail, and why, without sending it. */
import { authenticationResult, plainText, sha256InHex } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";

const line = (most: number) =>
  // deno-lint-ignore no-control-regex
  plainText.max(most).regex(/^[^\x00-\x08\x0a-\x1f\x7f]*$/, { error: "expected one line" });
const path = line(1000).transform((text) => text.trim().replace(/^<(.*)>$/, "$1"));

/** A mail to be explained. */
export const explainRequestSchema = z.strictObject({
  client: z.strictObject({
    address: z.union([z.ipv4(), z.ipv6()], { error: "expected an IP address" }),
    helo: line(255).exactOptional(),
    tls: z.boolean().exactOptional(),
    certificate: sha256InHex().exactOptional().meta({
      type: "string",
      description: "SHA-256 of its certificate",
    }),
  }),
  user: line(255).transform((text) => text.toLowerCase()).exactOptional().meta({
    type: "string",
    description: "Who authenticated",
  }),
  reversePath: path.meta({ type: "string", description: "Empty for a report" }),
  recipients: z.array(path).min(1).max(1000),
  size: z.int().min(0).exactOptional().meta({ description: "Bytes of content" }),
  header: z.array(z.strictObject({ name: line(76), value: line(10_000) })).max(1000)
    .exactOptional(),
  authentication: z.strictObject({
    spf: authenticationResult.exactOptional(),
    dkim: authenticationResult.exactOptional(),
    dmarc: authenticationResult.exactOptional(),
    arc: authenticationResult.exactOptional(),
  }).exactOptional(),
  time: z.iso.datetime({ offset: true }).exactOptional().meta({ description: "Now when absent" }),
  phase: z.enum(["recipient", "content"]).exactOptional().meta({
    description: "recipient: as at RCPT, before the content is known",
  }),
}).meta({
  id: "ExplainRequest",
  examples: [{
    client: { address: "203.0.113.9" },
    reversePath: "a@b.test",
    recipients: ["u@example.com"],
  }],
});

const decisionSchema = z.looseObject({
  recipient: z.string(),
  action: z.enum(["deliver", "reject", "defer", "ask"]).meta({
    description:
      "ask: a callout has to tell whether the recipient exists; ifKnown goes on from yes",
  }),
  rule: z.string().nullable().meta({ description: "The rule that decided" }),
  reasons: z.array(z.looseObject({ kind: z.string() })).meta({
    description: "The way to the decision, step by step: each rule tried, and on what it matched",
  }),
  copies: z.array(z.looseObject({
    forwardPath: z.string(),
    relay: z.string(),
    nextHop: z.string(),
    kind: z.string().meta({ description: "The kind of the relay" }),
    limits: z.looseObject({}).nullable().meta({ description: "The limits of the relay" }),
  })).optional(),
}).meta({ id: "ExplainedRecipient" });

const answerSchema = z.object({
  version: z.int().meta({ description: "Of the configuration that decided" }),
  recipients: z.array(decisionSchema),
}).meta({ id: "Explanation" });

/** Asking what would happen. */
export const explainDescriptions = {
  explain: {
    method: "post",
    path: "/v1/explain",
    id: "explain",
    summary: "What would happen to a mail, and why, without sending it",
    scope: "config:read",
    body: explainRequestSchema,
    answers: { 200: { description: "The decision for each recipient", schema: answerSchema } },
    problems: [400, 413, 415, 422],
  },
} as const satisfies Record<string, OperationDescription>;
