/** The operations that act on a message: `POST /v1/messages/{id}/{hold|release|retry|cancel|reroute}`. */
import { plainText, resourceName } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { detailSchema, queueId } from "./messages.ts";

const recipients = z.array(plainText.min(1).max(1000)).min(1).max(50_000).exactOptional().meta({
  description: "The forward-paths to act on; all to whom the action applies when absent",
});
const bodySchema = z.strictObject({ recipients }).meta({
  id: "MessageAction",
  examples: [{}, { recipients: ["someone@example.com"] }],
});
const rerouteSchema = z.strictObject({
  recipients,
  relay: resourceName.exactOptional().meta({
    description: "The relay to go by; by domain, as the configuration in force says, when absent",
  }),
}).meta({ id: "Reroute", examples: [{ relay: "internal" }] });

const common = {
  method: "post",
  scope: "queue:write",
  pathParameters: { id: queueId },
  body: bodySchema,
  bodyIsOptional: true,
  answers: { 200: { description: "The message as it is now", schema: detailSchema } },
  problems: [400, 404, 409, 413, 415, 422],
} as const;

/** What can be done to a message. */
export const messageActionDescriptions = {
  hold: {
    ...common,
    path: "/v1/messages/{id}/hold",
    id: "holdMessage",
    summary: "Hold recipients that are queued or deferred until they are released",
  },
  release: {
    ...common,
    path: "/v1/messages/{id}/release",
    id: "releaseMessage",
    summary: "Put held recipients into the queue, due now",
  },
  retry: {
    ...common,
    path: "/v1/messages/{id}/retry",
    id: "retryMessage",
    summary: "Have deferred recipients tried now",
  },
  cancel: {
    ...common,
    path: "/v1/messages/{id}/cancel",
    id: "cancelMessage",
    summary: "Delete recipients that are queued, deferred or held; their sender is not told",
  },
  reroute: {
    ...common,
    path: "/v1/messages/{id}/reroute",
    id: "rerouteMessage",
    summary: "Send recipients that are queued, deferred or held another way",
    body: rerouteSchema,
  },
} as const satisfies Record<string, OperationDescription>;
