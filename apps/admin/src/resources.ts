/**
 * The operations on the configuration's resources. All kinds behave alike, so they are made from
 * the list of kinds: list, read, create or replace, delete. Of settings there is one set, always:
 * read and replace.
 */
import { resourceDescriptions } from "@postern/api";
import { type Resource, type ResourceKind, resourceKinds, SETTINGS_NAME } from "@postern/config";
import type { Change, ChangeOutcome, ConfigurationStore, StoredResource } from "@postern/store";
import type { Context } from "hono";
import { readBody, readQuery } from "./input.ts";
import type { Operation } from "./operation.ts";
import { entityTag, expectedVersion, isKnown, stale } from "./preconditions.ts";
import { type FieldError, fieldErrors, Problem, wording } from "./problem.ts";

/** Who changes the configuration, as its versions tell. */
const AUTHOR = "api";

/** The operations below `/v1/{kind}`; for settings those on `/v1/settings` itself. */
export function resourceOperations(kind: ResourceKind, store: ConfigurationStore): Operation[] {
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
    const outcome = await store.apply(
      [expected === undefined ? change : { ...change, expected }],
      { author: AUTHOR, note: `${note} ${singular} ${change.name}` },
    );
    if (outcome.status !== "applied") throw refusal(outcome);
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
      if (!given.parsed.success || !parsed.success) throw invalid(singular, errors);
      const name = given.parsed.data;
      const { name: named = name, ...body } = parsed.data as { name?: string } & Resource;
      if (named !== name) {
        throw invalid(singular, [{
          pointer: "/name",
          detail: `expected ${name}, as in the path`,
        }]);
      }
      const { version, created } = await apply(context, { kind, name, body }, "put");
      const stored = { kind, name, body, version };
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
  return kind === "settings" ? body : { name, ...body };
}

function invalid(singular: string, errors: readonly FieldError[]): Problem {
  return new Problem(422, "Invalid", `The ${singular} is not valid`, { errors });
}

function refusal(outcome: Exclude<ChangeOutcome, { status: "applied" }>): Problem {
  switch (outcome.status) {
    case "stale":
      return stale();
    case "unknown": {
      const { singular } = resourceKinds[outcome.kind];
      return new Problem(404, "Not found", `There is no ${singular} ${outcome.name}`);
    }
    case "builtIn": {
      const detail = `${outcome.name} is part of every configuration: replace it instead`;
      return new Problem(409, "Built in", detail);
    }
    case "dangling":
      return invalid(
        resourceKinds[outcome.references[0]!.from.kind].singular,
        outcome.references.map(({ from, to }) => ({
          pointer: from.pointer,
          detail: `there is no ${resourceKinds[to.kind].singular} ${to.name}`,
        })),
      );
    case "inUse": {
      const users = outcome.references.map(({ from }) =>
        `${resourceKinds[from.kind].singular} ${from.name}`
      );
      return new Problem(409, "In use", `Used by ${users.join(", ")}`);
    }
  }
}
