/** The operation that reads the audit log. */
import { plainText } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf, timeParameter } from "./parameters.ts";

const query = z.strictObject({
  actor: plainText.exactOptional().meta({ description: "The name of a token" }),
  action: plainText.exactOptional().meta({ examples: ["config.change"] }),
  target: plainText.exactOptional().meta({ examples: ["relays/internal"] }),
  since: timeParameter.exactOptional().meta({ description: "At this time or later" }),
  until: timeParameter.exactOptional().meta({ description: "Before this time" }),
  limit: limitParameter,
  cursor: z.string().regex(/^[1-9]\d{0,14}$/, { error: "expected `next` of the page before" })
    .transform(Number).exactOptional().meta({
      type: "string",
      description: "`next` of the page before",
    }),
});

const entry = z.object({
  at: z.iso.datetime(),
  actor: z.string().meta({ description: "The name of the token" }),
  address: z.string().nullable().meta({ description: "Where the request came from" }),
  action: z.string().meta({
    examples: ["config.change", "token.create", "token.delete", "denied"],
  }),
  target: z.string().nullable().meta({ description: "What it was done to" }),
  detail: z.looseObject({}).meta({ description: "More about it; depends on the action" }),
}).meta({
  id: "AuditEntry",
  examples: [{
    at: "2026-01-31T12:00:00.000Z",
    actor: "admin",
    address: "127.0.0.1",
    action: "config.change",
    target: "relays/internal",
    detail: { version: 7, note: "put relay internal" },
  }],
});

/** What can be asked of the audit log. */
export const auditDescriptions = {
  list: {
    method: "get",
    path: "/v1/audit",
    id: "listAudit",
    summary: "Who did what, when and from where, newest first",
    scope: "config:read",
    query,
    answers: { 200: { description: "A page of it", schema: pageOf(entry) } },
    problems: [400],
  },
} as const satisfies Record<string, OperationDescription>;
