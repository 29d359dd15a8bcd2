/** The client against answers from a table: what it asks, what it makes of what comes back. */
import type { ProblemDocument, ResourceShape } from "@postern/api";
import { expect, expectTypeOf, test } from "vitest";
import {
  type AnswerOf,
  type Api,
  type BodyOf,
  createClient,
  type ItemOf,
  type QueryOf,
  RequestFailed,
  type Result,
} from "./index.ts";

function answering(answers: Record<string, () => Response>) {
  const asked: { path: string; headers: Headers; body: unknown }[] = [];
  const client = createClient({
    url: "http://gateway.test/",
    token: "secret",
    fetch: (url, init = {}) => {
      const path = `${init.method ?? "GET"} ${url.slice("http://gateway.test".length)}`;
      asked.push({ path, headers: new Headers(init.headers), body: init.body });
      const answer = answers[path];
      if (answer === undefined) throw new TypeError(`nobody answers ${path}`);
      return Promise.resolve(answer());
    },
  });
  return { client, asked };
}

const relay = { name: "internal", kind: "discard" };

test("what is asked bears the token, names are encoded, and bodies and tags come back", async () => {
  const { client, asked } = answering({
    "PUT /v1/users/a%2Fb%20c": () =>
      Response.json({ name: "a/b c" }, { status: 201, headers: { ETag: '"7"' } }),
  });
  const result = await client.resources("users").put("a/b c", { password: "x" }, {
    ifNoneMatch: "*",
  });
  expect(result).toEqual({ ok: true, body: { name: "a/b c" }, entityTag: '"7"' });
  expect(asked[0]!.headers.get("Authorization")).toBe("Bearer secret");
  expect(asked[0]!.headers.get("If-None-Match")).toBe("*");
  expect(asked[0]!.body).toBe('{"password":"x"}');
});

test("a problem document is a value, and so are an answer that is none and no answer", async () => {
  const problem = { type: "about:blank", title: "Not found", status: 404, detail: "No such relay" };
  const { client } = answering({
    "GET /v1/relays/a": () => Response.json(problem, { status: 404 }),
    "GET /v1/relays/b": () => new Response("<h1>Bad gateway</h1>", { status: 502 }),
    "GET /v1/relays/c": () =>
      new Response("{", { headers: { "Content-Type": "application/json" } }),
  });
  const get = async (name: string) => {
    const result = await client.resources("relays").get(name);
    return result.ok ? undefined : result.failure;
  };
  expect(await get("a")).toMatchObject({ kind: "problem", problem });
  const detail = "The answer was HTTP 502 without a problem document: <h1>Bad gateway</h1>";
  expect(await get("b")).toMatchObject({ kind: "problem", problem: { status: 502, detail } });
  expect(await get("c")).toMatchObject({ kind: "unreachable" });
  expect(await get("d")).toMatchObject({
    kind: "unreachable",
    sentence: expect.stringContaining("nobody answers GET /v1/relays/d"),
  });
});

test("a list goes on from page to page, and throws where one cannot be had", async () => {
  const { client } = answering({
    "GET /v1/relays?limit=1000": () => Response.json({ items: [relay], next: "internal" }),
    "GET /v1/relays?limit=1000&cursor=internal": () =>
      Response.json({ items: [relay, relay], next: null }),
    "GET /v1/clients?limit=1000": () => new Response(null, { status: 503 }),
  });
  const found = [];
  for await (const one of client.resources("relays").list()) found.push(one.kind);
  expect(found).toEqual(["discard", "discard", "discard"]);
  await expect(Array.fromAsync(client.resources("clients").list())).rejects.toThrow(RequestFailed);
});

test("paths, parameters, bodies and answers have the types of the schemas", () => {
  const { client: { api, take, resources } } = answering({});
  const { $get, $put } = api.v1.relays[":name"];
  expectTypeOf($get).parameter(0).toHaveProperty("param").toEqualTypeOf<{ name: string }>();
  expectTypeOf<BodyOf<Awaited<ReturnType<typeof $get>>>>()
    .toEqualTypeOf<ResourceShape<"relays">>();
  expectTypeOf<Parameters<typeof $put>[0]["json"]["kind"]>().toEqualTypeOf<
    "mx" | "smtp" | "lmtp" | "http" | "capture" | "discard" | "reject" | "split"
  >();
  expectTypeOf(api.v1.messages.$get).parameter(0)
    .extract<{ query?: unknown }>().toHaveProperty("query");
  expectTypeOf<Awaited<ReturnType<typeof api.v1.settings.$get>>["status"]>()
    .extract<404 | 200>().toEqualTypeOf<200 | 404>();
  expectTypeOf(resources("domains").get).returns.resolves
    .toEqualTypeOf<Result<ResourceShape<"domains">>>();
  // @ts-expect-error: there is no such path
  void api.v1.pigeons;
  // @ts-expect-error: a domain needs a relay
  void ((d: typeof api.v1.domains) => d[":name"].$put({ param: { name: "a" }, json: {} }));
  expectTypeOf<ProblemDocument["status"]>().toBeNumber();
  expectTypeOf(take).toBeFunction();
});

test("every part of the API has its types", () => {
  type V1 = Api["v1"];
  expectTypeOf<ItemOf<V1["tokens"]["$get"]>["scopes"][number]>()
    .extract<"tokens">().toEqualTypeOf<"tokens">();
  expectTypeOf<ItemOf<V1["audit"]["$get"]>["target"]>().toEqualTypeOf<string | null>();
  expectTypeOf<ItemOf<V1["config"]["versions"]["$get"]>["version"]>().toEqualTypeOf<number>();
  expectTypeOf<AnswerOf<V1["config"]["$put"]>["dryRun"]>().toEqualTypeOf<boolean>();
  expectTypeOf<AnswerOf<V1["explain"]["$post"]>["version"]>().toEqualTypeOf<number>();
  expectTypeOf<AnswerOf<V1["destinations"][":id"]["pause"]["$post"]>>()
    .toEqualTypeOf<ItemOf<V1["destinations"]["$get"]>>();
  expectTypeOf<AnswerOf<V1["messages"][":id"]["hold"]["$post"]>>()
    .toEqualTypeOf<AnswerOf<V1["messages"][":id"]["$get"]>>();
  expectTypeOf<QueryOf<V1["destinations"]["$get"]>["state"]>()
    .toEqualTypeOf<"waiting" | "failing" | "paused" | undefined>();
  expectTypeOf<AnswerOf<V1["domains"][":name"]["recipients"]["$put"]>["added"]>()
    .toEqualTypeOf<number>();
  expectTypeOf<AnswerOf<V1["config"]["replay"]["$post"]>["differing"]>().toEqualTypeOf<number>();
});

test.each(["", ".", ".."])("%j is no name, and nothing is asked", async (name) => {
  const { client, asked } = answering({});
  const sentence = `"${name}" is no name`;
  expect(await client.resources("relays").put(name, { kind: "discard" }))
    .toMatchObject({ ok: false, failure: { kind: "problem", sentence } });
  expect(await client.take(client.api.v1.messages[":id"].$get({ param: { id: name } })))
    .toMatchObject({ ok: false, failure: { sentence } });
  expect(asked).toEqual([]);
});
