/**
 * A typed client of the REST API: hono's client over the contract of `@postern/api`. It needs
 * nothing but `fetch`, and takes only types from the server's side.
 *
 * @example
 * const postern = createClient({ url: "http://127.0.0.1:8025", token });
 * const result = await postern.take(postern.api.v1.relays.$get());
 * if (result.ok) console.log(result.body.items);
 * else console.error(result.failure.sentence);
 */
import type {
  ApiSchema,
  NamedKind,
  ProblemDocument,
  ResourceDefinition,
  ResourceShape,
} from "@postern/api";
import type { Hono } from "hono";
import { hc } from "hono/client";
import type { ClientResponse } from "hono/client";
import type { BlankEnv } from "hono/types";
import { type Failure, noName, problemFailure, RequestFailed, unreachable } from "./failure.ts";

/** What a client is made of. */
export interface ClientOptions {
  /** Where the API listens: `http://127.0.0.1:8025`. */
  readonly url: string;
  /** The bearer token; without one only what is open to all can be asked. */
  readonly token?: string;
  /** Does the requests; the runtime's `fetch` when absent. */
  readonly fetch?: (url: string, init?: RequestInit) => Promise<Response>;
}

/** What became of a request. */
export type Result<Body> =
  | { readonly ok: true; readonly body: Body; readonly entityTag: string | undefined }
  | { readonly ok: false; readonly failure: Failure };

/** The API with its paths, parameters, bodies and answers: `api.v1.relays[":name"].$get(…)`. */
export type Api = ReturnType<typeof hc<Hono<BlankEnv, ApiSchema, "/">>>;

/** A response of the API, whatever it answers. */
export type ApiResponse = ClientResponse<unknown, number, string>;

/** The body of a response in good order, of all that an operation may answer. */
export type BodyOf<R> = R extends ClientResponse<infer Body, infer _Status, infer Format>
  ? Body extends ProblemDocument ? never
  : Format extends "json" ? Body
  : undefined
  : never;

/** What a method answers in good order: `AnswerOf<Api["v1"]["settings"]["$get"]>`. */
export type AnswerOf<Method> = Method extends (...args: never[]) => Promise<infer R> ? BodyOf<R>
  : never;

/** What the pages of a list have: `ItemOf<Api["v1"]["tokens"]["$get"]>`. */
export type ItemOf<Method> = Method extends (...args: never[]) => Promise<infer R> ? ItemIn<R>
  : never;

/** What a page has that came as a response. */
export type ItemIn<R> = BodyOf<R> extends Page<infer Item> ? Item : never;

/** The query that a method takes. */
export type QueryOf<Method> = Method extends (args: infer About, ...others: never[]) => unknown
  ? About extends { query?: infer Query } ? NonNullable<Query> : never
  : never;

/** A page of a list. */
interface Page<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
}

/** Which resource must be there for a change to be made: an entity tag, `*`, or none at all. */
export interface Condition {
  readonly ifMatch?: string;
  readonly ifNoneMatch?: "*";
}

/** The resources of one kind. */
export interface Resources<K extends NamedKind> {
  /** All of them by name. @throws {RequestFailed} */
  list(): AsyncIterable<ResourceShape<K>>;
  get(name: string): Promise<Result<ResourceShape<K>>>;
  put(
    name: string,
    definition: ResourceDefinition<K>,
    condition?: Condition,
  ): Promise<Result<ResourceShape<K>>>;
  delete(name: string, condition?: Condition): Promise<Result<undefined>>;
}

/** The client. */
export interface Client {
  readonly url: string;
  readonly api: Api;
  /** Waits for a response and reads it; what fails is a value. */
  take<R extends ApiResponse>(
    response: Promise<R>,
  ): Promise<Result<BodyOf<R>>>;
  /**
   * All items of a list, page after page.
   *
   * @throws {RequestFailed} when a page cannot be had
   */
  pages<R extends ApiResponse>(
    ask: (cursor: string | undefined) => Promise<R>,
  ): AsyncIterable<ItemIn<R>>;
  /** The resources of a kind that is known only when the program runs. */
  resources<K extends NamedKind>(kind: K): Resources<K>;
  /** A request by hand, with the token; answers the response when it is one in good order. */
  request(path: string, init?: RequestInit): Promise<Result<Response>>;
}

