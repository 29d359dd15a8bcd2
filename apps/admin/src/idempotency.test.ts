/** Over sockets: requests that arrive so have bodies that are streams, which can be read once. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "./testing/api.ts";

let api: TestApi;
let server: Deno.HttpServer<Deno.NetAddr>;

beforeAll(async () => {
  api = await openTestApi();
  server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => api.request(request),
  );
  await api.database.sql`insert into destinations (relay, next_hop) values ('default', 'a.test')`;
});
afterAll(async () => {
  await server.shutdown();
  await api.close();
});

async function post(path: string, key: string, body?: string) {
  const response = await fetch(`http://127.0.0.1:${server.addr.port}/v1${path}`, {
    method: "POST",
    headers: { Authorization: `Bearer ${TOKEN}`, "Idempotency-Key": key },
    ...(body !== undefined && { body }),
  });
  const replayed = response.headers.get("Idempotency-Replayed") === "true";
  const cached = response.headers.get("Cache-Control");
  return { status: response.status, replayed, cached, body: await response.json() };
}

test.each([
  ["/destinations/1/pause", undefined],
  ["/destinations/1/resume", undefined],
  ["/destinations/1/flush", undefined],
  ["/config/versions/1/restore", undefined],
  ["/tokens", '{"name":"deploy","scopes":["send"]}'],
])("%s takes effect once", async (path, body) => {
  const first = await post(path, path, body);
  expect([first.status, first.replayed]).toEqual([body === undefined ? 200 : 201, false]);
  expect(first.cached).toBe(path === "/tokens" ? "no-store" : null);
  expect(await post(path, path, body)).toEqual({ ...first, replayed: true });
  expect(api.failures).toEqual([]);
});
