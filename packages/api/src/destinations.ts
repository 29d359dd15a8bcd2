/** The operations below `/v1/destinations`: where deliveries go, how much waits, and what holds it. */
import { plainText } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter, pageOf } from "./parameters.ts";

const instant = z.iso.datetime().nullable();
const destinationSchema = z.object({
  id: z.int(),
  relay: z.string(),
  nextHop: z.string().meta({ description: "The domain whose mail hosts are looked up" }),
  depth: z.int().meta({ description: "Deliveries in its queue, those in flight included" }),
  inFlight: z.int().meta({ description: "Deliveries that workers have in hand" }),
  oldest: instant.meta({ description: "When the oldest message in its queue was received" }),
  lastReply: z.string().nullable().meta({ description: "What it said last that was no yes" }),
  lastReplyAt: instant,
  notBefore: instant.meta({ description: "It failed as a whole: nothing is tried before" }),
  failures: z.int().meta({
    description:
      "How often in a row it failed as a whole; with nothing in its queue it is not failing any more",
  }),
  pausedAt: instant,
  concurrency: z.number().nullable().meta({ description: "Deliveries at once, as learnt" }),
  limits: z.looseObject({}).nullable().meta({ description: "The limits of its relay" }),
}).meta({ id: "Destination" });

/** The id of a destination in a path. */
export const destinationId = z.string().regex(/^[1-9]\d{0,15}$/, {
  error: "expected the id of a destination",
})
  .transform(Number).meta({ type: "integer", pattern: undefined });
const query = z.strictObject({
  relay: plainText.exactOptional(),
  nextHop: plainText.exactOptional(),
  state: z.enum(["waiting", "failing", "paused"]).exactOptional().meta({
    description: "With something in its queue; failing as a whole while something waits; paused",
  }),
  limit: limitParameter,
  cursor: destinationId.exactOptional().meta({ description: "`next` of the page before" }),
});

const common = {
  method: "post",
  scope: "queue:write",
  pathParameters: { id: destinationId },
  answers: { 200: { description: "The destination as it is now", schema: destinationSchema } },
  problems: [404],
} as const;

/** What can be asked about and done to destinations. */
export const destinationDescriptions = {
  list: {
    method: "get",
    path: "/v1/destinations",
    id: "listDestinations",
    summary: "Destinations by id: how much waits, since when, and what holds it up",
    scope: "queue:read",
    query,
    answers: { 200: { description: "A page of them", schema: pageOf(destinationSchema) } },
    problems: [400],
  },
  pause: {
    ...common,
    path: "/v1/destinations/{id}/pause",
    id: "pauseDestination",
    summary: "Stop delivering to a destination; what workers have in hand goes on",
  },
  resume: {
    ...common,
    path: "/v1/destinations/{id}/resume",
    id: "resumeDestination",
    summary: "Deliver to a destination again; the pause does not count against lifetimes",
  },
  flush: {
    ...common,
    path: "/v1/destinations/{id}/flush",
    id: "flushDestination",
    summary: "Make all that waits at a destination due now, whatever it waits for",
  },
} as const satisfies Record<string, OperationDescription>;
