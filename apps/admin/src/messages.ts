/** Serves what is below `/v1/messages`. */
import { messageDescriptions, queueId } from "@postern/api";
import type { MessageStore } from "@postern/store";
import type { Context } from "hono";
import { readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { Problem } from "./problem.ts";

const { find, get, content } = messageDescriptions;

/** The operations. */
export function messageOperations(store: MessageStore): Operation[] {
  return [
    {
      ...find,
      serve: async (context) => context.json(await store.find(readQuery(context, find.query))),
    },
    {
      ...get,
      serve: async (context) => {
        const found = await store.get(idOf(context));
        if (found === undefined) throw unknownMessage(context);
        return context.json(found);
      },
    },
    {
      ...content,
      serve: async (context) => {
        const id = idOf(context);
        const content = await store.content(id);
        if (content === undefined) throw unknownMessage(context);
        if (content === "gone") {
          const detail = "The content of this message is no longer kept: its retention is over";
          throw new Problem(410, "Gone", detail);
        }
        return context.body(streamOf(content), 200, {
          "Content-Type": "message/rfc822",
          "Content-Disposition": `attachment; filename="${id}.eml"`,
          "X-Content-Type-Options": "nosniff",
        });
      },
    },
  ];
}

/** The queue id in the path. */
export function idOf(context: Context): string {
  const parsed = queueId.safeParse(context.req.param("id"));
  if (!parsed.success) throw unknownMessage(context);
  return parsed.data;
}

/** The problem of a message that there is not. */
export function unknownMessage(context: Context): Problem {
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
