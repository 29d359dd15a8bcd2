/** Postgres restarts while the configuration is edited: no change that was acknowledged is lost. */
import { startPostgres } from "@postern/postgres";
import { migrate } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "./eventually.ts";
import { Processes } from "./processes.ts";

const processes = new Processes();
let dataDir = "";
let stop: (() => Promise<void>) | undefined;

beforeAll(async () => {
  dataDir = await Deno.makeTempDir({ prefix: "postern-edits-" });
  await Deno.chmod(dataDir, 0o755);
});

afterAll(async () => {
  try {
    await processes.stop();
  } finally {
    await stop?.();
    await Deno.remove(dataDir, { recursive: true });
  }
});

async function startDatabase(port?: number): Promise<string> {
  const started = await startPostgres({ dataDir, ...(port !== undefined && { port }) });
  if (!started.ok) throw new Error(started.problem);
  stop = () => started.stop();
  return started.url;
}

test("of many edits at once, through a restart", async () => {
  const url = await startDatabase();
  await migrate(url);
  const admin = await processes.start("admin", {
    DATABASE_URL: url,
    POSTERN_ADMIN_LISTEN: "127.0.0.1:0",
    POSTERN_ADMIN_TOKEN: "token",
    POSTERN_SECRET_KEY: btoa("k".repeat(32)),
  });
  const ask = async <Body>(method: string, path: string, body?: object) => {
    const response = await fetch(`${admin.listening[0]}${path}`, {
      method,
      headers: { Authorization: "Bearer token" },
      ...(body && { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: await response.json() as Body };
  };

  const acknowledged: string[] = [];
  const statuses = new Set<number>();
  let going = true;
  const writer = async (id: number) => {
    for (let n = 0; going; n += 1) {
      const name = `r-${id}-${n}`;
      const { status } = await ask("PUT", `/v1/relays/${name}`, { kind: "discard" });
      statuses.add(status);
      if (status === 201) acknowledged.push(name);
    }
  };
  const writers = Promise.all(Array.from({ length: 5 }, (_, id) => writer(id)));
  await eventually("twenty edits", () => acknowledged.length >= 20);
  await stop!();
  stop = undefined;
  const before = acknowledged.length;
  await startDatabase(Number(new URL(url).port));
  await eventually("twenty more", () => acknowledged.length >= before + 20);
  going = false;
  await writers;

  for (const status of statuses) expect([201, 503]).toContain(status);
  const { body: { relays } } = await ask<{ relays: object }>("GET", "/v1/config");
  for (const name of acknowledged) expect(relays).toHaveProperty([name]);
  const { body: { items } } = await ask<{ items: { version: number }[] }>(
    "GET",
    "/v1/config/versions?limit=1000",
  );
  const versions = items.map(({ version }) => version);
  expect(versions).toEqual(versions.map((_, index) => versions[0]! - index));
}, 90_000);
