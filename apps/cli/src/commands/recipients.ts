/** `postern recipients`: who exists in a domain whose recipients are checked by a list. */
import type { AnswerOf, Api } from "@postern/client";
import { type Command, Option } from "commander";
import { readNamed } from "../definition.ts";
import { bodyOf, openSession } from "../gateway.ts";
import { noted, noteOption } from "../note.ts";
import type { Surroundings } from "../surroundings.ts";
import { shown } from "../table.ts";

/** The forms of a list, and their media types; text, an address a line, goes as NDJSON. */
const TYPES = {
  text: "application/x-ndjson",
  ndjson: "application/x-ndjson",
  csv: "text/csv",
  json: "application/json",
} as const;
type Format = keyof typeof TYPES;

type Change = AnswerOf<Api["v1"]["domains"][":name"]["recipients"]["$put"]>;

const formatOption = (description: string) =>
  new Option("--format <format>", description).choices(Object.keys(TYPES));
const pathOf = (domain: string) => `/v1/domains/${encodeURIComponent(domain)}/recipients`;

/** Adds the commands. */
export function addRecipientCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("recipients").description("the recipient lists of domains");

  group.command("list").argument("<domain>").description("the whole list, in order")
    .addOption(formatOption("text: an address a line; ndjson, csv or json").default("text"))
    .action(async (domain: string, { format }: { format: Format }, command: Command) => {
      const session = await openSession(command, surroundings);
      const wanted = session.json ? "json" : format;
      const response = bodyOf(
        await session.client.request(pathOf(domain), {
          // JSON would come in pages.
          headers: { Accept: wanted === "csv" ? TYPES.csv : TYPES.ndjson },
        }),
      );
      if (wanted === "csv" || wanted === "ndjson") {
        for await (const piece of response.body ?? []) await surroundings.outBytes(piece);
        return;
      }
      const addresses = (await response.text()).split("\n").filter((line) => line !== "")
        .map((line) => (JSON.parse(line) as { address: string }).address);
      session.show(
        addresses,
        (all) =>
          wanted === "json"
            ? `${JSON.stringify(all, null, 2)}\n`
            : all.map((address) => `${shown(address)}\n`).join(""),
      );
    });

  group.command("put").argument("<domain>")
    .description("replace the list by a file's: all of it or, where a line is wrong, nothing")
    .requiredOption("-f, --file <file>", "the list; - is standard input")
    .addOption(
      formatOption("text: an address a line; ndjson, csv or json. By the file's name when absent"),
    )
    .addOption(noteOption())
    .action(async (
      domain: string,
      { file, format = formatOf(file), note }: { file: string; format?: Format; note?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const text = await readNamed(file, surroundings);
      const response = bodyOf(
        await session.client.request(pathOf(domain), {
          method: "PUT",
          headers: { "Content-Type": TYPES[format], ...noted(note) },
          body: format === "text" ? linesAsJson(text) : text,
        }),
      );
      session.show(
        await response.json() as Change,
        ({ added, removed, size }) =>
          `${added} added, ${removed} removed: ${size} recipient${size === 1 ? "" : "s"} of ${
            shown(domain)
          }\n`,
      );
    });

  group.command("add").argument("<domain>").argument("<address...>")
    .description("put addresses on the list")
    .addOption(noteOption())
    .action(async (
      domain: string,
      addresses: string[],
      { note }: { note?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const { recipients } = api.v1.domains[":name"];
      const listed: string[] = [];
      for (const address of addresses) {
        const param = { name: domain, address };
        const { $put } = recipients[":address"];
        listed.push(bodyOf(await take($put({ param, header: noted(note) }))).address);
      }
      session.show(
        { listed },
        () => listed.map((address) => `${shown(address)} is on the list\n`).join(""),
      );
    });

  group.command("delete").argument("<domain>").argument("<address...>")
    .description("take addresses off the list")
    .addOption(noteOption())
    .action(async (
      domain: string,
      addresses: string[],
      { note }: { note?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const { recipients } = api.v1.domains[":name"];
      for (const address of addresses) {
        const param = { name: domain, address };
        const { $delete } = recipients[":address"];
        bodyOf(await take($delete({ param, header: noted(note) })));
      }
      session.show(
        { deleted: addresses },
        () => addresses.map((address) => `${shown(address)} is off the list\n`).join(""),
      );
    });
}

/** The form that a file's name tells of. */
function formatOf(file: string): Format {
  const extension = /\.(\w+)$/.exec(file)?.[1]?.toLowerCase();
  if (extension === "ndjson" || extension === "jsonl") return "ndjson";
  return extension === "csv" || extension === "json" ? extension : "text";
}

/** Lines as NDJSON; empty ones stay, so that a line at fault has its own number. */
function linesAsJson(text: string): string {
  return text.split("\n").map((line) => line.trim() === "" ? "" : JSON.stringify(line.trim()))
    .join("\n");
}
