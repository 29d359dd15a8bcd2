/** Tokens: made, used within their scopes, ended; guessing, repeating, and what is on record of it. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { SCOPES } from "@postern/api";
import { openTestApi, type TestApi, TOKEN } from "./testing/api.ts";

let api: TestApi;
let time = Date.now();
beforeAll(async () => {
  api = await openTestApi(undefined, () => time);
});
afterAll(async () => {
  await api.close();
  expect(api.failures).toEqual([]);
});

type Token = { id: string; name: string; token: string; scopes: string[] } & Record<string, string>;
const make = (body: object, headers: Record<string, string> = {}) =>
  api.ask<Token>("POST", "/v1/tokens", { body, headers });
const as = (token: string) => ({ Authorization: `Bearer ${token}` });

describe("a token", () => {
  test("is shown once, and only its digest is kept", async () => {
    const made = await make({ name: "deploy", scopes: ["config:read", "config:write"] });
    expect(made.status).toBe(201);
    expect(made.body.token).toMatch(/^postern_[\w-]{43}$/);
    expect(made.headers.get("Cache-Control")).toBe("no-store");
    const listed = await api.ask<{ items: Token[] }>("GET", "/v1/tokens");
    expect(listed.body.items).toMatchObject([{ name: "deploy", createdBy: "admin" }]);
    expect(JSON.stringify(listed.body)).not.toContain(made.body.token);
    const rows = await api.database.sql`
      select (select string_agg(t::text, '') from api_tokens t) as tokens,
        (select string_agg(a::text, '') from audit_log a) as audit`;
    expect(JSON.stringify(rows)).not.toContain(made.body.token);
    expect((await make({ name: "deploy", scopes: ["send"] })).status).toBe(409);
  });

  test("does what its scopes say, under its name", async () => {
    const { body: { token } } = await make({ name: "writer", scopes: ["config:write"] });
    const put = await api.ask("PUT", "/v1/relays/by-token", {
      body: { kind: "discard" },
      headers: as(token),
    });
    expect(put.status).toBe(201);
    const versions = await api.ask<{ items: { author: string }[] }>("GET", "/v1/config/versions");
    expect(versions.body.items[0]!.author).toBe("writer");

    const denied = await api.ask("GET", "/v1/relays", { headers: as(token) });
    expect(denied).toMatchObject({ status: 403, body: { title: "Forbidden" } });
    expect(denied.headers.get("WWW-Authenticate")).toContain('scope="config:read"');
    const audit = await api.ask<{ items: object[] }>("GET", "/v1/audit?action=denied");
    expect(audit.body.items).toMatchObject([{ actor: "writer", target: "GET /v1/relays" }]);
  });

  test("makes none that may do more than itself", async () => {
    const { body: { token } } = await make({ name: "minter", scopes: ["tokens", "send"] });
    expect((await make({ name: "less", scopes: ["send"] }, as(token))).status).toBe(201);
    expect(await make({ name: "more", scopes: ["send", "config:write"] }, as(token)))
      .toMatchObject({ status: 422, body: { errors: [{ pointer: "/scopes/1" }] } });
  });

  test("makes none that ends after itself", async () => {
    const end = time + 60_000;
    const { body: { token } } = await make({
      name: "minter-for-a-minute",
      scopes: ["tokens", "send"],
      expiresAt: new Date(end).toISOString(),
    });
    const until = (expiresAt: string | null) =>
      make({ name: "heir", scopes: ["send"], expiresAt }, as(token));
    for (const later of [null, new Date(end + 1).toISOString()]) {
      expect(await until(later))
        .toMatchObject({ status: 422, body: { errors: [{ pointer: "/expiresAt" }] } });
    }
    expect((await make({ name: "heir", scopes: ["send"] }, as(token))).status).toBe(422);
    expect((await until(new Date(end).toISOString())).status).toBe(201);
  });

  test("ends when it is deleted, and when its time has come", async () => {
    const expiresAt = new Date(time + 3_600_000).toISOString();
    const { body: { token, id } } = await make({
      name: "brief",
      scopes: ["config:read"],
      expiresAt,
    });
    const status = async () => (await api.ask("GET", "/v1/relays", { headers: as(token) })).status;
    expect(await status()).toBe(200);
    const [shown] = (await api.ask<{ items: Token[] }>("GET", "/v1/tokens?cursor=a&limit=1")).body
      .items;
    expect(shown).toMatchObject({ name: "brief", expiresAt, lastUsedAt: expect.any(String) });
    time += 3_600_000;
    expect(await status()).toBe(401);
    expect((await api.ask("DELETE", `/v1/tokens/${id}`)).status).toBe(204);
    expect((await api.ask("DELETE", `/v1/tokens/${id}`)).status).toBe(404);
    const { body: other } = await make({ name: "gone", scopes: ["config:read"] });
    expect((await api.ask("DELETE", "/v1/tokens/gone")).status).toBe(204);
    expect((await api.ask("GET", "/v1/relays", { headers: as(other.token) })).status).toBe(401);
  });

  test.each([
    [{}, ["/name", "/scopes"]],
    [{ name: "admin", scopes: ["send"] }, ["/name"]],
    [{ name: "postern", scopes: ["send"] }, ["/name"]],
    [{ name: "x", scopes: [] }, ["/scopes"]],
    [{ name: "x", scopes: ["everything"] }, ["/scopes/0"]],
    [{ name: "x", scopes: ["send"], expiresAt: "tomorrow" }, ["/expiresAt"]],
    [{ name: "x", scopes: ["send"], expiresAt: "2001-01-01T00:00:00Z" }, ["/expiresAt"]],
    [{ name: "x", scopes: ["send"], token: "mine" }, ["/token"]],
  ])("is not made of %j", async (body, pointers) => {
    const answer = await api.ask("POST", "/v1/tokens", { body });
    expect(answer.status).toBe(422);
    expect(answer.body.errors!.map(({ pointer }) => pointer)).toEqual(pointers);
  });
});

test("each operation asks for its scope, and a token without any gets nowhere", async () => {
  const document = await (await api.request("/v1/openapi.json")).json() as {
    paths: Record<string, Record<string, { security: { token: string[] }[] }>>;
  };
  const { body: { token } } = await make({ name: "sender", scopes: ["send"] });
  let asked = 0;
  for (const [path, item] of Object.entries(document.paths)) {
    for (const [method, { security }] of Object.entries(item)) {
      const scope = security[0]?.token[0];
      if (scope === undefined || scope === "send") continue;
      expect(SCOPES).toHaveProperty([scope]);
      const target = path.replaceAll(/\{\w+\}/g, "x");
      const answer = await api.request(target, { method, headers: as(token) });
      expect(answer.status, `${method} ${target}`).toBe(403);
      await answer.body?.cancel();
      asked += 1;
    }
  }
  expect(asked).toBeGreaterThan(30);
});

describe("guessing", () => {
  const guess = async (token: string, address: string) => {
    const response = await api.request("/v1/relays", { headers: as(token) }, address);
    await response.body?.cancel();
    return response;
  };

  test("is slowed down, for that address only, and forgiven with time", async () => {
    expect((await guess(TOKEN, "198.51.100.7")).status).toBe(200);
    const statuses: number[] = [];
    for (let i = 0; i < 25; i += 1) {
      statuses.push((await guess(`postern_${i}`, "198.51.100.7")).status);
    }
    expect(statuses).toEqual([...Array(20).fill(401), ...Array(5).fill(429)]);
    const refused = await guess("postern_x", "198.51.100.7");
    expect(Number(refused.headers.get("Retry-After"))).toBeGreaterThan(0);
    // Even the right one, if it was never seen from there; whoever was in before stays in.
    const { body: { token } } = await make({ name: "late", scopes: ["config:read"] });
    expect((await guess(token, "198.51.100.7")).status).toBe(429);
    expect((await guess(TOKEN, "198.51.100.7")).status).toBe(200);
    expect((await guess(token, "198.51.100.8")).status).toBe(200);
    time += 3000;
    expect((await guess(token, "198.51.100.7")).status).toBe(200);
  });

  test("from one network of IPv6 counts together", async () => {
    for (let i = 0; i < 20; i += 1) await guess("postern_x", `2001:db8:1:2:${i}::1`);
    expect((await guess("postern_x", "2001:db8:1:2::ffff")).status).toBe(429);
    expect((await guess("postern_x", "2001:db8:1:3::1")).status).toBe(401);
  });
});

describe("a POST that is sent again under its key", () => {
  test("takes effect once and is answered alike", async () => {
    const key = { "Idempotency-Key": "k-1" };
    const body = { name: "once", scopes: ["send"] };
    const first = await make(body, key);
    const second = await make(body, key);
    expect(second).toMatchObject({ status: 201, body: first.body });
    expect(second.headers.get("Idempotency-Replayed")).toBe("true");
    const [row] = await api.database.sql`select body from idempotency_keys where key = 'k-1'`;
    expect(row!.body).not.toContain("postern_");

    expect((await make({ ...body, name: "other" }, key)).status).toBe(422);
    // Another token's keys are its own.
    const { body: { token } } = await make({ name: "second", scopes: ["tokens", "send"] });
    expect((await make({ ...body, name: "mine" }, { ...key, ...as(token) })).status).toBe(201);
    expect((await make(body, { "Idempotency-Key": "a b" })).status).toBe(400);
  });

  test("at once is served once", async () => {
    const key = { "Idempotency-Key": "k-2" };
    const body = { name: "at-once", scopes: ["send"] };
    const all = await Promise.all(Array.from({ length: 6 }, () => make(body, key)));
    expect(all.some(({ status }) => status === 201)).toBe(true);
    expect(all.every(({ status }) => status === 201 || status === 409)).toBe(true);
    const tokens = all.filter(({ status }) => status === 201).map(({ body }) => body.token);
    expect(new Set(tokens).size).toBe(1);
  });

  test("and was refused, is tried again", async () => {
    const key = { "Idempotency-Key": "k-3" };
    const restore = () => api.ask("POST", "/v1/config/versions/9999/restore", { headers: key });
    expect((await restore()).status).toBe(404);
    expect((await restore()).status).toBe(404);
  });
});

test("the audit log tells who did what, when and from where", async () => {
  await api.ask("PUT", "/v1/relays/watched", { body: { kind: "discard" } });
  const find = async (query: string) =>
    (await api.ask<{ items: Record<string, unknown>[]; next: string | null }>(
      "GET",
      `/v1/audit?${query}`,
    )).body;
  const { items } = await find("target=relays/watched");
  expect(items).toMatchObject([{
    actor: "admin",
    address: "192.0.2.1",
    action: "config.change",
    target: "relays/watched",
    detail: { note: "put relay watched", resources: 1 },
  }]);
  expect((await find("action=token.create&actor=admin")).items.length).toBeGreaterThan(3);
  expect((await find("action=token.delete")).items).toHaveLength(2);
  expect((await find(`since=${new Date(Date.now() + 60_000).toISOString()}`)).items).toEqual([]);
  const first = await find("limit=1");
  const second = await find(`limit=1&cursor=${first.next}`);
  expect(second.items).not.toEqual(first.items);
  expect((await api.ask("GET", "/v1/audit?who=me")).status).toBe(400);
});
