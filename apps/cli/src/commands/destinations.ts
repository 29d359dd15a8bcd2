/** `postern queue` and `postern destinations`: how much waits where, and what holds it up. */
import type { Api, ItemOf, QueryOf } from "@postern/client";
import type { Command } from "commander";
import { bodyOf, itemsOf, openSession, type Session } from "../gateway.ts";
import { CommandError, type Surroundings } from "../surroundings.ts";
import { type Column, tableOf, timeOf } from "../table.ts";

type Destinations = Api["v1"]["destinations"];
type Destination = ItemOf<Destinations["$get"]>;
type Query = QueryOf<Destinations["$get"]>;

const COLUMNS: readonly Column<Destination>[] = [
  { title: "id", of: ({ id }) => id, right: true },
  { title: "relay", of: ({ relay }) => relay },
  { title: "next hop", of: ({ nextHop }) => nextHop },
  { title: "queued", of: ({ depth }) => depth, right: true },
  { title: "oldest", of: ({ oldest }) => timeOf(oldest), whole: true, spare: true },
  { title: "in flight", of: ({ inFlight }) => inFlight, right: true, spare: true },
  { title: "state", of: stateOf, whole: true },
  { title: "next try", of: nextTry, whole: true, spare: true },
  { title: "last reply", of: ({ lastReply }) => lastReply },
];

function stateOf({ pausedAt, failures, depth }: Destination): string {
  if (pausedAt !== null) return "paused";
  return failures > 0 && depth > 0 ? `failed ${failures}×` : "ok";
}

/** The time of the day at which a destination that failed as a whole is tried again. */
function nextTry({ pausedAt, failures, depth, notBefore }: Destination): string | null {
  if (pausedAt !== null || failures === 0 || depth === 0) return null;
  return timeOf(notBefore)?.slice(11) ?? "now";
}

const ACTIONS = [
  ["pause", "stop delivering to a destination"],
  ["resume", "deliver to a destination again"],
  ["flush", "make all that waits at a destination due now"],
] as const;

/** Adds the commands. */
export function addDestinationCommands(program: Command, surroundings: Surroundings): void {
  program.command("queue").description("what waits, by destination, most first")
    .action(async (_options, command: Command) => {
      const session = await openSession(command, surroundings);
      const found = await destinations(session, { state: "waiting" });
      const items = found.toSorted((a, b) => b.depth - a.depth);
      session.show(items, () => {
        const total = items.reduce((sum, { depth }) => sum + depth, 0);
        if (total === 0) return "The queue is empty\n";
        const where = items.length === 1 ? "one destination" : `${items.length} destinations`;
        return `${tableOf(items, COLUMNS, session.columns)}\n${total} in the queue, at ${where}\n`;
      });
    });

  const group = program.command("destinations").description("where deliveries go");
  group.command("list").description("destinations: how much waits, since when, what holds it up")
    .option("--relay <name>", "of this relay")
    .option("--next-hop <domain>", "with this next hop")
    .option("--state <state>", "waiting, failing or paused")
    .action(async (query: Query, command: Command) => {
      const session = await openSession(command, surroundings);
      const items = await destinations(session, query);
      session.show(items, () => tableOf(items, COLUMNS, session.columns));
    });

  for (const [action, description] of ACTIONS) {
    group.command(action).argument(
      "<id>",
      "its id, RELAY/NEXT-HOP, or one of these where it is enough",
    )
      .description(description)
      .action(async (which: string, _options, command: Command) => {
        const session = await openSession(command, surroundings);
        const id = await idOf(session, which);
        const { api, take } = session.client;
        const one = bodyOf(await take(api.v1.destinations[":id"][action].$post({ param: { id } })));
        session.show(one, () => tableOf([one], COLUMNS, session.columns));
      });
  }
}

/** The destinations for which all conditions hold; the API says which conditions there are. */
function destinations(session: Session, query: Query): Promise<Destination[]> {
  const { $get } = session.client.api.v1.destinations;
  return itemsOf(session, (page) => $get({ query: { ...query, ...page } }));
}

/** The id of a destination that a person names. */
async function idOf(session: Session, which: string): Promise<string> {
  if (/^\d+$/.test(which)) return which;
  const slash = which.indexOf("/");
  const named = slash > 0
    ? { relay: which.slice(0, slash), nextHop: which.slice(slash + 1) }
    : { nextHop: which };
  let found = await destinations(session, named);
  if (found.length === 0 && slash < 0) found = await destinations(session, { relay: which });
  if (found.length === 0) throw new CommandError(`There is no destination ${which}`);
  if (found.length > 1) {
    const names = found.map(({ relay, nextHop }) => `${relay}/${nextHop}`).join(", ");
    throw new CommandError(`${which} is several destinations: ${names}`);
  }
  return String(found[0]!.id);
}
