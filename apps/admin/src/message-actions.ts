/** What is done to a message: `POST /v1/messages/{id}/{hold|release|retry|cancel|reroute}`. */
import { messageActionDescriptions } from "@postern/api";
import {
  type MessageStore,
  type NewWay,
  type Obstacle,
  type RecipientAction,
} from "@postern/store";
import type { Context } from "hono";
import { authorOf } from "./author.ts";
import { readBodyAs } from "./input.ts";
import { idOf, unknownMessage } from "./messages.ts";
import type { Operation } from "./operation.ts";
import { auditEntryOf } from "./principal.ts";
import { Problem } from "./problem.ts";
import { rerouting } from "./rerouting.ts";
import type { Snapshots } from "./snapshots.ts";
import type { QueueStore } from "./stores.ts";

/** The operations. */
export function messageActionOperations(
  { queue, messages, snapshots }: {
    readonly queue: QueueStore;
    readonly messages: MessageStore;
    readonly snapshots: Snapshots;
  },
): Operation[] {
  const actions = Object.keys(messageActionDescriptions) as RecipientAction[];
  return actions.map((action) => ({
    ...messageActionDescriptions[action],
    serve: async (context) => {
      const id = idOf(context);
      const { relay, recipients } = action === "reroute"
        ? await readBodyAs(context, messageActionDescriptions.reroute.body)
        : {
          relay: undefined,
          ...await readBodyAs(context, messageActionDescriptions[action].body),
        };
      const ways = action === "reroute" ? await waysOf(context, id, recipients, relay) : undefined;
      const outcome = await queue.act(id, {
        action,
        author: authorOf(context),
        audit: auditEntryOf(context, `message.${action}`),
        ...(recipients && { recipients }),
        ...(ways && { ways }),
      });
      if (outcome.status === "unknown") throw unknownMessage(context);
      if (outcome.status === "refused") throw inTheWay(action, outcome.obstacles);
      return context.json(await messages.get(id));
    },
  }));

  /** The new way of each recipient. */
  async function waysOf(
    context: Context,
    id: string,
    wanted: readonly string[] | undefined,
    relay: string | undefined,
  ): Promise<Map<string, NewWay>> {
    const message = await messages.get(id);
    if (message === undefined) throw unknownMessage(context);
    const named = wanted && new Set(wanted.map((path) => path.toLowerCase()));
    const paths = message.recipients.map(({ forwardPath }) => forwardPath)
      .filter((path) => named === undefined || named.has(path.toLowerCase()));
    return rerouting(await snapshots.current(), paths, relay);
  }
}

/** What stands in the way of an action, recipient by recipient. */
function inTheWay(action: RecipientAction, obstacles: readonly Obstacle[]): Problem {
  const errors = obstacles.map(({ recipient, state, reason }) => ({
    pointer: "/recipients",
    detail: reason === "delivering"
      ? `${recipient} is being delivered right now: try again when the attempt has ended`
      : reason === "unknown"
      ? `the message has no recipient ${recipient}`
      : `${recipient} is ${state}`,
  }));
  const delivering = obstacles.some(({ reason }) => reason === "delivering");
  const detail = obstacles.length === 0
    ? `The message has no recipient to ${action}`
    : delivering
    ? `Nothing was changed: a worker is delivering the message right now`
    : `Nothing was changed: not all of these recipients can be made to ${action}`;
  return new Problem(409, "Conflict", detail, {
    errors: errors.slice(0, 100),
    ...(delivering && { headers: { "Retry-After": "5" } }),
  });
}
