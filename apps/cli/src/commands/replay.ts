/** `postern config replay`: what a document would decide differently about real mail of late. */
import type { AnswerOf, Api } from "@postern/client";
import type { Command } from "commander";
import { definitionFrom } from "../definition.ts";
import { bodyOf, openSession } from "../gateway.ts";
import { type Surroundings, UsageError } from "../surroundings.ts";
import { tableOf, timeOf } from "../table.ts";

type Replay = Api["v1"]["config"]["replay"]["$post"];
type Answer = AnswerOf<Replay>;
type Outcome = Answer["differences"][number]["after"];
type Candidate = NonNullable<Parameters<Replay>[0]["json"]["configuration"]>;

/** Adds the command. */
export function addReplayCommand(group: Command, surroundings: Surroundings): void {
  group.command("replay")
    .description("what applying a file would decide differently about the last messages")
    .requiredOption("-f, --file <file>", "a document as export writes it; - is standard input")
    .option("--messages <n>", "so many messages, the newest first", "1000")
    .option("--differences <n>", "tell so many differences; all are counted", "100")
    .action(async (
      { file, messages, differences }: { file: string; messages: string; differences: string },
      command: Command,
    ) => {
      const json = {
        messages: numberOf("--messages", messages),
        differences: numberOf("--differences", differences),
        // What is no document, the API says with a pointer.
        configuration: await definitionFrom([], { file }, surroundings) as Candidate,
      };
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const answer = bodyOf(await take(api.v1.config.replay.$post({ json })));
      session.show(answer, (found) => replayText(found, session.columns));
    });
}

function replayText(found: Answer, columns: number | undefined): string {
  const { messages, recipients, differing, differences } = found;
  const table = tableOf(differences, [
    { title: "message", of: ({ id }) => id, whole: true, spare: true },
    {
      title: "received",
      of: ({ receivedAt }) => timeOf(receivedAt),
      whole: true,
      spare: true,
    },
    { title: "recipient", of: ({ recipient }) => recipient },
    { title: "now", of: ({ before }) => outcomeText(before) },
    { title: "then", of: ({ after }) => outcomeText(after) },
  ], columns);
  const looked =
    `${differing} of ${recipients} recipients would be decided differently, of the last ` +
    `${messages} messages\n`;
  return differences.length === 0 ? looked : `${table}\n${looked}`;
}

/** `deliver to u@example.com by internal`, `reject by rule lottery`. */
function outcomeText(outcome: Outcome): string {
  const copies = (outcome["copies"] ?? []) as readonly { forwardPath: string; relay: string }[];
  const to = copies.map(({ forwardPath, relay }) => `to ${forwardPath} by ${relay}`).join(", ");
  const rule = outcome.rule === null ? "" : `by rule ${outcome.rule}`;
  return [outcome.action, to || rule].filter((text) => text !== "").join(" ");
}

function numberOf(option: string, text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`${option} ${text}: expected a number`);
  return Number(text);
}
