/**
 * The operations on the configuration's resources. All kinds behave alike, so they are made from
 * the list of kinds: list, read, create or replace, delete. Of settings there is one set, always:
 * read and replace.
 */
import { resourceDescriptions } from "@postern/api";
import {
  type Change,
  type Resource,
  type ResourceKind,
  resourceKinds,
  SETTINGS_NAME,
  withoutSecrets,
} from "@postern/config";
import type { SecretKey } from "@postern/secrets";
import type { ConfigurationStore, StoredResource } from "@postern/store";
import type { Context } from "hono";
import { readBody, readNote, readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { entityTag, expectedVersion, isKnown } from "./preconditions.ts";
import { actorOf } from "./principal.ts";
import { type FieldError, fieldErrors, Problem, wording } from "./problem.ts";
import { inDefinitionOf, invalid, refusal } from "./refusals.ts";
import { Sealer } from "./sealing.ts";

/** The operations below `/v1/{kind}`; for settings those on `/v1/settings` itself. */
export function resourceOperations(
  kind: ResourceKind,
  { configuration: store, secretKey }: {
    readonly configuration: ConfigurationStore;
    readonly secretKey: SecretKey;
  },
): Operation[] {
  const { singular, name: nameSchema } = resourceKinds[kind];
  const described = resourceDescriptions(kind);
  const single = kind === "settings";

  const unknown = (name: string) =>
    new Problem(404, "Not found", `There is no ${singular} ${name}`);

  /** The name in the path in its one spelling; undefined when nothing can have such a name. */
  const nameOf = (context: Context) => {
    const text = single ? SETTINGS_NAME : context.req.param("name") ?? "";
    const parsed = nameSchema.safeParse(text);
    return { text, parsed };
  };
  const knownNameOf = (context: Context) => {
    const { text, parsed } = nameOf(context);
    if (!parsed.success) throw unknown(text);
    return parsed.data;
  };

  const apply = async (context: Context, change: Omit<Change, "expected">, note: string) => {
    const expected = await expectedVersion(
      context,
      async () => (await store.get(kind, change.name))?.version ?? 0,
    );
    const { actor: author, address } = actorOf(context);
    const outcome = await store.apply(
      [expected === undefined ? change : { ...change, expected }],
      { author, address, note: readNote(context) ?? `${note} ${singular} ${change.name}` },
    );
    if (outcome.status !== "applied") throw refusal(outcome, inDefinitionOf(change));
    return outcome;
  };

  const list: Operation = {
    ...described.list,
    serve: async (context) => {
      const { limit, cursor } = readQuery(context, described.list.query);
      const found = await store.list(kind, { limit: limit + 1, after: cursor });
      const items = found.slice(0, limit);
      const next = found.length > limit ? items.at(-1)!.name : null;
      return context.json({ items: items.map(shown), next });
    },
  };

  const read: Operation = {
    ...described.read,
    serve: async (context) => {
      const name = knownNameOf(context);
      const found = await store.get(kind, name);
      if (found === undefined) throw unknown(name);
      const headers = { ETag: entityTag(found.version) };
      if (isKnown(context, found.version)) return context.body(null, 304, headers);
      return context.json(shown(found), 200, headers);
    },
  };

  const put: Operation = {
    ...described.put,
    serve: async (context) => {
      const given = nameOf(context);
      const parsed = described.put.body.safeParse(await readBody(context), { error: wording });
      const errors: FieldError[] = [];
      if (!given.parsed.success) {
        const detail = given.parsed.error.issues.map(({ message }) => message).join("; ");
        errors.push({ parameter: "name", detail });
      }
      if (!parsed.success) errors.push(...fieldErrors(parsed.error));
      if (!given.parsed.success || !parsed.success) throw invalid(errors, singular);
      const name = given.parsed.data;
      const { name: named = name, ...body } = parsed.data as { name?: string } & Resource;
      if (named !== name) {
        const detail = `expected ${name}, as in the path`;
        throw invalid([{ pointer: "/name", detail }], singular);
      }
      const sealer = new Sealer(secretKey, () => store.loadToChange());
      const sealing = await sealer.seal(kind, name, body as Resource);
      if ("errors" in sealing) throw invalid(sealing.errors, singular);
      const { version, created } = await apply(context, { kind, name, body: sealing.body }, "put");
      const stored = { kind, name, body: sealing.body, version };
      const headers = { ETag: entityTag(version) };
      return context.json(shown(stored), created[0] ? 201 : 200, headers);
    },
  };

  const remove: Operation = {
    ...described.remove,
    serve: async (context) => {
      await apply(context, { kind, name: knownNameOf(context), body: null }, "delete");
      return context.body(null, 204);
    },
  };

  return single ? [read, put] : [list, read, put, remove];
}

function shown({ kind, name, body }: StoredResource) {
  const definition = withoutSecrets(kind, body);
  return kind === "settings" ? definition : { name, ...definition };
}
