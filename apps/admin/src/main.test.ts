/** The process as it is started, with no more permissions than it needs. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
let created: TestDatabase;
let dataDir: string;
const children: Deno.ChildProcess[] = [];

beforeAll(async () => {
  created = await createTestDatabase();
  dataDir = await Deno.makeTempDir({ prefix: "postern-admin-" });
});

afterAll(async () => {
  for (const child of children) {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
  await created.drop();
  await Deno.remove(dataDir, { recursive: true });
});

/** With token and key it needs no file at all; without one it reads and writes the data dir. */
function start(environment: Record<string, string>, files: readonly string[]) {
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--allow-net",
      "--allow-env",
      "--allow-sys=hostname",
      ...files,
      join(root, "apps/admin/src/main.ts"),
    ],
    cwd: root,
    env: {
      DATABASE_URL: created.url,
      POSTERN_ADMIN_LISTEN: "127.0.0.1:0",
      POSTERN_DATA_DIR: dataDir,
      // Empty is unset, whatever the tests were started with.
      POSTERN_ADMIN_TOKEN: "",
      POSTERN_SECRET_KEY: "",
      POSTERN_HOSTNAME: "gateway.test",
      POSTERN_LOG_FORMAT: "json",
      POSTERN_SUPERVISED: "1",
      ...environment,
    },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  children.push(child);
  return { child, stderr: new Response(child.stderr).text() };
}

/** Where it listens, as it says when it is ready. */
async function address({ child, stderr }: ReturnType<typeof start>): Promise<string> {
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(await stderr);
    text += value;
  }
  reader.releaseLock();
  return JSON.parse(text.slice(0, text.indexOf("\n"))).listening[0];
}

test("serves, registers itself, and ends in good order", async () => {
  const given = { POSTERN_ADMIN_TOKEN: "given", POSTERN_SECRET_KEY: btoa("k".repeat(32)) };
  const running = start(given, []);
  const url = await address(running);
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:[1-9]\d*$/);
  const listed = await fetch(`${url}/v1/relays`, { headers: { Authorization: "Bearer given" } });
  expect(await listed.json()).toMatchObject({ items: [{ name: "default" }], next: null });
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toContain('postern_processes{kind="admin"} 1\n');

  const port = new URL(url).port;
  const second = start({ ...given, POSTERN_ADMIN_LISTEN: `127.0.0.1:${port}` }, []);
  expect((await second.child.status).code).toBe(1);
  expect(await second.stderr).toContain(
    `postern admin: port ${port} of POSTERN_ADMIN_LISTEN is already in use\n`,
  );

  running.child.kill("SIGTERM");
  expect((await running.child.status).code).toBe(0);
});

test("makes its token when none is given, and says where it is", async () => {
  const running = start({}, [`--allow-read=${dataDir}`, `--allow-write=${dataDir}`]);
  const url = await address(running);
  const token = (await Deno.readTextFile(join(dataDir, "admin-token"))).trim();
  const listed = await fetch(`${url}/v1/clients`, {
    headers: { Authorization: `Bearer ${token}` },
  });
  expect(await listed.json()).toEqual({ items: [], next: null });
  running.child.kill("SIGTERM");
  expect((await running.child.status).code).toBe(0);
  const log = await running.stderr;
  expect(log).toContain(join(dataDir, "admin-token"));
  expect(log).not.toContain(token);
});
