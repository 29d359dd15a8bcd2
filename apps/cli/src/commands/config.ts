/** `postern config`: the configuration as one document, for a file in git, and its versions. */
import type { AnswerOf, Api } from "@postern/client";
import { type Command, Option } from "commander";
import { readNamed } from "../definition.ts";
import { bodyOf, itemsOf, openSession, type Session } from "../gateway.ts";
import { noted, noteOption } from "../note.ts";
import { CommandError, type Surroundings, UsageError } from "../surroundings.ts";
import { shown, tableOf, timeOf } from "../table.ts";
import { addReplayCommand } from "./replay.ts";

type Replacement = AnswerOf<Api["v1"]["config"]["$put"]>;
type VersionDifference = AnswerOf<Api["v1"]["config"]["versions"][":version"]["diff"]["$get"]>;

/** What a change makes different; of a whole document, recipient lists are no part. */
type Difference =
  & Pick<Replacement, "added" | "changed" | "removed">
  & Partial<Pick<VersionDifference, "recipientLists">>;

/** Adds the commands. */
export function addConfigCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("config").description("the configuration as one document");

  group.command("export").description("the whole configuration, without secrets")
    .option("-o, --output <file>", "write it to this file")
    .addOption(
      new Option("--format <format>", "yaml or json").choices(["yaml", "json"]).default("yaml"),
    )
    .option("--version <n>", "as it was at this version")
    .action(async (
      options: { output?: string; format: "yaml" | "json"; version?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const format = session.json ? "json" : options.format;
      const query = options.version === undefined
        ? ""
        : `?version=${encodeURIComponent(options.version)}`;
      const response = bodyOf(
        await session.client.request(`/v1/config${query}`, {
          headers: { Accept: `application/${format}` },
        }),
      );
      const text = await response.text();
      const whole = format === "json" ? `${JSON.stringify(JSON.parse(text), null, 2)}\n` : text;
      if (options.output === undefined || options.output === "-") return surroundings.out(whole);
      try {
        await surroundings.writeText(options.output, whole);
      } catch (error) {
        throw new CommandError(`${options.output} cannot be written: ${messageOf(error)}`);
      }
    });

  group.command("diff").description("what applying a file would change")
    .requiredOption("-f, --file <file>", "a document as export writes it; - is standard input")
    .action(async ({ file }: { file: string }, command: Command) => {
      const session = await openSession(command, surroundings);
      const body = await replace(session, file, true);
      session.show(body, differenceText);
    });

  group.command("apply").description("replace the configuration whole by a file's")
    .requiredOption("-f, --file <file>", "a document as export writes it; - is standard input")
    .addOption(noteOption())
    .option("--dry-run", "tell what would change, and change nothing")
    .action(async (
      { file, note, dryRun }: { file: string; note?: string; dryRun?: boolean },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const body = await replace(session, file, dryRun === true, note);
      session.show(
        body,
        (made) =>
          differenceText(made) +
          (made.dryRun
            ? "Nothing was changed: --dry-run\n"
            : `In force: version ${made.version}\n`),
      );
    });

  addReplayCommand(group, surroundings);

  group.command("versions").description("the versions of the configuration, newest first")
    .option("--limit <n>", "so many", "20")
    .action(async ({ limit }: { limit: string }, command: Command) => {
      const session = await openSession(command, surroundings);
      const { versions } = session.client.api.v1.config;
      const items = await itemsOf(session, (query) => versions.$get({ query }), count(limit));
      session.show(items, () =>
        tableOf(items, [
          { title: "version", of: ({ version }) => version, right: true },
          { title: "created", of: ({ createdAt }) => timeOf(createdAt), whole: true },
          { title: "author", of: ({ author }) => author },
          { title: "note", of: ({ note }) => note },
        ], session.columns));
    });

  group.command("show").argument("<version>").description("what a version changed")
    .action(async (version: string, _options, command: Command) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const { diff } = api.v1.config.versions[":version"];
      session.show(bodyOf(await take(diff.$get({ param: { version } }))), differenceText);
    });

  group.command("restore").argument("<version>")
    .description("make the configuration what it was at a version, as a new version")
    .addOption(noteOption())
    .action(async (version: string, { note }: { note?: string }, command: Command) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const { restore } = api.v1.config.versions[":version"];
      const made = bodyOf(await take(restore.$post({ param: { version }, header: noted(note) })));
      session.show(made, () => `In force: version ${made.version}, ${shown(made.note)}\n`);
    });
}

/** The file goes as it is, so that what is wrong in it is told by its own lines. */
async function replace(
  session: Session,
  file: string,
  dryRun: boolean,
  note?: string,
): Promise<Replacement> {
  const body = await readNamed(file, session);
  const response = bodyOf(
    await session.client.request(`/v1/config?dryRun=${dryRun}`, {
      method: "PUT",
      headers: { "Content-Type": "application/yaml", ...noted(note) },
      body,
    }),
  );
  return await response.json() as Replacement;
}

function differenceText({ added, changed, removed, recipientLists = [] }: Difference): string {
  const value = (given: unknown) => given === undefined ? "(nothing)" : JSON.stringify(given);
  const lines = [
    ...added.map(({ kind, name }) => `+ ${kind} ${name}`),
    ...changed.flatMap(({ kind, name, changes }) => [
      `~ ${kind} ${name}`,
      ...changes.map(({ pointer, from, to }) => `    ${pointer}: ${value(from)} → ${value(to)}`),
    ]),
    ...removed.map(({ kind, name }) => `- ${kind} ${name}`),
    ...recipientLists.map((list) =>
      `~ recipients of ${list.domain}: ${list.added} added, ${list.removed} removed`
    ),
  ];
  return lines.length === 0 ? "No difference\n" : `${lines.map(shown).join("\n")}\n`;
}

/** A number of items that a person gives. */
export function count(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new UsageError(`--limit ${text}: expected a number`);
  return Number(text);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
