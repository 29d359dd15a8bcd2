/** `postern tokens`: who may use the API, and for what. */
import { type Scope, SCOPES } from "@postern/api";
import type { Command } from "commander";
import { bodyOf, itemsOf, openSession } from "../gateway.ts";
import type { Surroundings } from "../surroundings.ts";
import { tableOf, timeOf } from "../table.ts";

/** Adds the commands. */
export function addTokenCommands(program: Command, surroundings: Surroundings): void {
  const group = program.command("tokens").description("tokens of the API and what they allow");

  group.command("list").description("the tokens by name")
    .action(async (_options, command: Command) => {
      const session = await openSession(command, surroundings);
      const { tokens } = session.client.api.v1;
      const items = await itemsOf(session, (query) => tokens.$get({ query }));
      session.show(items, () =>
        tableOf(items, [
          { title: "name", of: ({ name }) => name },
          { title: "scopes", of: ({ scopes }) => scopes.join(" ") },
          { title: "expires", of: ({ expiresAt }) => timeOf(expiresAt) ?? "never", whole: true },
          {
            title: "last used",
            of: ({ lastUsedAt }) => timeOf(lastUsedAt) ?? "never",
            whole: true,
          },
        ], session.columns));
    });

  group.command("create").argument("<name>").description("make a token; it is shown this once")
    .requiredOption("--scope <scope...>", Object.keys(SCOPES).join(", "))
    .option("--expires <time>", "when it ends: 2027-01-31T12:00:00Z; never when absent")
    .action(async (
      name: string,
      { scope, expires }: { scope: Scope[]; expires?: string },
      command: Command,
    ) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const json = { name, scopes: scope, ...(expires !== undefined && { expiresAt: expires }) };
      const made = bodyOf(await take(api.v1.tokens.$post({ json })));
      // The token alone on stdout, so that it can be piped to where it is kept.
      if (!session.json) surroundings.error("Keep it: it is not shown again\n");
      session.show(made, ({ token }) => `${token}\n`);
    });

  group.command("delete").argument("<name>", "its name or id").description("end a token")
    .action(async (name: string, _options, command: Command) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      bodyOf(await take(api.v1.tokens[":id"].$delete({ param: { id: name } })));
      session.show({ deleted: name }, () => `token ${name} is deleted\n`);
    });
}
