/** `postern import`: a configuration of another mail server as a document of Postern's. */
import type { Command } from "commander";
import { stringify } from "yaml";
import { importPostfix } from "../postfix/import.ts";
import { CommandError, type Surroundings } from "../surroundings.ts";
import { shown } from "../table.ts";

/** Adds the command. */
export function addImportCommand(program: Command, surroundings: Surroundings): void {
  const group = program.command("import").description("read another mail server's configuration");
  group.command("postfix").argument("<dir>", "the directory with main.cf")
    .description("a document from main.cf and its text tables; stderr says what stays behind")
    .option("-o, --output <file>", "write it to this file")
    .action(async (dir: string, { output }: { output?: string }) => {
      const { document, recipients, remarks } = await importPostfix(dir, surroundings.readText);
      for (const { file, line, text } of remarks) {
        surroundings.error(`${shown(file)}:${line}: ${shown(text)}\n`);
      }
      const lists = Object.entries(recipients).map(([domain, addresses]) =>
        `# Recipients of ${domain}, for PUT /v1/domains/${domain}/recipients:\n` +
        addresses.map((address) => `#   ${address}\n`).join("")
      );
      const text = `${stringify(document, { lineWidth: 0, aliasDuplicateObjects: false })}${
        lists.join("")
      }`;
      if (output === undefined || output === "-") return surroundings.out(text);
      try {
        await surroundings.writeText(output, text);
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw new CommandError(`${output} cannot be written: ${reason}`);
      }
    });
}
