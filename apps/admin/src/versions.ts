/** The versions of the configuration, `/v1/config/versions`: who changed what, and back again. */
import { configurationDescriptions as described, versionParameter } from "@postern/api";
import { changesBetween } from "@postern/config";
import type { ConfigurationVersion } from "@postern/store";
import type { Context } from "hono";
import { shownDifference } from "./differences.ts";
import { definitionsAt, type WholeConfiguration } from "./document.ts";
import { readNote, readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { entityTag, expectedVersion } from "./preconditions.ts";
import { actorOf } from "./principal.ts";
import { Problem } from "./problem.ts";
import { inDocument, refusal } from "./refusals.ts";

/** The operations. */
export function versionOperations(
  { configuration, history }: WholeConfiguration,
): Operation[] {
  const known = async (context: Context): Promise<ConfigurationVersion> => {
    const parsed = versionParameter.safeParse(context.req.param("version"));
    const found = parsed.success ? await history.version(parsed.data) : undefined;
    if (found !== undefined) return found;
    throw new Problem(404, "Not found", `There is no version ${context.req.param("version")}`);
  };

  return [
    {
      ...described.versions,
      serve: async (context) => {
        const { limit, cursor } = readQuery(context, described.versions.query);
        const found = await history.versions({ limit: limit + 1, before: cursor });
        const items = found.slice(0, limit);
        const next = found.length > limit ? String(items.at(-1)!.version) : null;
        return context.json({ items, next });
      },
    },
    {
      ...described.version,
      serve: async (context) => context.json(await known(context)),
    },
    {
      ...described.difference,
      serve: async (context) => {
        const { version: to } = await known(context);
        const { from = to - 1 } = readQuery(context, described.difference.query);
        if (from > 0 && await history.version(from) === undefined) {
          throw new Problem(404, "Not found", `There is no version ${from}`);
        }
        const { resources, recipientLists } = await history.differences(from, to);
        return context.json({ from, to, ...shownDifference(resources), recipientLists });
      },
    },
    {
      ...described.restore,
      serve: async (context) => {
        const { version: former } = await known(context);
        const expected = await expectedVersion(context, () => configuration.currentVersion());
        const wanted = await definitionsAt(history, former);
        const { actor: author, address } = actorOf(context);
        const outcome = await configuration.apply(
          (current) => changesBetween(current, wanted),
          { author, address, note: readNote(context) ?? `restore version ${former}` },
          { expected, restores: former },
        );
        if (outcome.status !== "applied") throw refusal(outcome, inDocument);
        const made = await history.version(outcome.version);
        return context.json(made, 200, { ETag: entityTag(outcome.version) });
      },
    },
  ];
}
