/** The API in workerd: nothing in it needs Deno or Node beyond its entry. */
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";

interface Worker {
  dispatchFetch(url: string, init?: object): Promise<Response>;
  dispose(): Promise<void>;
}

/** The package if it is installed: both come with others, and with no platform for sure. */
async function load<Module>(name: string): Promise<Module | undefined> {
  try {
    return await import(name);
  } catch {
    return undefined;
  }
}

const esbuild = await load<{
  build(options: object): Promise<{ outputFiles: { text: string }[] }>;
  stop(): Promise<void>;
}>("esbuild");
const miniflare = await load<{ Miniflare: new (options: object) => Worker }>("miniflare");

describe.skipIf(esbuild === undefined || miniflare === undefined)("in workerd", () => {
  let script = "";
  const workers: Worker[] = [];
  beforeAll(async () => {
    const { outputFiles } = await esbuild!.build({
      entryPoints: [fileURLToPath(new URL("testing/edge-worker.ts", import.meta.url))],
      bundle: true,
      write: false,
      format: "esm",
      target: "es2024",
      conditions: ["workerd", "worker", "browser"],
      external: ["node:*", "cloudflare:*"],
    });
    await esbuild!.stop();
    script = outputFiles[0]!.text;
  });
  afterAll(() => Promise.all(workers.map((worker) => worker.dispose())));

  function start(bindings: Record<string, string>) {
    const worker = new miniflare!.Miniflare({
      modules: true,
      script,
      compatibilityDate: "2026-01-01",
      compatibilityFlags: ["nodejs_compat"],
      bindings: { TOKEN: "token", ...bindings },
    });
    workers.push(worker);
    return async (method: string, path: string, body?: object, headers: object = {}) => {
      const response = await worker.dispatchFetch(`http://localhost${path}`, {
        method,
        headers: { Authorization: "Bearer token", ...headers },
        ...(body && { body: JSON.stringify(body) }),
      });
      const text = await response.text();
      return { status: response.status, text, body: text === "" ? undefined : JSON.parse(text) };
    };
  }

  test("the description, validation and changes, over a store in memory", async () => {
    const ask = start({});
    const { body: { openapi, paths } } = await ask("GET", "/v1/openapi.json");
    expect(openapi).toMatch(/^3\.1\./);
    expect(Object.keys(paths).length).toBeGreaterThan(20);
    expect((await ask("GET", "/v1/relays", undefined, { Authorization: "Bearer x" })).status)
      .toBe(401);

    const credentials = { username: "u", password: "hunter2-hunter2" };
    const smart = { kind: "smtp", hosts: [{ host: "mx.example.com" }], credentials };
    const put = await ask("PUT", "/v1/relays/smart", smart);
    expect(put.status, put.text).toBe(201);
    expect(put.body.credentials.password).toEqual({ sealed: expect.any(String) });
    expect((await ask("PUT", "/v1/domains/bücher.example", { relay: "smart" })).body.name)
      .toBe("xn--bcher-kva.example");
    expect((await ask("DELETE", "/v1/relays/smart")).status).toBe(409);
    const wrong = await ask("PUT", "/v1/rules/r", {
      match: { helo: { regex: "(" } },
      actions: [{ do: "accept" }],
    });
    expect(wrong).toMatchObject({ status: 422 });
    expect(wrong.body.errors[0].pointer).toContain("/match/helo");
    const explained = await ask("POST", "/v1/explain", {
      client: { address: "203.0.113.9" },
      reversePath: "a@b.example",
      recipients: ["u@bücher.example", "u@elsewhere.example"],
    });
    expect(explained.status, explained.text).toBe(200);
    expect(explained.text).toContain("smart");
    expect(explained.text).toContain("5.7.1");
    const dry = await ask("PUT", "/v1/config?dryRun=true", {});
    expect(dry.body.removed).toHaveLength(2);
  });

  test("over Postgres", async () => {
    const created: TestDatabase = await createTestDatabase();
    try {
      const ask = start({ DATABASE_URL: created.url });
      const put = await ask("PUT", "/v1/relays/edge", { kind: "discard" });
      expect(put.status, put.text).toBe(201);
      const { body } = await ask("GET", "/v1/config/versions");
      expect(body.items[0]).toMatchObject({ version: 2, author: "admin" });
      const token = await ask("POST", "/v1/tokens", { name: "t", scopes: ["config:read"] });
      const read = await ask("GET", "/v1/relays/edge", undefined, {
        Authorization: `Bearer ${token.body.token}`,
      });
      expect(read.body).toEqual({ name: "edge", kind: "discard" });
    } finally {
      await created.drop();
    }
  });
});
