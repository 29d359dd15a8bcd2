/** The life of a process, watched from outside: real processes, real signals. */
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";

const file = fileURLToPath(new URL("./testing/process.ts", import.meta.url));

function start(behaviour: string, env: Record<string, string> = {}) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-env", "--allow-sys=hostname", file, behaviour],
    env: { POSTERN_HOSTNAME: "a.test", POSTERN_LOG_FORMAT: "json", ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stderr = new Response(child.stderr).text();
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let stdout = "";
  return {
    child,
    stderr,
    /** Reads standard output until it holds the text; fails if it ends before. */
    async says(text: string): Promise<void> {
      while (!stdout.includes(text)) {
        const { done, value } = await reader.read();
        if (done) throw new Error(`ended without ${text}: ${stdout} ${await stderr}`);
        stdout += value;
      }
    },
    async end(): Promise<{ code: number; stdout: string; stderr: string }> {
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        stdout += part.value;
      }
      return { code: (await child.status).code, stdout, stderr: await stderr };
    },
  };
}

const supervised = { POSTERN_SUPERVISED: "1" };
const READY = '{"ready":true,"listening":["smtp://127.0.0.1:1"]}\n';

describe("runProcess", () => {
  test("SIGTERM: drains in reverse order and exits 0", async () => {
    const process = start("serve", supervised);
    await process.says(READY);
    process.child.kill("SIGTERM");
    const end = await process.end();
    expect(end.code).toBe(0);
    expect(end.stdout).toBe(READY + "last registered\nfirst registered\n");
    await process.child.stdin.close();
  });

  test("supervised: the end of standard input drains; SIGINT does not", async () => {
    const process = start("serve", supervised);
    await process.says(READY);
    process.child.kill("SIGINT");
    await process.child.stdin.close();
    const end = await process.end();
    expect(end.code).toBe(0);
    expect(end.stderr).toContain("the supervisor is gone");
    expect(end.stderr).not.toContain("SIGINT");
  });

  test.each(["serve", "hears"])("SIGHUP does not end it (%s)", async (behaviour) => {
    const process = start(behaviour, supervised);
    await process.says(READY);
    process.child.kill("SIGHUP");
    if (behaviour === "hears") await process.says("heard\n");
    process.child.kill("SIGTERM");
    expect((await process.end()).code).toBe(0);
    await process.child.stdin.close();
  });

  test("serves on where the disk of the log is full", async () => {
    const { code, stdout } = await new Deno.Command("sh", {
      args: [
        "-c",
        `exec "$0" run --no-prompt --allow-env --allow-sys=hostname "$1" logs 2>/dev/full`,
        Deno.execPath(),
        file,
      ],
      env: { POSTERN_HOSTNAME: "a.test", POSTERN_LOG_FORMAT: "json" },
    }).output();
    expect(code).toBe(0);
    expect(new TextDecoder().decode(stdout)).toBe("last registered\nfirst registered\n");
  });

  test("a StartError that can be mended meanwhile has an exit code of its own", async () => {
    const end = await start("mendable").end();
    expect(end).toMatchObject({ code: 78, stderr: "postern worker: a rule is wrong\n" });
  });

  test("a StartError is one sentence and exit code 1, after the stop steps", async () => {
    const end = await start("start-error").end();
    expect(end).toEqual({
      code: 1,
      stdout: "cleaned\n",
      stderr: "postern worker: the moon is in the way\n",
    });
  });

  test("a wrong environment is told before anything runs", async () => {
    const end = await start("serve", { POSTERN_LOG_LEVEL: "loud" }).end();
    expect(end.code).toBe(1);
    expect(end.stderr).toBe(
      'postern worker: POSTERN_LOG_LEVEL is "loud", expected one of debug, info, warning, error\n',
    );
  });

  test.each([["bug", "a bug"], ["rejects", "nobody caught this"]])(
    "%s: logged with its reason, exit code 1",
    async (behaviour, reason) => {
      const end = await start(behaviour).end();
      expect(end.code).toBe(1);
      const last = JSON.parse(end.stderr.trim().split("\n").at(-1) ?? "");
      expect(last).toMatchObject({ level: "error", process: "worker", error: { message: reason } });
    },
  );

  test("a stop step that fails does not keep the others from running", async () => {
    const process = start("stop-fails", supervised);
    await process.says(READY);
    process.child.kill("SIGTERM");
    const end = await process.end();
    expect(end.code).toBe(1);
    expect(end.stdout).toContain("first registered");
    await process.child.stdin.close();
  });

  test("exitWhenDone: stops once main has resolved", async () => {
    const end = await start("done").end();
    expect(end.code).toBe(0);
    expect(end.stdout).toBe("last registered\nfirst registered\n");
  });

  test("a JSON line has its four fields first, and they cannot be replaced", async () => {
    const end = await start("logs").end();
    const line = end.stderr.split("\n").find((text) => text.includes("odd")) ?? "";
    const parsed = JSON.parse(line);
    expect(Object.keys(parsed).slice(0, 4)).toEqual(["time", "level", "process", "message"]);
    expect(parsed).toMatchObject({
      level: "warning",
      message: "odd {braces}",
      queueId: "q1",
      size: "12",
      error: { name: "Error", message: "why" },
    });
  });
});
