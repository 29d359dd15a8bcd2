/** The commands of the README, as they stand there, against an API over a real database. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "../../apps/admin/src/testing/api.ts";
import { testWith } from "./peers.ts";

let api: TestApi;
let server: Deno.HttpServer<Deno.NetAddr>;
let directory: string;
let readme: string;

beforeAll(async () => {
  api = await openTestApi(undefined, () => Date.UTC(2026, 0, 31));
  server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => api.request(request),
  );
  directory = await Deno.makeTempDir({ prefix: "postern-readme-" });
  await Deno.mkdir(join(directory, ".postern"));
  await Deno.writeTextFile(join(directory, ".postern/admin-token"), `${TOKEN}\n`);
  readme = await Deno.readTextFile(fileURLToPath(new URL("../../README.md", import.meta.url)));
});
afterAll(async () => {
  await server.shutdown();
  await api.close();
  await Deno.remove(directory, { recursive: true });
});

/** The commands that begin so; one goes on in the next line within quotes. */
function commands(start: string): string[] {
  const found: string[] = [];
  for (const line of readme.split("\n").map((text) => text.slice(4))) {
    const last = found.at(-1);
    if (last !== undefined && last.split("'").length % 2 === 0) {
      found.push(`${found.pop()}\n${line}`);
    } else if (line.startsWith(start)) found.push(line);
  }
  return found;
}

/** What a command line of a shell prints where the gateway is this one. */
async function run(line: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command("sh", {
    args: ["-c", line.replaceAll("http://localhost:8025", `http://127.0.0.1:${server.addr.port}`)],
    cwd: directory,
    clearEnv: true,
    env: { PATH: Deno.env.get("PATH") ?? "", HOME: directory },
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  expect([line, code, text(stderr)]).toEqual([line, 0, ""]);
  return text(stdout);
}

testWith(["curl"], "what api() asks is done", async () => {
  const [definition] = commands("api() {");
  const asked = commands("api ");
  expect(asked.length).toBeGreaterThan(8);
  for (const command of asked) {
    expect(await run(`${definition}\n${command}`), command).not.toContain('"status":4');
  }
  const id = "01a20fa6-0cc0-723d-8288-a4a14538b2e9";
  const released = await run(
    `${definition}\napi -X POST http://localhost:8025/v1/messages/${id}/release`,
  );
  expect(JSON.parse(released)).toMatchObject({ status: 404 });
});
