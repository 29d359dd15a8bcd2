/** The operations below `/v1/destinations`: where deliveries go, how much waits, and what holds it. */
import { destinationDescriptions, destinationId } from "@postern/api";
import type { DestinationSummary } from "@postern/store";
import type { Context } from "hono";
import { readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { auditEntryOf } from "./principal.ts";
import { Problem } from "./problem.ts";
import type { Snapshots } from "./snapshots.ts";
import type { QueueStore } from "./stores.ts";

/** The operations. */
export function destinationOperations(
  { queue, snapshots }: { readonly queue: QueueStore; readonly snapshots: Snapshots },
): Operation[] {
  const shown = async (found: readonly DestinationSummary[]) => {
    const { relays } = await snapshots.current();
    return found.map((one) => {
      const relay = relays.get(one.relay);
      return { ...one, limits: relay !== undefined && "limits" in relay ? relay.limits : null };
    });
  };
  return [
    {
      ...destinationDescriptions.list,
      serve: async (context) => {
        const { limit, cursor, ...filter } = readQuery(context, destinationDescriptions.list.query);
        const found = await queue.destinations({
          ...filter,
          limit: limit + 1,
          ...(cursor !== undefined && { after: cursor }),
        });
        const items = await shown(found.slice(0, limit));
        const next = found.length > limit ? String(items.at(-1)!.id) : null;
        return context.json({ items, next });
      },
    },
    ...(["pause", "resume", "flush"] as const).map((action): Operation => ({
      ...destinationDescriptions[action],
      serve: async (context) => {
        const which = idOf(context);
        const audit = auditEntryOf(context, `destination.${action}`);
        if (!await queue[action](which, audit)) throw unknown(context);
        const [one] = await shown(await queue.destinations({ limit: 1, after: which - 1 }));
        return context.json(one);
      },
    })),
  ];
}

function idOf(context: Context): number {
  const parsed = destinationId.safeParse(context.req.param("id"));
  if (!parsed.success) throw unknown(context);
  return parsed.data;
}

function unknown(context: Context): Problem {
  return new Problem(404, "Not found", `There is no destination ${context.req.param("id")}`);
}
