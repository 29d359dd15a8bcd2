/** The commands of the README, as they stand there, against an API over a real database. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { newQueueId, openSpool } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "../../apps/admin/src/testing/api.ts";
import { openCommandLine } from "./command-line.ts";
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

test("what the command line asks is done", async () => {
  const line = await openCommandLine();
  const id = newQueueId(new Date());
  const incoming = openSpool(line.api.database).receive(id);
  await incoming.add(new TextEncoder().encode("Subject: hello\r\n\r\n"));
  await incoming.commit({
    receivedAt: new Date(),
    reversePath: "a@b.test",
    parameters: {},
    session: {},
    messageId: undefined,
    configurationVersion: 1,
    recipients: [{
      forwardPath: "u@example.com",
      parameters: {},
      destination: { relay: "internal", nextHop: "" },
      decision: {},
    }],
  });
  await line.api.database.sql`update recipients set state = 'deferred'`;
  const files: Record<string, string> = {
    "domain.yaml": "relay: internal\nrecipients: {verify: list}\n",
    "list.txt": "ann\n",
  };
  const asked = commands("npx postern ").map((text) =>
    text.replace("npx postern ", "").split("  ")[0]!
  )
    .filter((text) => text.length > 0 && !text.startsWith("import"));
  expect(asked.length).toBeGreaterThan(15);
  for (const command of asked) {
    const args = [...command.replace("ID", id).matchAll(/'([^']*)'|\S+/g)]
      .map(([word, quoted]) => quoted ?? word);
    const said = await line.postern(args, { files });
    expect([command, said.code, said.error.replace(/^Keep it.*\n/, "")]).toEqual([command, 0, ""]);
    Object.assign(files, said.written);
  }
  await line.close();
});
