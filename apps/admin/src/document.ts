/**
 * The configuration as one document, `/v1/config`, in JSON or YAML: for a file in git, for a look at
 * what a change would do, for replacing it whole.
 */
import { configurationDescriptions as described, type ShownDifference } from "@postern/api";
import {
  changesBetween,
  type Definitions,
  definitionsOf,
  documentOf,
  documentSchema,
  type Resource,
  type ResourceKind,
  resourceKinds,
} from "@postern/config";
import type { SecretKey } from "@postern/secrets";
import type { ConfigurationHistory, ConfigurationStore } from "@postern/store";
import type { Context } from "hono";
import { stringify as yamlOf } from "yaml";
import { differenceMade } from "./differences.ts";
import { readDocument, readNote, readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { entityTag, expectedVersion, isKnown } from "./preconditions.ts";
import { actorOf } from "./principal.ts";
import { type FieldError, fieldErrors, Problem, wording } from "./problem.ts";
import { inDocument, invalid, refusal } from "./refusals.ts";
import { Sealer } from "./sealing.ts";

/** What the operations on the configuration as a whole work with. */
export interface WholeConfiguration {
  readonly configuration: ConfigurationStore;
  readonly history: ConfigurationHistory;
  readonly secretKey: SecretKey;
}

/** The operations. */
export function documentOperations(
  { configuration, history, secretKey }: WholeConfiguration,
): Operation[] {
  const sealed = async (definitions: Definitions) => {
    const sealer = new Sealer(secretKey, () => configuration.loadToChange());
    const errors: FieldError[] = [];
    const done: Record<string, ReadonlyMap<string, Resource>> = { ...definitions };
    for (const kind of ["relays", "users"] as const) {
      const bodies = new Map<string, Resource>();
      for (const [name, body] of definitions[kind]) {
        const sealing = await sealer.seal(kind, name, body);
        if ("body" in sealing) bodies.set(name, sealing.body);
        else {
          errors.push(...sealing.errors.map(({ pointer, detail }) => ({
            pointer: inDocument(kind, name, pointer),
            detail,
          })));
        }
      }
      done[kind] = bodies;
    }
    if (errors.length > 0) throw invalid(errors, "configuration");
    return done as unknown as Definitions;
  };

  return [
    {
      ...described.get,
      serve: async (context) => {
        const { version } = readQuery(context, described.get.query);
        const definitions = version === undefined
          ? await configuration.load()
          : await definitionsAt(history, version);
        const at = "version" in definitions ? definitions.version as number : version!;
        const headers = { ETag: entityTag(at), Vary: "Accept" };
        if (isKnown(context, at)) return context.body(null, 304, headers);
        const document = documentOf(definitions);
        if (!wantsYaml(context)) return context.json(document, 200, headers);
        const text = yamlOf(document, { aliasDuplicateObjects: false, lineWidth: 0 });
        return context.body(text, 200, {
          ...headers,
          "Content-Type": "application/yaml; charset=utf-8",
        });
      },
    },
    {
      ...described.put,
      serve: async (context) => {
        const dryRun = readQuery(context, described.put.query).dryRun === "true";
        const note = readNote(context) ?? "replace the configuration";
        const expected = await expectedVersion(context, () => configuration.currentVersion());
        const wanted = await sealed(definitionsOf(parseDocument(await readDocument(context))));
        const { actor: author, address } = actorOf(context);
        let difference: ShownDifference = { added: [], changed: [], removed: [] };
        const outcome = await configuration.apply(
          (current) => {
            const changes = changesBetween(current, wanted);
            difference = differenceMade(current, changes);
            return changes;
          },
          { author, address, note },
          { expected, dryRun },
        );
        if (outcome.status !== "applied") throw whole(refusal(outcome, inDocument), outcome);
        const { version } = outcome;
        return context.json({ version, dryRun, ...difference }, 200, { ETag: entityTag(version) });
      },
    },
  ];
}

/** What was in force at a version; 404 when there is no such version. */
export async function definitionsAt(
  history: ConfigurationHistory,
  version: number,
): Promise<Definitions> {
  if (await history.version(version) === undefined) {
    throw new Problem(404, "Not found", `There is no version ${version}`);
  }
  return await history.definitionsAt(version);
}

/** In a whole document, what points at nothing is wrong in the document. */
function whole(problem: Problem, outcome: Parameters<typeof refusal>[0]): Problem {
  if (outcome.status !== "inUse") return problem;
  return refusal({ ...outcome, status: "dangling" }, inDocument);
}

function parseDocument(value: unknown) {
  const parsed = documentSchema.safeParse(value, { error: wording });
  const errors = parsed.success ? [] : fieldErrors(parsed.error);
  errors.push(...namedTwice(value));
  if (!parsed.success || errors.length > 0) throw invalid(errors, "configuration");
  return parsed.data;
}

/** Names that are spelt differently and mean the same: Example.com and example.com. */
function namedTwice(value: unknown): FieldError[] {
  return (Object.keys(resourceKinds) as ResourceKind[]).flatMap((kind) => {
    const definitions = (value as Record<string, unknown> | null)?.[kind];
    if (kind === "settings" || typeof definitions !== "object" || definitions === null) return [];
    const seen = new Set<string>();
    return Object.keys(definitions).flatMap((name) => {
      const parsed = resourceKinds[kind].name.safeParse(name);
      if (!parsed.success) return [];
      if (!seen.has(parsed.data)) {
        seen.add(parsed.data);
        return [];
      }
      return [{ pointer: inDocument(kind, name, ""), detail: `${parsed.data} is there already` }];
    });
  });
}

/** Whether YAML stands before JSON in what the reader accepts. */
function wantsYaml(context: Context): boolean {
  const accepted = (context.req.header("Accept") ?? "").toLowerCase();
  const first = /(yaml)|json|\*\/\*/.exec(accepted);
  return first?.[1] !== undefined;
}
