/**
 * The contract as a type in the form that hono's client takes: path, then method, then what goes in
 * and what comes out. It is computed from the descriptions, so it says what the schemas say.
 */
import type { z } from "zod";
import type { auditDescriptions } from "./audit.ts";
import type { configurationDescriptions } from "./configuration.ts";
import type { OperationDescription } from "./description.ts";
import type { destinationDescriptions } from "./destinations.ts";
import type { explainDescriptions } from "./explain.ts";
import type { replayDescriptions } from "./replay.ts";
import type { messageActionDescriptions } from "./message-actions.ts";
import type { messageDescriptions } from "./messages.ts";
import type { ProblemDocument } from "./problem.ts";
import type { recipientListDescriptions } from "./recipient-lists.ts";
import type { NamedKind, resourceDescriptions } from "./resources.ts";
import type { tokenDescriptions } from "./tokens.ts";

/** `/v1/relays/{name}` as hono writes it: `/v1/relays/:name`. */
type HonoPath<Path extends string> = Path extends `${infer Before}{${infer Name}}${infer After}`
  ? `${Before}:${Name}${HonoPath<After>}`
  : Path;

/** The names of the parameters in a path. */
type ParameterNames<Path extends string> = Path extends `${string}{${infer Name}}${infer After}`
  ? Name | ParameterNames<After>
  : never;

type Empty = Record<never, never>;

/** A part of a request: one that may be empty may be left out. */
type Part<Name extends string, Value> = Empty extends Value ? { [K in Name]?: Value }
  : { [K in Name]: Value };

/** What a call of the operation takes. */
type Taken<D extends OperationDescription> =
  & ([ParameterNames<D["path"]>] extends [never] ? Empty
    : { param: { [K in ParameterNames<D["path"]>]: string } })
  & (D extends { query: infer Query extends z.ZodType } ? Part<"query", z.input<Query>> : Empty)
  & (D extends { body: infer Body extends z.ZodType } ? { json: z.input<Body> } : Empty)
  & (D extends { headers: readonly (infer Name extends string)[] }
    ? { header?: { [K in Name]?: string } }
    : Empty);

/** Status codes that tell of a problem. */
type ProblemStatus = 400 | 401 | 403 | 404 | 409 | 412 | 413 | 415 | 422 | 429 | 500 | 503;

/** Status codes of answers in good order. */
type GoodStatus = 200 | 201 | 202 | 204;

/** One endpoint for each status that the operation answers. */
type EndpointOf<D extends OperationDescription> =
  | {
    [Status in keyof D["answers"] & GoodStatus]-?:
      & {
        input: Taken<D>;
        status: Status;
      }
      & (NonNullable<D["answers"][Status]> extends { schema: infer Schema extends z.ZodType }
        ? { output: z.output<Schema>; outputFormat: "json" }
        : { output: undefined; outputFormat: "body" });
  }[keyof D["answers"] & GoodStatus]
  | { input: Taken<D>; status: ProblemStatus; output: ProblemDocument; outputFormat: "json" };

/** Many operations by path and method. */
type SchemaOf<D extends OperationDescription> = {
  [Path in D["path"] as HonoPath<Path>]: {
    [One in D as One["path"] extends Path ? `$${One["method"]}` : never]: EndpointOf<One>;
  };
};

/** The operations in a table of descriptions. */
type In<Table> = Extract<Table[keyof Table], OperationDescription>;

type Resources = {
  [K in NamedKind]: In<ReturnType<typeof resourceDescriptions<K>>>;
}[NamedKind];

type Settings = In<Pick<ReturnType<typeof resourceDescriptions<"settings">>, "read" | "put">>;

/** Every operation that the client has a type for, by path and method. */
export type ApiSchema = SchemaOf<
  | Resources
  | Settings
  | In<typeof configurationDescriptions>
  | In<typeof tokenDescriptions>
  | In<typeof auditDescriptions>
  | In<typeof messageDescriptions>
  | In<typeof messageActionDescriptions>
  | In<typeof destinationDescriptions>
  | In<typeof recipientListDescriptions>
  | In<typeof explainDescriptions>
  | In<typeof replayDescriptions>
>;
