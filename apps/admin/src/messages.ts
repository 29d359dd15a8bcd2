/** The routes below `/v1/messages`: finding a message and telling its way. */
import type { MessageQuery, MessageStore } from "@postern/store";
import { type Context, Hono } from "hono";
import { z } from "zod";
import { badParameter, readLimit } from "./input.ts";
import { Problem } from "./problem.ts";

const time = z.iso.datetime({ offset: true, error: "expected a time like 2026-01-31T12:00:00Z" })
  .transform((text) => new Date(text));
const id = z.uuid({ error: "expected a queue id" });

const parameters = {
  sender: z.string(),
  recipient: z.string(),
  messageId: z.string(),
  state: z.enum(["queued", "deferred", "delivered", "bounced", "held", "deleted"]),
  since: time,
  until: time,
  cursor: id,
};

/** The routes. */
export function messageRoutes(store: MessageStore): Hono {
  const routes = new Hono();

  routes.get("/", async (context) => context.json(await store.find(readQuery(context))));

  routes.get("/:id", async (context) => {
    const found = await store.get(idOf(context));
    if (found === undefined) throw unknown(context);
    return context.json(found);
  });

  routes.get("/:id/raw", async (context) => {
    const content = await store.content(idOf(context));
    if (content === undefined) throw unknown(context);
    return context.body(streamOf(content), 200, {
      "Content-Type": "message/rfc822",
      "Content-Disposition": `attachment; filename="${context.req.param("id")}.eml"`,
      "X-Content-Type-Options": "nosniff",
    });
  });

  return routes;
}

function readQuery(context: Context): MessageQuery {
  const query: Record<string, unknown> = { limit: readLimit(context) };
  for (const [name, text] of Object.entries(context.req.query())) {
    if (name === "limit") continue;
    if (!Object.hasOwn(parameters, name)) throw badParameter(name, "unknown parameter");
    const parsed = parameters[name as keyof typeof parameters].safeParse(text);
    if (!parsed.success) throw badParameter(name, parsed.error.issues[0]!.message);
    query[name] = parsed.data;
  }
  return query as unknown as MessageQuery;
}

function idOf(context: Context): string {
  const parsed = id.safeParse(context.req.param("id"));
  if (!parsed.success) throw unknown(context);
  return parsed.data;
}

function unknown(context: Context): Problem {
  return new Problem(404, "Not found", `There is no message ${context.req.param("id")}`);
}

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
