/** `postern import`: a configuration of another mail server as a document of Postern's. */
import type { Command } from "commander";
import { join } from "node:path";
import { stringify } from "yaml";
import { importPostfix } from "../postfix/import.ts";
import { CommandError, type Surroundings } from "../surroundings.ts";
import { shown } from "../table.ts";

/** Adds the command. */
export function addImportCommand(program: Command, surroundings: Surroundings): void {
  const group = program.command("import").description("read another mail server's configuration");
  group.command("postfix").argument("<dir>", "the directory with main.cf")
    .description("a document from main.cf and its text tables; stderr says what stays behind")
    .option(
      "-o, --output <file>",
      "write it to this file, and recipient lists beside it: FILE.recipients/DOMAIN.ndjson",
    )
    .action(async (dir: string, { output }: { output?: string }) => {
      const { document, recipients, remarks } = await importPostfix(dir, surroundings.readText);
      for (const { file, line, text } of remarks) {
        surroundings.error(`${shown(file)}:${line}: ${shown(text)}\n`);
      }
      const text = stringify(document, { lineWidth: 0, aliasDuplicateObjects: false });
      if (output === undefined || output === "-") {
        return surroundings.out(text + asComments(recipients));
      }
      await written(output, () => surroundings.writeText(output, text));
      await writeLists(surroundings, listDirectory(output), recipients);
    });
}

/** Where recipient lists lie beside a document: `gateway.recipients` beside `gateway.yaml`. */
function listDirectory(output: string): string {
  return `${output.replace(/\.(ya?ml|json)$/, "")}.recipients`;
}

/** One file for each domain; says on stderr how they are put. */
async function writeLists(
  { error, makeDirectory, writeText }: Surroundings,
  directory: string,
  recipients: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  const lists = Object.entries(recipients);
  if (lists.length === 0) return;
  await written(directory, () => makeDirectory(directory));
  for (const [domain, addresses] of lists) {
    const file = join(directory, `${domain}.ndjson`);
    const lines = addresses.map((address) => `${JSON.stringify({ address })}\n`).join("");
    await written(file, () => writeText(file, lines));
  }
  error("Recipient lists, to be put as soon as the document is applied:\n");
  for (const [domain] of lists) {
    const file = join(directory, `${domain}.ndjson`);
    error(`  postern recipients put ${quoted(domain)} -f ${quoted(file)}\n`);
  }
}

/** Without a place for files the lists stand behind the document. */
function asComments(recipients: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(recipients).map(([domain, addresses]) =>
    `# Recipients of ${domain}, for postern recipients put ${quoted(domain)}:\n` +
    addresses.map((address) => `#   ${address}\n`).join("")
  ).join("");
}

async function written(file: string, write: () => Promise<void>): Promise<void> {
  try {
    await write();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CommandError(`${file} cannot be written: ${reason}`);
  }
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[\w./@-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
