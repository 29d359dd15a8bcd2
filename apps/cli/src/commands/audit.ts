/** `postern audit`: who did what over the API, when, and from where. */
import type { Api, QueryOf } from "@postern/client";
import type { Command } from "commander";
import { itemsOf, openSession } from "../gateway.ts";
import type { Surroundings } from "../surroundings.ts";
import { tableOf, timeOf } from "../table.ts";
import { count } from "./config.ts";

type Query = QueryOf<Api["v1"]["audit"]["$get"]>;

/** Adds the command. */
export function addAuditCommand(program: Command, surroundings: Surroundings): void {
  program.command("audit").description("who did what, when and from where, newest first")
    .option("--actor <token>", "done with the token of this name")
    .option("--action <action>", "config.change, token.create, denied, …")
    .option("--target <target>", "done to this: relays/internal")
    .option("--since <time>", "at this time (2026-01-31T12:00:00Z) or later")
    .option("--until <time>", "before this time")
    .option("--limit <n>", "so many", "50")
    .action(async ({ limit, ...query }: Query & { readonly limit: string }, command: Command) => {
      const session = await openSession(command, surroundings);
      const { $get } = session.client.api.v1.audit;
      const items = await itemsOf(
        session,
        (page) => $get({ query: { ...query, ...page } }),
        count(limit),
      );
      session.show(items, () =>
        tableOf(items, [
          { title: "at", of: ({ at }) => timeOf(at), whole: true },
          { title: "actor", of: ({ actor }) => actor },
          { title: "address", of: ({ address }) => address, spare: true },
          { title: "action", of: ({ action }) => action },
          { title: "target", of: ({ target }) => target },
          { title: "detail", of: ({ detail }) => JSON.stringify(detail), spare: true },
        ], session.columns));
    });
}
