/** `postern relays|domains|clients|users|rules list|get|set|delete`, and `postern settings`. */
import type { NamedKind, ResourceDefinition, ResourceShape } from "@postern/api";
import { resourceKinds } from "@postern/config";
import type { Command } from "commander";
import { stringify } from "yaml";
import { bodyOf, openSession } from "../gateway.ts";
import { definitionFrom, type DefinitionOptions } from "../definition.ts";
import type { Surroundings } from "../surroundings.ts";
import { type Column, tableOf } from "../table.ts";

const many = (list: readonly unknown[] | undefined) => list?.join(", ");
const yes = (value: boolean) => value ? "yes" : "no";

/** What a list of each kind shows. */
const COLUMNS: { readonly [K in NamedKind]: readonly Column<ResourceShape<K>>[] } = {
  relays: [
    { title: "name", of: ({ name }) => name },
    { title: "kind", of: ({ kind }) => kind },
    { title: "goes to", of: (relay) => wayOf(relay) },
    { title: "tls", of: (relay) => "tls" in relay ? relay.tls.policy : null },
  ],
  domains: [
    { title: "name", of: ({ name }) => name },
    { title: "relay", of: ({ relay }) => relay },
    { title: "recipients", of: ({ recipients }) => recipients.verify },
    { title: "tls", of: ({ tls }) => tls },
    { title: "catch-all", of: ({ catchAll }) => catchAll },
    { title: "aliases", of: ({ aliases }) => Object.keys(aliases ?? {}).length, right: true },
  ],
  clients: [
    { title: "name", of: ({ name }) => name },
    { title: "may relay", of: ({ mayRelay }) => yes(mayRelay) },
    { title: "networks", of: ({ networks }) => many(networks) },
    { title: "certificates", of: ({ certificates }) => certificates.length, right: true },
  ],
  users: [
    { title: "name", of: ({ name }) => name },
    {
      title: "definition",
      of: ({ name: _, ...user }) =>
        JSON.stringify(user, (key, value) => key === "password" ? undefined : value),
    },
  ],
  rules: [
    { title: "order", of: ({ order }) => order, right: true },
    { title: "name", of: ({ name }) => name },
    { title: "enabled", of: ({ enabled }) => yes(enabled) },
    { title: "actions", of: ({ actions }) => many(actions.map((action) => action.do)) },
    { title: "match", of: ({ match }) => JSON.stringify(match) },
  ],
};

function wayOf(relay: ResourceShape<"relays">): string | null {
  switch (relay.kind) {
    case "smtp":
    case "lmtp":
      return relay.hosts.map(({ host, port }) =>
        `${host.includes(":") ? `[${host}]` : host}:${port}`
      ).join(", ");
    case "http":
      return relay.url;
    case "mx":
      return "the mail hosts of each domain";
    case "split":
      return relay.relays.map((part) => JSON.stringify(part)).join(", ");
    default:
      return null;
  }
}

/** Adds the commands. */
export function addResourceCommands(program: Command, surroundings: Surroundings): void {
  for (const kind of Object.keys(COLUMNS) as NamedKind[]) addKind(program, surroundings, kind);
  addSettings(program, surroundings);
}

function addKind<K extends NamedKind>(
  program: Command,
  surroundings: Surroundings,
  kind: K,
): void {
  const { singular } = resourceKinds[kind];
  const group = program.command(kind).description(`the ${kind} of the configuration`);

  group.command("list").description(`the ${kind} by name`)
    .action(async (_options, command: Command) => {
      const session = await openSession(command, surroundings);
      const items: ResourceShape<K>[] = [];
      for await (const item of session.client.resources(kind).list()) items.push(item);
      if (kind === "rules") {
        (items as unknown as ResourceShape<"rules">[]).sort((a, b) => a.order - b.order);
      }
      const columns = COLUMNS[kind] as unknown as readonly Column<ResourceShape<K>>[];
      session.show(items, () => tableOf(items, columns, session.columns));
    });

  group.command("get").argument("<name>").description(`one ${singular}, as YAML`)
    .action(async (name: string, _options, command: Command) => {
      const session = await openSession(command, surroundings);
      const body = bodyOf(await session.client.resources(kind).get(name));
      session.show(body, (one) => stringify(one, { lineWidth: 0 }));
    });

  withDefinition(
    group.command("set").argument("<name>").description(
      `create or replace a ${singular}: by fields (relay=internal, hosts.0.port=25), or from a file`,
    ),
  ).option("--if-match <tag>", "only when it is still at this entity tag")
    .action(async (
      name: string,
      fields: string[],
      options: DefinitionOptions & { ifMatch?: string },
      command: Command,
    ) => {
      const definition = await definitionFrom(fields, options, surroundings);
      const session = await openSession(command, surroundings);
      const body = bodyOf(
        await session.client.resources(kind).put(name, definition as ResourceDefinition<K>, {
          ...(options.ifMatch !== undefined && { ifMatch: options.ifMatch }),
        }),
      );
      session.show(body, (one) => stringify(one, { lineWidth: 0 }));
    });

  group.command("delete").argument("<name>").description(`delete a ${singular}`)
    .action(async (name: string, _options, command: Command) => {
      const session = await openSession(command, surroundings);
      bodyOf(await session.client.resources(kind).delete(name));
      session.show({ deleted: name }, () => `${singular} ${name} is deleted\n`);
    });
}

function addSettings(program: Command, surroundings: Surroundings): void {
  const group = program.command("settings").description("what holds for the gateway as a whole");
  group.command("get").description("the settings, as YAML")
    .action(async (_options, command: Command) => {
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const body = bodyOf(await take(api.v1.settings.$get({})));
      session.show(body, (settings) => stringify(settings));
    });
  withDefinition(group.command("set").description("replace the settings whole"))
    .action(async (fields: string[], options: DefinitionOptions, command: Command) => {
      const json = await definitionFrom(fields, options, surroundings);
      const session = await openSession(command, surroundings);
      const { api, take } = session.client;
      const body = bodyOf(await take(api.v1.settings.$put({ json })));
      session.show(body, (settings) => stringify(settings));
    });
}

function withDefinition(command: Command): Command {
  return command.argument("[fields...]", "KEY=VALUE, the value as YAML")
    .option("-f, --file <file>", "the definition as YAML or JSON; - is standard input")
    .option("--definition <json>", "the definition as JSON");
}
