/**
 * The operations on the recipient list of a domain, `/v1/domains/{name}/recipients`. A list may be
 * long, so it goes in and out as a stream.
 */
import { domainPattern, plainText } from "@postern/config";
import { z } from "zod";
import type { OperationDescription } from "./description.ts";
import { limitParameter } from "./parameters.ts";

const addressSchema = plainText.meta({ examples: ["someone"] });
const page = z.strictObject({
  limit: limitParameter,
  cursor: plainText.exactOptional().meta({ description: "`next` of the page before" }),
});
const pageSchema = z.object({
  items: z.array(addressSchema),
  next: z.string().nullable(),
  size: z.int().meta({ description: "Addresses on the list" }),
}).meta({ id: "RecipientPage", examples: [{ items: ["info", "sales"], next: null, size: 2 }] });
const listBody = z.union([z.array(addressSchema), z.object({ items: z.array(addressSchema) })])
  .meta({ id: "RecipientList", examples: [["info", "sales@example.com"]] });
const changeSchema = z.object({
  added: z.int(),
  removed: z.int(),
  size: z.int().meta({ description: "Addresses on the list now" }),
}).meta({ id: "RecipientListChange", examples: [{ added: 2, removed: 0, size: 2 }] });
const entrySchema = z.object({ address: z.string() })
  .meta({ id: "ListedRecipient", examples: [{ address: "info" }] });

const path = "/v1/domains/{name}/recipients";
const pathParameters = { name: domainPattern };
const one = {
  path: `${path}/{address}`,
  pathParameters: { ...pathParameters, address: addressSchema },
} as const;

/** What can be done with the recipient list of a domain. */
export const recipientListDescriptions = {
  list: {
    method: "get",
    path,
    id: "listRecipients",
    summary: "The recipient list of a domain: a page of it, or by Accept all of it",
    scope: "config:read",
    pathParameters,
    query: page,
    answers: {
      200: {
        description: "Addresses in order: local parts, below a wildcard whole addresses too",
        schema: pageSchema,
        otherTypes: ["application/x-ndjson", "text/csv"],
        hasEntityTag: true,
      },
    },
    problems: [400, 404],
  },
  put: {
    method: "put",
    path,
    id: "putRecipients",
    summary: "Replace the recipient list of a domain, all of it or, if a line is wrong, nothing",
    scope: "config:write",
    pathParameters,
    headers: ["If-Match", "If-None-Match", "Postern-Note"],
    body: listBody,
    otherBodyTypes: ["application/x-ndjson", "text/csv"],
    answers: {
      200: { description: "What changed", schema: changeSchema, hasEntityTag: true },
    },
    problems: [400, 404, 412, 413, 415, 422],
  },
  get: {
    ...one,
    method: "get",
    id: "getRecipient",
    summary: "Whether an address is on the recipient list of a domain",
    scope: "config:read",
    answers: { 200: { description: "It is", schema: entrySchema } },
    problems: [404],
  },
  add: {
    ...one,
    method: "put",
    id: "putRecipient",
    summary: "Put an address on the recipient list of a domain",
    scope: "config:write",
    headers: ["If-Match", "Postern-Note"],
    answers: {
      200: { description: "It was there already", schema: entrySchema },
      201: { description: "It is there now", schema: entrySchema },
    },
    problems: [404, 412, 422],
  },
  remove: {
    ...one,
    method: "delete",
    id: "deleteRecipient",
    summary: "Take an address off the recipient list of a domain",
    scope: "config:write",
    headers: ["If-Match", "Postern-Note"],
    answers: { 204: { description: "It is gone" } },
    problems: [404, 412],
  },
} as const satisfies Record<string, OperationDescription>;