/** Makes a client. Nothing is asked before it is used. */
export function createClient(options: ClientOptions): Client {
  const url = options.url.replace(/\/+$/, "");
  const request = options.fetch ?? ((to: string, init?: RequestInit) => fetch(to, init));
  const headers: Record<string, string> = options.token === undefined
    ? {}
    : { Authorization: `Bearer ${options.token}` };
  const api = encodingParameters(hc<Hono<BlankEnv, ApiSchema, "/">>(url, {
    headers,
    fetch: request as typeof fetch,
  }));

  const settle = async (response: Promise<Response>): Promise<Result<Response>> => {
    try {
      const arrived = await response;
      if (!arrived.ok) return { ok: false, failure: await problemFailure(arrived) };
      return { ok: true, body: arrived, entityTag: arrived.headers.get("ETag") ?? undefined };
    } catch (error) {
      if (error instanceof RequestFailed) return { ok: false, failure: error.failure };
      return { ok: false, failure: unreachable(url, error) };
    }
  };

  const take: Client["take"] = async <R>(response: Promise<R>): Promise<Result<BodyOf<R>>> => {
    const settled = await settle(response as Promise<unknown> as Promise<Response>);
    if (!settled.ok) return settled;
    const { body, entityTag } = settled;
    if (!(body.headers.get("Content-Type") ?? "").includes("json")) {
      await body.body?.cancel();
      return { ok: true, body: undefined as BodyOf<R>, entityTag };
    }
    try {
      return { ok: true, body: await body.json() as BodyOf<R>, entityTag };
    } catch (error) {
      return { ok: false, failure: unreachable(url, error) };
    }
  };

  async function* pages<Item>(ask: (cursor: string | undefined) => Promise<unknown>) {
    let cursor: string | undefined;
    do {
      const result = await take(
        ask(cursor) as Promise<ClientResponse<Page<Item>, 200, "json">>,
      );
      if (!result.ok) throw new RequestFailed(result.failure);
      yield* result.body.items;
      cursor = result.body.next ?? undefined;
    } while (cursor !== undefined);
  }

  return {
    url,
    api,
    take,
    pages: pages as Client["pages"],
    request: (path, init = {}) =>
      settle((async () =>
        await request(`${url}${path}`, {
          ...init,
          headers: { ...headers, ...Object.fromEntries(new Headers(init.headers)) },
        }))()),
    resources: <K extends NamedKind>(kind: K): Resources<K> => {
      // All kinds have the same operations; of one kind that stands for all, relays, they are typed.
      const of = (api.v1 as unknown as Record<string, Api["v1"]["relays"]>)[kind]!;
      const conditions = ({ ifMatch, ifNoneMatch }: Condition) => ({
        ...(ifMatch !== undefined && { "If-Match": ifMatch }),
        ...(ifNoneMatch !== undefined && { "If-None-Match": ifNoneMatch }),
      });
      const resources: Resources<"relays"> = {
        list: () =>
          pages<ResourceShape<"relays">>((cursor) =>
            of.$get({ query: { limit: "1000", ...(cursor !== undefined && { cursor }) } })
          ),
        get: (name) => take(of[":name"].$get({ param: { name } })),
        put: (name, json, condition = {}) =>
          take(of[":name"].$put({ param: { name }, json, header: conditions(condition) })),
        delete: (name, condition = {}) =>
          take(of[":name"].$delete({ param: { name }, header: conditions(condition) })),
      };
      return resources as unknown as Resources<K>;
    },
  };
}

/**
 * hono's client puts parameters into the path as they stand: a name with a slash would lead astray, and
 * so would an empty one and those that mean a folder, which no encoding saves.
 */
function encodingParameters<Target extends object>(target: Target): Target {
  return new Proxy(target, {
    get: (of, key) => {
      const inner = Reflect.get(of, key) as unknown;
      return typeof inner === "function" ? encodingParameters(inner) : inner;
    },
    apply: (of, self, [first, ...others]: unknown[]) => {
      const about = first as { param?: Record<string, string> } | undefined;
      const astray = Object.values(about?.param ?? {}).find((value) => /^\.{0,2}$/.test(value));
      if (astray !== undefined) return Promise.reject(new RequestFailed(noName(astray)));
      const encoded = about?.param === undefined ? about : {
        ...about,
        param: Object.fromEntries(
          Object.entries(about.param).map(([name, value]) => [name, encodeURIComponent(value)]),
        ),
      };
      return Reflect.apply(of as unknown as (...args: unknown[]) => unknown, self, [
        encoded,
        ...others,
      ]);
    },
  });
}
