/** `postern messages`: finding messages, their way and content, and acting on them. */
import type { AnswerOf, Api, ItemOf, QueryOf } from "@postern/client";
import type { Command } from "commander";
import { bodyOf, itemsOf, openSession } from "../gateway.ts";
import type { Surroundings } from "../surroundings.ts";
import { factsOf, shown, sizeOf, tableOf, timeOf } from "../table.ts";
import { count } from "./config.ts";

type Messages = Api["v1"]["messages"];
type Summary = ItemOf<Messages["$get"]>;
type Message = AnswerOf<Messages[":id"]["$get"]>;
type Event = Message["events"][number];

const ACTIONS = [
  ["hold", "hold what is queued or deferred until it is released"],
  ["release", "put held recipients into the queue"],
  ["retry", "have deferred recipients tried now"],
  ["cancel", "delete what is not delivered yet; the sender is not told"],
  ["reroute", "send what is not delivered yet another way"],
] as const;

/** Adds the commands. */
export function addMessageCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("messages").description("messages: find, look at, act on");

  group.command("list").description("messages, newest first; all conditions must hold")
    .option("--sender <address>", "the reverse-path; <> for reports")
    .option("--recipient <address>", "one of the forward-paths")
    .option("--message-id <id>", "the Message-ID")
    .option("--state <state>", "queued, deferred, delivered, bounced, held or deleted")
    .option("--since <time>", "received at this time (2026-01-31T12:00:00Z) or later")
    .option("--until <time>", "received before this time")
    .option("--limit <n>", "so many", "50")
    .action(async (
      { limit, ...query }: QueryOf<Messages["$get"]> & { readonly limit: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const { $get } = session.client.api.v1.messages;
      const items = await itemsOf(
        session,
        (page) => $get({ query: { ...query, ...page } }),
        count(limit),
      );
      session.show(items, () =>
        tableOf(items, [
          { title: "id", of: ({ id }) => id, whole: true },
          {
            title: "received",
            of: ({ receivedAt }) => timeOf(receivedAt),
            whole: true,
            spare: true,
          },
          { title: "state", of: statesOf },
          { title: "from", of: ({ reversePath }) => reversePath || "<>" },
          { title: "to", of: recipientsOf },
          { title: "size", of: ({ size }) => sizeOf(size), right: true, spare: true },
        ], session.columns));
    });

  group.command("show").argument("<id>").description("a message with all that happened to it")
    .action(async (id: string, _options, command: Command) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const message = bodyOf(await take(api.v1.messages[":id"].$get({ param: { id } })));
      session.show(message, (one) => messageText(one, session.columns));
    });

  group.command("raw").argument("<id>").description("a message's content, byte for byte")
    .action(async (id: string, _options, command: Command) => {
      const { client } = await openSession(command, surroundings);
      const path = `/v1/messages/${encodeURIComponent(id)}/raw`;
      const { body } = bodyOf(await client.request(path));
      for await (const piece of body ?? []) await surroundings.outBytes(piece);
    });

  for (const [action, description] of ACTIONS) {
    const command = group.command(action).argument("<id>").description(description)
      .option("--recipient <address...>", "these only; all it applies to when absent");
    if (action === "reroute") {
      command.option("--relay <name>", "by this relay; as the configuration says when absent");
    }
    command.action(async (
      id: string,
      { recipient, relay }: { recipient?: string[]; relay?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const operations = api.v1.messages[":id"];
      const recipients = { ...(recipient && { recipients: recipient }) };
      const param = { id };
      const message = bodyOf(
        await take(
          action === "reroute"
            ? operations.reroute.$post({ param, json: { ...recipients, ...(relay && { relay }) } })
            : operations[action].$post({ param, json: recipients }),
        ),
      );
      session.show(message, (one) => recipientTable(one, session.columns));
    });
  }
}

function statesOf({ recipients }: Summary): string {
  const counts = new Map<string, number>();
  for (const { state } of recipients) counts.set(state, (counts.get(state) ?? 0) + 1);
  return counts.size === 1 && recipients.length === 1
    ? recipients[0]!.state
    : [...counts].map(([state, n]) => `${n} ${state}`).join(", ");
}

function recipientsOf({ recipients }: Summary): string {
  const first = recipients[0]?.forwardPath ?? "-";
  return recipients.length > 1 ? `${first} +${recipients.length - 1}` : first;
}

function recipientTable({ recipients }: Pick<Message, "recipients">, columns?: number): string {
  return tableOf(recipients, [
    { title: "recipient", of: ({ forwardPath }) => forwardPath },
    { title: "state", of: ({ state }) => state },
    { title: "relay", of: ({ destination }) => destination.relay, spare: true },
    { title: "next hop", of: ({ destination }) => destination.nextHop },
    { title: "last reply", of: ({ lastReply }) => lastReply },
  ], columns);
}

function messageText(message: Message, columns: number | undefined): string {
  const facts = factsOf([
    ["id", message.id],
    ["from", message.reversePath || "<>"],
    ["Message-ID", message.messageId],
    ["received", timeOf(message.receivedAt)],
    ["size", sizeOf(message.size)],
    ["content", message.contentKept ? null : "no longer kept: its retention is over"],
    ["decided by", `version ${message.configurationVersion} of the configuration`],
  ]);
  const events = message.events.map((event) =>
    `${timeOf(event.at)}  ${shown(event.kind)}${detailsOf(event)}\n`
  );
  return `${facts}\n${recipientTable(message, columns)}\n${events.join("")}`;
}

/** What an event tells besides its time and kind. */
function detailsOf(event: Event): string {
  return Object.entries(event)
    .filter(([key, value]) => !["at", "kind"].includes(key) && value !== null && value !== "")
    .map(([key, value]) => `\n    ${shown(key)}: ${shown(detailText(value))}`)
    .join("");
}

/** A detail as people read it: fields of plain values by their names, what is deeper as JSON. */
function detailText(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    return JSON.stringify(value);
  }
  const fields = Object.entries(value).filter(([, field]) => field !== null && field !== "");
  if (fields.some(([, field]) => typeof field === "object")) return JSON.stringify(value);
  return fields.map(([key, field]) => `${key} ${field}`).join(", ");
}
