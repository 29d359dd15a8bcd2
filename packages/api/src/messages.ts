/** The operations below `/v1/messages`: finding a message and telling its way. */
import { plainText } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf, timeParameter } from "./parameters.ts";

/** A queue id. */
export const queueId = z.uuid({ error: "expected a queue id" });
const state = z.enum(["queued", "deferred", "delivered", "bounced", "held", "deleted"], {
  error: "expected one of queued, deferred, delivered, bounced, held, deleted",
});

/** An address with or without angle brackets; `<>` is the null reverse-path. */
const address = plainText.transform((text) => text.trim().replace(/^<(.*)>$/, "$1"));

const query = z.strictObject({
  sender: address.exactOptional().meta({ description: "The reverse-path; empty for bounces" }),
  recipient: address.exactOptional().meta({ description: "One of the forward-paths" }),
  messageId: plainText.exactOptional().meta({
    description: "The Message-ID, with or without angle brackets",
  }),
  state: state.exactOptional().meta({
    description: "Messages with a recipient in this state; with `recipient`, with that one in it",
  }),
  since: timeParameter.exactOptional().meta({ description: "Received at this time or later" }),
  until: timeParameter.exactOptional().meta({ description: "Received before this time" }),
  limit: limitParameter,
  cursor: queueId.exactOptional().meta({ description: "`next` of the page before" }),
});

const summary = z.object({
  id: z.uuid().meta({ description: "The queue id" }),
  receivedAt: z.iso.datetime(),
  reversePath: z.string(),
  size: z.int().meta({ description: "Bytes of content" }),
  messageId: z.string().nullable(),
  recipients: z.array(z.object({
    forwardPath: z.string(),
    state,
    destination: z.object({
      relay: z.string(),
      nextHop: z.string().meta({ description: "The domain whose mail hosts are looked up" }),
    }),
    lastReply: z.string().nullable(),
  })),
});
const summarySchema = summary.meta({ id: "MessageSummary" });
/** A message as it is shown whole. */
export const detailSchema = summary.extend({
  session: z.looseObject({}).meta({ description: "The session that it came by" }),
  parameters: z.looseObject({}).meta({ description: "The ESMTP parameters of MAIL" }),
  configurationVersion: z.int(),
  contentKept: z.boolean().meta({
    description: "False once the content is gone: it is kept less long than the message",
  }),
  events: z.array(z.looseObject({
    at: z.iso.datetime(),
    kind: z.string().meta({
      examples: ["received", "routed", "attempted", "delivered", "deferred", "bounced"],
    }),
  })).meta({
    description:
      "What happened to it, oldest first; fields depend on the kind. `nextAttemptAt` is when the " +
      "message itself is due again: at a destination that fails as a whole it waits longer, as its " +
      "`notBefore` says, and then one message at a time tries it",
  }),
}).meta({ id: "Message" });

/** What can be asked about messages. */
export const messageDescriptions = {
  find: {
    method: "get",
    path: "/v1/messages",
    id: "findMessages",
    summary: "Messages for which all conditions hold, newest first",
    scope: "queue:read",
    query,
    answers: { 200: { description: "A page of them", schema: pageOf(summarySchema) } },
    problems: [400],
  },
  get: {
    method: "get",
    path: "/v1/messages/{id}",
    id: "getMessage",
    summary: "One message with all that happened to it",
    scope: "queue:read",
    pathParameters: { id: queueId },
    answers: { 200: { description: "The message", schema: detailSchema } },
    problems: [404],
  },
  content: {
    method: "get",
    path: "/v1/messages/{id}/raw",
    id: "getMessageContent",
    summary: "The content of a message as it is kept",
    scope: "content:read",
    pathParameters: { id: queueId },
    answers: { 200: { description: "The content", type: "message/rfc822" } },
    problems: [404, 410],
  },
} as const satisfies Record<string, OperationDescription>;
