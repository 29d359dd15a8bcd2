/** The operations below `/v1/messages`: finding a message and telling its way. */
import type { MessageStore } from "@postern/store";
import type { Context } from "hono";
import { z } from "zod";
import { limitParameter, readQuery, textParameter } from "./input.ts";
import type { Operation } from "./operation.ts";
import { Problem } from "./problem.ts";

const time = z.iso.datetime({ offset: true, error: "expected a time like 2026-01-31T12:00:00Z" })
  .transform((text) => new Date(text))
  // An offset can lead out of the years that RFC 3339 and Postgres both know.
  .refine((at) => /^(?!0000)\d{4}-/.test(at.toISOString()), {
    error: "expected a year from 0001 to 9999",
  });
const queueId = z.uuid({ error: "expected a queue id" });
const state = z.enum(["queued", "deferred", "delivered", "bounced", "held", "deleted"], {
  error: "expected one of queued, deferred, delivered, bounced, held, deleted",
});

/** An address with or without angle brackets; `<>` is the null reverse-path. */
const address = textParameter.transform((text) => text.trim().replace(/^<(.*)>$/, "$1"));

const query = z.strictObject({
  sender: address.exactOptional().meta({ description: "The reverse-path; empty for bounces" }),
  recipient: address.exactOptional().meta({ description: "One of the forward-paths" }),
  messageId: textParameter.exactOptional().meta({
    description: "The Message-ID, with or without angle brackets",
  }),
  state: state.exactOptional().meta({ description: "Messages with a recipient in this state" }),
  since: time.exactOptional().meta({ description: "Received at this time or later" }),
  until: time.exactOptional().meta({ description: "Received before this time" }),
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
const detailSchema = summary.extend({
  session: z.looseObject({}).meta({ description: "The session that it came by" }),
  parameters: z.looseObject({}).meta({ description: "The ESMTP parameters of MAIL" }),
  configurationVersion: z.int(),
  events: z.array(z.looseObject({
    at: z.iso.datetime(),
    kind: z.string().meta({
      examples: ["received", "routed", "attempted", "delivered", "deferred", "bounced"],
    }),
  })).meta({ description: "What happened to it, oldest first; fields depend on the kind" }),
}).meta({ id: "Message" });

/** The operations. */
export function messageOperations(store: MessageStore): Operation[] {
  return [
    {
      method: "get",
      path: "/v1/messages",
      id: "findMessages",
      summary: "Messages for which all conditions hold, newest first",
      scope: "queue:read",
      query,
      answers: {
        200: {
          description: "A page of them",
          schema: z.object({ items: z.array(summarySchema), next: z.string().nullable() }),
        },
      },
      problems: [400],
      serve: async (context) => context.json(await store.find(readQuery(context, query))),
    },
    {
      method: "get",
      path: "/v1/messages/{id}",
      id: "getMessage",
      summary: "One message with all that happened to it",
      scope: "queue:read",
      pathParameters: { id: queueId },
      answers: { 200: { description: "The message", schema: detailSchema } },
      problems: [404],
      serve: async (context) => {
        const found = await store.get(idOf(context));
        if (found === undefined) throw unknown(context);
        return context.json(found);
      },
    },
    {
      method: "get",
      path: "/v1/messages/{id}/raw",
      id: "getMessageContent",
      summary: "The content of a message as it is kept",
      scope: "content:read",
      pathParameters: { id: queueId },
      answers: { 200: { description: "The content", type: "message/rfc822" } },
      problems: [404],
      serve: async (context) => {
        const id = idOf(context);
        const content = await store.content(id);
        if (content === undefined) throw unknown(context);
        return context.body(streamOf(content), 200, {
          "Content-Type": "message/rfc822",
          "Content-Disposition": `attachment; filename="${id}.eml"`,
          "X-Content-Type-Options": "nosniff",
        });
      },
    },
  ];
}

function idOf(context: Context): string {
  const parsed = queueId.safeParse(context.req.param("id"));
  if (!parsed.success) throw unknown(context);
  return parsed.data;
}

function unknown(context: Context): Problem {
  return new Problem(404, "Not found", `There is no message ${context.req.param("id")}`);
}

/** The pieces as a stream; one is read when one is wanted. */
function streamOf(pieces: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array> {
  const iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream({
    pull: async (controller) => {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(value);
    },
    cancel: () => void iterator.return?.(),
  });
}
