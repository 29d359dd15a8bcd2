/** What is answered when something is asked for that is not there, and when things fail. */
import { importSecretKey } from "@postern/secrets";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createAdminApp } from "./app.ts";
import type { Stores } from "./stores.ts";
import { openTestApi, SECRET_KEY, type TestApi, TOKEN } from "./testing/api.ts";

describe("while Postgres is away", () => {
  let api: TestApi;
  beforeAll(async () => {
    // A port that was free a moment ago, and where nobody listens.
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    const { port } = listener.addr;
    listener.close();
    api = await openTestApi(`postgres://nobody@127.0.0.1:${port}/nothing`);
  });
  afterAll(() => api.close());

  test.each([
    ["GET", "/v1/relays", undefined],
    ["GET", "/v1/relays/internal", undefined],
    ["PUT", "/v1/relays/internal", { kind: "mx" }],
    ["DELETE", "/v1/relays/internal", undefined],
    ["GET", "/v1/messages", undefined],
    ["GET", "/v1/messages/01a20b7a-d747-7581-b274-5f6e8bfb8d78", undefined],
    ["GET", "/v1/messages/01a20b7a-d747-7581-b274-5f6e8bfb8d78/raw", undefined],
    ["GET", "/metrics", undefined],
  ])("%s %s asks to come again", async (method, path, body) => {
    const answer = await api.ask(method, path, { body });
    expect(answer).toMatchObject({ status: 503, body: { status: 503 } });
    expect(answer.headers.get("Retry-After")).toMatch(/^\d+$/);
    expect(api.failures).toEqual([]);
  });

  test("it is alive and not ready", async () => {
    expect((await api.request("/healthz")).status).toBe(200);
    const ready = await api.request("/readyz");
    expect(ready.status).toBe(503);
    expect(await ready.json()).toEqual({ status: "unavailable", database: "unavailable" });
  });

  test("what needs no database is answered as ever", async () => {
    expect((await api.ask("GET", "/v1/relays?limit=x")).status).toBe(400);
    expect((await api.ask("PUT", "/v1/relays/internal", { body: {} })).status).toBe(422);
    expect((await api.ask("GET", "/v1/nothing")).body.status).toBe(404);
    expect((await api.request("/nothing")).status).toBe(404);
  });

  test.each([
    ["POST", "/v1/relays", "GET, HEAD"],
    ["PATCH", "/v1/relays/internal", "GET, HEAD, PUT, DELETE"],
    ["DELETE", "/v1/messages/x/raw", "GET, HEAD"],
    ["POST", "/v1/openapi.json", "GET, HEAD"],
    ["POST", "/healthz", "GET, HEAD"],
  ])("%s %s is told what is allowed", async (method, path, allowed) => {
    const answer = await api.ask(method, path);
    expect(answer).toMatchObject({ status: 405, body: { status: 405 } });
    expect(answer.headers.get("Allow")).toBe(allowed);
  });

  test("which methods there are is not told without the token", async () => {
    expect((await api.request("/v1/relays", { method: "POST" })).status).toBe(401);
  });
});

test("a failure of ours is reported to us and not told to the one who asks", async () => {
  const broken = new Error("password=hunter2");
  const { response, failures } = await askWhereAllFails(broken);
  expect(response.status).toBe(500);
  expect(response.headers.get("Content-Type")).toBe("application/problem+json");
  expect(await response.text()).not.toContain("hunter2");
  expect(failures).toEqual([broken]);
});

test.each(["55P03", "57014"])(
  "a database that is kept from it (%s) asks to come again",
  async (code) => {
    const busy = new Error("Failed query", {
      cause: Object.assign(new Error("canceled"), { code }),
    });
    const { response, failures } = await askWhereAllFails(busy);
    expect(response.status).toBe(503);
    expect(response.headers.get("Retry-After")).toMatch(/^\d+$/);
    await response.body?.cancel();
    expect(failures).toEqual([busy]);
  },
);

test("a database that never answers is not ready", async () => {
  const never = () => new Promise<never>(() => {});
  const app = createAdminApp({
    ...storesThat(never),
    hostname: "gateway.test",
    ping: never,
    token: TOKEN,
    secretKey: await importSecretKey(SECRET_KEY),
    onError: () => {},
  });
  expect((await app.request("/readyz")).status).toBe(503);
});

/** What is answered where everything fails so, and what was reported to us. */
async function askWhereAllFails(error: Error) {
  const failures: unknown[] = [];
  const fail = () => Promise.reject(error);
  const app = createAdminApp({
    ...storesThat(fail),
    hostname: "gateway.test",
    ping: fail,
    token: TOKEN,
    secretKey: await importSecretKey(SECRET_KEY),
    onError: (reported) => failures.push(reported),
  });
  const headers = { Authorization: `Bearer ${TOKEN}` };
  return { response: await app.request("/v1/relays", { headers }), failures };
}

/** Repositories of which every method does this. */
function storesThat(does: () => Promise<never>): Stores {
  const repository = new Proxy({}, { get: () => does }) as never;
  return {
    configuration: repository,
    history: repository,
    messages: repository,
    recipientLists: repository,
    tokens: repository,
    audit: repository,
    idempotencyKeys: repository,
    knownRecipients: repository,
    queue: repository,
  };
}
