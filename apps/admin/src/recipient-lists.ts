/**
 * The operations on the recipient list of a domain, `/v1/domains/{name}/recipients`. A list may be
 * long, so it goes in and out as a stream.
 */
import { recipientListDescriptions } from "@postern/api";
import { domainPattern, listedAddress } from "@postern/config";
import type { ListOutcome, RecipientLists } from "@postern/store";
import type { Context } from "hono";
import { authorOf } from "./author.ts";
import { isJson, readNote, readQuery } from "./input.ts";
import { LIST_TYPES, type ListType, readList } from "./list-input.ts";
import type { Operation } from "./operation.ts";
import { entityTag, expectedVersion, stale } from "./preconditions.ts";
import { auditEntryOf } from "./principal.ts";
import { Problem } from "./problem.ts";

/** Addresses that are read at once while a list is given out. */
const PIECE = 5000;

const { list, put, get, add, remove } = recipientListDescriptions;

/** The operations. */
export function recipientListOperations(lists: RecipientLists): Operation[] {
  /** The condition of the request, who makes it, and what it does. */
  const changeBy = async (context: Context, domain: string, action: string) => ({
    author: authorOf(context),
    note: readNote(context),
    audit: auditEntryOf(context, action),
    expected: await expectedVersion(context, async () => (await lists.state(domain))?.version ?? 0),
  });

  return [
    {
      ...list,
      serve: async (context) => {
        const domain = domainOf(context);
        const { limit, cursor } = readQuery(context, list.query);
        const state = await lists.state(domain);
        if (state === undefined) throw noDomain(domain);
        const headers = { ETag: entityTag(state.version), Vary: "Accept" };
        const type = wanted(context);
        if (type !== "application/json") {
          return context.body(streamOf(lists, domain, type), 200, {
            ...headers,
            "Content-Type": type === "text/csv" ? "text/csv; charset=utf-8" : type,
          });
        }
        const found = await lists.page(domain, { limit: limit + 1, after: cursor });
        const items = found.slice(0, limit);
        const next = found.length > limit ? items.at(-1)! : null;
        return context.json({ items, next, size: state.size }, 200, headers);
      },
    },
    {
      ...put,
      serve: async (context) => {
        const domain = domainOf(context);
        const type = given(context);
        const change = await changeBy(context, domain, "recipients.replace");
        // Before a long list is taken in; whether it still holds is seen again at the end.
        if (await lists.state(domain) === undefined) throw noDomain(domain);
        const body = context.req.raw.body ?? new ReadableStream({ start: (it) => it.close() });
        const outcome = await lists.replace(domain, readList(body, type, domain), change);
        return await changed(context, domain, outcome);
      },
    },
    {
      ...get,
      serve: async (context) => {
        const { domain, address } = entryOf(context);
        if (!await lists.has(domain, address)) throw notListed(domain, address);
        return context.json({ address });
      },
    },
    {
      ...add,
      serve: async (context) => {
        const { domain, address } = entryOf(context, 422);
        const change = await changeBy(context, domain, "recipient.add");
        const outcome = await lists.add(domain, address, change);
        const { added } = applied(domain, outcome);
        return context.json({ address }, added > 0 ? 201 : 200);
      },
    },
    {
      ...remove,
      serve: async (context) => {
        const { domain, address } = entryOf(context);
        const change = await changeBy(context, domain, "recipient.remove");
        const outcome = await lists.remove(domain, address, change);
        if (applied(domain, outcome).removed === 0) throw notListed(domain, address);
        return context.body(null, 204);
      },
    },
  ];

  async function changed(context: Context, domain: string, outcome: ListOutcome) {
    const { added, removed, size, version } = applied(domain, outcome);
    const at = version > 0 ? version : (await lists.state(domain))?.version ?? 0;
    return context.json({ added, removed, size }, 200, { ETag: entityTag(at) });
  }
}

function applied(domain: string, outcome: ListOutcome) {
  if (outcome.status === "unknown") throw noDomain(domain);
  if (outcome.status === "stale") throw stale();
  return outcome;
}

function domainOf(context: Context): string {
  const text = context.req.param("name") ?? "";
  const parsed = domainPattern.safeParse(text);
  if (!parsed.success) throw noDomain(text);
  return parsed.data;
}

/** Domain and address of the path; where the address is none, the problem has this status. */
function entryOf(context: Context, status: 404 | 422 = 404) {
  const domain = domainOf(context);
  const text = context.req.param("address") ?? "";
  const address = listedAddress(domain, text);
  if (address !== undefined) return { domain, address };
  if (status === 404) throw notListed(domain, text);
  const detail = `expected a local part or an address of ${domain}`;
  throw new Problem(422, "Invalid", "The recipient is not valid", {
    errors: [{ parameter: "address", detail }],
  });
}

function noDomain(domain: string): Problem {
  return new Problem(404, "Not found", `There is no domain ${domain}`);
}

function notListed(domain: string, address: string): Problem {
  return new Problem(404, "Not found", `${address} is not on the recipient list of ${domain}`);
}

/** The form of the body; what is sent without one is JSON. */
function given(context: Context): ListType {
  const header = context.req.header("Content-Type");
  if (header === undefined || isJson(header)) return "application/json";
  const type = header.split(";")[0]!.trim().toLowerCase();
  const known = type === "application/ndjson"
    ? "application/x-ndjson"
    : LIST_TYPES.find((name) => name === type);
  if (known !== undefined) return known;
  throw new Problem(415, "Unsupported media type", `The body must be ${LIST_TYPES.join(", ")}`);
}

/** The form that the reader asks for: the first one named that there is, else JSON. */
function wanted(context: Context): ListType {
  const accepted = (context.req.header("Accept") ?? "").toLowerCase().split(",")
    .map((part) => part.split(";")[0]!.trim());
  return accepted.map((type) => LIST_TYPES.find((name) => name === type)).find(Boolean) ??
    "application/json";
}

/** The whole list as NDJSON or CSV; a piece is read when one is wanted. */
function streamOf(
  lists: RecipientLists,
  domain: string,
  type: "application/x-ndjson" | "text/csv",
): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let after: string | undefined;
  return new ReadableStream({
    start(controller) {
      if (type === "text/csv") controller.enqueue(encoder.encode("address\r\n"));
    },
    async pull(controller) {
      const addresses = await lists.page(domain, { limit: PIECE, after });
      after = addresses.at(-1);
      const lines = addresses.map((address) =>
        type === "text/csv" ? `${csvField(address)}\r\n` : `${JSON.stringify({ address })}\n`
      );
      if (lines.length > 0) controller.enqueue(encoder.encode(lines.join("")));
      if (lines.length < PIECE) controller.close();
    },
  });
}

/** A field of CSV (RFC 4180 §2). */
function csvField(text: string): string {
  return /[",\s]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
