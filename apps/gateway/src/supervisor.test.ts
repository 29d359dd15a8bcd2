/** The supervisor with real processes that die, drain, refuse to stop, or are orphaned. */
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { listeningLog } from "../../../tests/log.ts";
import { supervise, type SupervisionTimes } from "./supervisor.ts";

const script = fileURLToPath(new URL("./testing/child.ts", import.meta.url));
const times: SupervisionTimes = {
  firstPause: 10,
  longestPause: 20,
  healthyAfter: 30_000,
  drain: 30_000,
};

let folder = "";
beforeEach(() => {
  folder = Deno.makeTempDirSync();
});
afterEach(() => Deno.removeSync(folder, { recursive: true }));

function child(name: string, behaviour: string) {
  const file = `${folder}/${name}`;
  const access = [`--allow-read=${folder}`, `--allow-write=${folder}`];
  return { name, args: ["run", "--no-prompt", ...access, script, file, behaviour] };
}

/** What the child has noted so far, over all its lives. */
function notes(name: string): string[] {
  try {
    const lines = Deno.readTextFileSync(`${folder}/${name}`).trim().split("\n");
    return lines.map((line) => line.split(" ")[1] ?? "");
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

async function until(holds: () => boolean): Promise<void> {
  const watcher = Deno.watchFs(folder);
  try {
    if (holds()) return;
    for await (const _ of watcher) if (holds()) return;
  } finally {
    try {
      watcher.close();
    } catch { /* the loop closed it */ }
  }
}

describe("supervise", () => {
  test("reports where all listen, and drains all", async () => {
    const children = [child("a", "serves"), child("b", "serves")];
    const supervisor = supervise({ children, env: {}, log: listeningLog(), times });
    expect(await supervisor.firstStart).toEqual({
      ok: true,
      listening: { a: ["smtp://a:1"], b: ["smtp://a:1"] },
    });
    await supervisor.stop();
    expect([notes("a"), notes("b")]).toEqual([["start", "drained"], ["start", "drained"]]);
  });

  test("passes a hang-up on to all", async () => {
    const children = [child("a", "serves"), child("b", "serves")];
    const supervisor = supervise({ children, env: {}, log: listeningLog(), times });
    await supervisor.firstStart;
    supervisor.hangUp();
    await until(() => ["a", "b"].every((name) => notes(name).includes("hung-up")));
    await supervisor.stop();
    expect(notes("a")).toEqual(["start", "hung-up", "drained"]);
  });

  test("starts again what dies, with a pause that doubles to its limit", async () => {
    const pauses: unknown[] = [];
    const log = listeningLog((_, fields) => pauses.push(fields["pause"]));
    const supervisor = supervise({ children: [child("a", "dies-thrice")], env: {}, log, times });
    await until(() => notes("a").length === 4);
    await supervisor.stop();
    expect(pauses).toEqual([0.01, 0.02, 0.02]);
  });

  test("a child that served long enough starts again with the first pause", async () => {
    const pauses: unknown[] = [];
    const log = listeningLog((_, fields) => pauses.push(fields["pause"]));
    const supervisor = supervise({
      children: [child("a", "dies-thrice")],
      env: {},
      log,
      times: { ...times, healthyAfter: 0 },
    });
    await until(() => notes("a").length === 4);
    await supervisor.stop();
    expect(pauses).toEqual([0.01, 0.01, 0.01]);
  });

  test("exit code 1 before it ever served ends the first start", async () => {
    const children = [child("a", "serves"), child("b", "fails")];
    const supervisor = supervise({ children, env: {}, log: listeningLog(), times });
    expect(await supervisor.firstStart).toEqual({ ok: false, failed: "b" });
    await supervisor.stop();
    expect(notes("b")).toEqual(["start"]);
  });

  test("what can be mended over the API is waited for, at the first start, too", async () => {
    const children = [child("a", "serves"), child("b", "is-mended")];
    const supervisor = supervise({ children, env: {}, log: listeningLog(), times });
    expect(await supervisor.firstStart).toMatchObject({ ok: true });
    await supervisor.stop();
    expect(notes("b")).toEqual(["start", "start", "start", "drained"]);
  });

  test("kills what does not drain in time", async () => {
    const heard: string[] = [];
    const supervisor = supervise({
      children: [child("a", "stubborn")],
      env: {},
      log: listeningLog((message) => heard.push(message)),
      times: { ...times, drain: 50 },
    });
    await supervisor.firstStart;
    await supervisor.stop();
    expect(heard).toEqual(["a process did not stop in time and is killed"]);
  });

  test("kill -9 of the supervisor leaves no child", async () => {
    const supervisor = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--allow-run",
        fileURLToPath(new URL("./testing/supervisor.ts", import.meta.url)),
        ...child("a", "serves").args,
      ],
      stdout: "piped",
    }).spawn();
    const output = supervisor.stdout.getReader();
    expect((await output.read()).done).toBe(false);
    supervisor.kill("SIGKILL");
    await supervisor.status;
    await until(() => notes("a").includes("orphaned"));
    await output.cancel();
  });
});
