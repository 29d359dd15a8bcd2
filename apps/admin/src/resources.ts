/**
 * The routes of the configuration's resources. All kinds behave alike, so they are made from the
 * list of kinds: list, read, create or replace, delete.
 */
import { type Resource, type ResourceKind, resourceKinds } from "@postern/config";
import type { ChangeOutcome, ConfigurationStore, StoredResource } from "@postern/store";
import { type Context, Hono } from "hono";
import { readBody, readLimit } from "./input.ts";
import { fieldErrors, Problem } from "./problem.ts";

/** Who changes the configuration, as its versions tell. */
const AUTHOR = "api";

/** The routes below `/v1/{kind}`. */
export function resourceRoutes(kind: ResourceKind, store: ConfigurationStore): Hono {
  const { singular, schema } = resourceKinds[kind];
  const routes = new Hono();

  const find = async (name: string) => {
    const found = await store.get(kind, name);
    if (found === undefined) throw new Problem(404, "Not found", `There is no ${singular} ${name}`);
    return found;
  };

  routes.get("/", async (context) => {
    const limit = readLimit(context);
    const after = context.req.query("cursor");
    const found = await store.list(kind, { limit: limit + 1, after });
    const items = found.slice(0, limit).map(shown);
    const next = found.length > limit ? items.at(-1)!.name : null;
    return context.json({ items, next });
  });

  routes.get("/:name", async (context) => {
    const found = await find(nameOf(context, kind));
    const tag = etag(found.version);
    if (context.req.header("If-None-Match") === tag) return context.body(null, 304, { ETag: tag });
    return context.json(shown(found), 200, { ETag: tag });
  });

  routes.put("/:name", async (context) => {
    const name = nameOf(context, kind);
    const body = await readBody(context);
    const parsed = schema.safeParse(withoutName(body, name));
    if (!parsed.success) throw invalid(singular, fieldErrors(parsed.error));
    const expected = expectedVersion(context);
    const change = { kind, name, body: parsed.data as Resource };
    const outcome = await store.apply(
      [expected === undefined ? change : { ...change, expected }],
      { author: AUTHOR, note: `put ${singular} ${name}` },
    );
    if (outcome.status !== "applied") throw refusal(outcome);
    const { version, created } = outcome;
    const stored = { kind, name, body: change.body, version };
    return context.json(shown(stored), created[0] ? 201 : 200, { ETag: etag(version) });
  });

  routes.delete("/:name", async (context) => {
    const name = nameOf(context, kind);
    const expected = expectedVersion(context);
    const change = { kind, name, body: null };
    const outcome = await store.apply(
      [expected === undefined ? change : { ...change, expected }],
      { author: AUTHOR, note: `delete ${singular} ${name}` },
    );
    if (outcome.status !== "applied") throw refusal(outcome);
    return context.body(null, 204);
  });

  return routes;
}

function shown({ name, body }: StoredResource) {
  return { name, ...body };
}

function etag(version: number): string {
  return `"${version}"`;
}

/** The name in the path, in its one spelling. */
function nameOf(context: Context, kind: ResourceKind): string {
  const { name: schema, singular } = resourceKinds[kind];
  const parsed = schema.safeParse(context.req.param("name"));
  if (parsed.success) return parsed.data;
  const errors = parsed.error.issues.map(({ message }) => ({ pointer: "name", detail: message }));
  throw invalid(singular, errors);
}

/** A body may repeat its name, as answers do, but not name another. */
function withoutName(body: unknown, name: string): unknown {
  if (typeof body !== "object" || body === null || !("name" in body)) return body;
  const { name: given, ...rest } = body;
  if (given === name) return rest;
  throw new Problem(422, "Invalid", "The body names another resource than the path", {
    errors: [{ pointer: "/name", detail: `expected "${name}"` }],
  });
}

/** The version that If-Match or If-None-Match: * asks for; undefined when neither is given. */
function expectedVersion(context: Context): number | undefined {
  if (context.req.header("If-None-Match") === "*") return 0;
  const match = context.req.header("If-Match");
  if (match === undefined || match === "*") return undefined;
  const version = /^"(\d{1,15})"$/.exec(match)?.[1];
  if (version === undefined || version === "0") throw stale();
  return Number(version);
}

function invalid(singular: string, errors: { pointer: string; detail: string }[]): Problem {
  return new Problem(422, "Invalid", `The ${singular} is not valid`, { errors });
}

function stale(): Problem {
  return new Problem(
    412,
    "Changed meanwhile",
    "The resource is not at the version that was asked for",
  );
}

function refusal(outcome: Exclude<ChangeOutcome, { status: "applied" }>): Problem {
  switch (outcome.status) {
    case "stale":
      return stale();
    case "unknown":
      return new Problem(
        404,
        "Not found",
        `There is no ${resourceKinds[outcome.kind].singular} ${outcome.name}`,
      );
    case "builtIn":
      return new Problem(409, "Needed", `${outcome.name} can be replaced but not deleted`);
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
