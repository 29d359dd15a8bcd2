import { importSecretKey } from "@postern/secrets";
import { openDatabase, ping } from "@postern/store";
import type { Database } from "@postern/store";
import type { Hono } from "hono";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { createAdminApp } from "./app.ts";
import { SECRET_KEY } from "./testing/api.ts";
import { openStores } from "./stores.ts";

let created: TestDatabase;
let database: Database;
let app: Hono;
const errors: unknown[] = [];

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "admin test" });
  app = createAdminApp({
    ...openStores(database),
    hostname: "gateway.test",
    ping: () => ping(database),
    token: "secret",
    secretKey: await importSecretKey(SECRET_KEY),
    onError: (error) => errors.push(error),
  });
});

afterAll(async () => {
  await database.close();
  await created.drop();
  expect(errors).toEqual([]);
});

async function ask(
  method: string,
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
) {
  const response = await app.request(path, {
    method,
    headers: { Authorization: "Bearer secret", ...headers },
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const type = response.headers.get("Content-Type") ?? "";
  return {
    status: response.status,
    etag: response.headers.get("ETag") ?? "",
    type,
    body: type.includes("json") ? JSON.parse(text) : text,
  };
}

describe("a resource's life", () => {
  test("create, read, replace, list, delete", async () => {
    const relay = { kind: "smtp", hosts: [{ host: "10.0.0.5", port: 25 }] };
    const put = await ask("PUT", "/v1/relays/internal", relay);
    expect([put.status, put.body]).toEqual([201, {
      name: "internal",
      kind: "smtp",
      hosts: [{ host: "10.0.0.5", port: 25, weight: 1 }],
      tls: { policy: "may" },
    }]);
    const read = await ask("GET", "/v1/relays/internal");
    expect([read.status, read.body, read.etag]).toEqual([200, put.body, put.etag]);
    expect((await ask("PUT", "/v1/relays/internal", read.body)).status).toBe(200);

    expect((await ask("PUT", "/v1/domains/Example.COM", { relay: "internal" })).body)
      .toEqual({
        name: "example.com",
        relay: "internal",
        recipients: { verify: "none" },
        tls: "optional",
        sourceRoutes: "strip",
      });
    expect((await ask("PUT", "/v1/domains/bücher.example", { relay: "internal" })).body.name)
      .toBe("xn--bcher-kva.example");
    expect((await ask("PUT", "/v1/clients/lan", { networks: ["10.0.0.0/8", "::1"] })).body)
      .toEqual({
        name: "lan",
        networks: ["10.0.0.0/8", "::1/128"],
        certificates: [],
        mayRelay: true,
        sourceRoutes: "strip",
        trust: [],
      });

    const first = await ask("GET", "/v1/domains?limit=1");
    expect(first.body.items.map(({ name }: { name: string }) => name)).toEqual(["example.com"]);
    const second = await ask("GET", `/v1/domains?limit=1&cursor=${first.body.next}`);
    expect([second.body.items.length, second.body.next]).toEqual([1, null]);

    expect((await ask("DELETE", "/v1/relays/internal")).body).toMatchObject({
      status: 409,
      detail: "Used by domain example.com, domain xn--bcher-kva.example",
    });
    for (const name of ["example.com", "b%C3%BCcher.example"]) {
      expect((await ask("DELETE", `/v1/domains/${name}`)).status).toBe(204);
    }
    expect((await ask("DELETE", "/v1/relays/internal")).status).toBe(204);
    expect((await ask("GET", "/v1/relays/internal")).status).toBe(404);
  });

  test("an update is not lost: If-Match and If-None-Match", async () => {
    const put = await ask("PUT", "/v1/relays/r", { kind: "discard" });
    const again = { "If-None-Match": "*" };
    expect((await ask("PUT", "/v1/relays/r", { kind: "discard" }, again)).status).toBe(412);
    const match = { "If-Match": put.etag };
    expect((await ask("PUT", "/v1/relays/r", { kind: "capture" }, match)).status).toBe(200);
    expect((await ask("PUT", "/v1/relays/r", { kind: "discard" }, match)).status).toBe(412);
    expect((await ask("DELETE", "/v1/relays/r", undefined, match)).status).toBe(412);
    const { etag, body } = await ask("GET", "/v1/relays/r");
    expect(body.kind).toBe("capture");
    expect((await ask("GET", "/v1/relays/r", undefined, { "If-None-Match": etag })).status)
      .toBe(304);
  });
});

describe("bad input is refused with every field named", () => {
  test.each([
    ["relays/x", { kind: "pigeon" }, ["/kind"]],
    ["relays/x", { kind: "smtp", hosts: [] }, ["/hosts"]],
    ["relays/x", { kind: "smtp", hosts: [{ host: "a b", port: 0 }], extra: 1, "a/b": 2 }, [
      "/hosts/0/host",
      "/hosts/0/port",
      "/extra",
      "/a~1b",
    ]],
    ["relays/x", { name: "y", kind: "discard" }, ["/name"]],
    ["relays/Bad Name", { kind: "discard" }, ["name"]],
    ["domains/a..b", { relay: "default" }, ["name"]],
    ["domains/ok.test", { relay: "missing" }, ["/relay"]],
    ["domains/ok.test", {}, ["/relay"]],
    ["domains/ok.test", null, [""]],
    ["clients/c", { networks: ["10.0.0.0/99", "fe80::/10", 7] }, ["/networks/0", "/networks/2"]],
  ])("%s %j", async (path, body, pointers) => {
    const answer = await ask("PUT", `/v1/${path}`, body);
    expect([answer.status, answer.type]).toEqual([422, "application/problem+json"]);
    const where = answer.body.errors.map((error: { pointer?: string; parameter?: string }) =>
      error.pointer ?? error.parameter
    );
    expect(where.toSorted()).toEqual(pointers.toSorted());
  });

  test.each([
    ["PUT", "/v1/relays/x", "{", 400],
    ["PUT", "/v1/relays/x", `"${"x".repeat(1024 * 1024)}"`, 413],
    ["GET", "/v1/relays?limit=0", undefined, 400],
    ["GET", "/v1/messages?since=yesterday", undefined, 400],
    ["GET", "/v1/messages?sendr=a", undefined, 400],
    ["GET", "/v1/messages/nonsense", undefined, 404],
    ["GET", "/v1/messages/01a20b7a-d747-7581-b274-5f6e8bfb8d78/raw", undefined, 404],
    ["GET", "/v1/nothing", undefined, 404],
    ["DELETE", "/v1/relays/default", undefined, 409],
  ])("%s %s", async (method, path, body, status) => {
    const answer = await ask(method, path, body);
    expect([answer.status, answer.body.status]).toEqual([status, status]);
  });
});

test.each([undefined, "Bearer wrong", "Basic c2VjcmV0", "Bearer secretsecret"])(
  "without the token nothing is told: %s",
  async (authorization) => {
    const headers = authorization === undefined ? {} : { Authorization: authorization };
    for (const path of ["/v1/relays", "/v1/messages", "/v1/nothing"]) {
      const response = await app.request(path, { headers });
      expect(response.status).toBe(401);
      expect(response.headers.get("WWW-Authenticate")).toContain("Bearer");
    }
  },
);

test("health, readiness and figures need no token", async () => {
  expect((await app.request("/healthz")).status).toBe(200);
  expect(await (await app.request("/readyz")).json()).toEqual({ status: "ok", database: "ok" });
  expect(await (await app.request("/metrics")).text())
    .toContain('postern_queue_deliveries{state="waiting"} 0');
});
