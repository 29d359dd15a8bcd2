import { spawn } from "node:child_process";
import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import postgres from "postgres";
import { afterEach, describe, expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { isPassable } from "./folders.ts";
import { lockDataDir, startPostgres } from "./index.ts";

const isRoot = process.getuid?.() === 0;
const ends: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function folder(mode = 0o755): Promise<string> {
  const path = await Deno.makeTempDir({ prefix: "postern-postgres-" });
  await Deno.chmod(path, mode);
  ends.push(() => Deno.remove(path, { recursive: true }));
  return path;
}

async function start(dataDir: string) {
  const started = await startPostgres({ dataDir, durable: false });
  if (!started.ok) throw new Error(started.problem);
  ends.push(() => started.stop());
  return started;
}

async function ask<Row extends object>(url: string, query: string, path?: string): Promise<Row[]> {
  const sql = postgres(url, {
    max: 1,
    onnotice: () => {},
    ...(path === undefined ? {} : { path }),
  });
  try {
    return await sql.unsafe<Row[]>(query);
  } finally {
    await sql.end();
  }
}

describe("startPostgres", () => {
  test("serves a database in UTF-8 and UTC that keeps its data and its address", async () => {
    const dataDir = join(await folder(), "deep", "data");
    const first = await start(dataDir);
    expect(first.url).toMatch(/^postgres:\/\/postern:[\w-]{32}@127\.0\.0\.1:\d+\/postern$/);
    const [settings] = await ask(
      first.url,
      `select current_setting('server_encoding') as encoding, current_setting('timezone') as zone,
       current_setting('max_wal_size') as wal, current_setting('unix_socket_directories') as socket`,
    );
    expect(settings).toEqual({ encoding: "UTF8", zone: "UTC", wal: "1GB", socket: "../socket" });
    // The way libpq writes the folder of a socket (psql takes it).
    const sockets = encodeURIComponent(join(dataDir, "postgres", "socket"));
    expect(first.socketUrl).toBe(first.url.replace("127.0.0.1", sockets));

    expect(statSync(join(dataDir, "postgres", "socket")).mode & 0o777).toBe(0o700);
    const path = join(dataDir, "postgres", "socket", `.s.PGSQL.${new URL(first.url).port}`);
    expect(await ask(first.url, "select inet_client_addr() as address", path))
      .toEqual([{ address: null }]);
    await ask(first.url, "create table kept as select 7 as n");
    await first.stop();
    await first.stop();

    const log = join(dataDir, "postgres", "log");
    truncateSync(log, 20 * 1024 * 1024);
    const second = await start(dataDir);
    expect(second.url).toBe(first.url);
    // A log that has become long makes room for a new one.
    expect(statSync(`${log}.1`).size).toBe(20 * 1024 * 1024);
    expect(statSync(log).size).toBeLessThan(100_000);
    expect(await ask(second.url, "select n from kept")).toEqual([{ n: 7 }]);
    expect(statSync(join(dataDir, "postgres", "password")).mode & 0o777).toBe(0o600);
  });

  test("has no socket where its path would be too long for one", async () => {
    const started = await start(join(await folder(), "long".repeat(20)));
    expect(started.socketUrl).toBeUndefined();
    expect(await ask(started.url, "select 1 as n")).toEqual([{ n: 1 }]);
  });

  test("adopts a server that runs already, and starts anew after its kill", async () => {
    const dataDir = await folder();
    const first = await start(dataDir);
    const pidFile = join(dataDir, "postgres", "data", "postmaster.pid");
    const pid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);

    const adopted = await start(dataDir);
    expect(adopted.url).toBe(first.url);
    expect(Number(readFileSync(pidFile, "utf8").split("\n")[0])).toBe(pid);

    await ask(first.url, "create table kept as select 8 as n");
    process.kill(pid, "SIGKILL");
    // Its number may be another program's by then.
    const lock = join(dataDir, "postgres", "socket", `.s.PGSQL.${new URL(first.url).port}.lock`);
    writeFileSync(lock, `${process.ppid}\n`);
    const again = await start(dataDir);
    expect(await ask(again.url, "select n from kept")).toEqual([{ n: 8 }]);
    expect(Number(readFileSync(pidFile, "utf8").split("\n")[0])).not.toBe(pid);
  });

  test("is not misled by a pid that went to another program, or by a taken port", async () => {
    const dataDir = await folder();
    const first = await start(dataDir);
    await first.stop();
    const pidFile = join(dataDir, "postgres", "data", "postmaster.pid");
    await Deno.writeTextFile(pidFile, `${Deno.pid}\n\n0\n1\n\n\n\nready\n`);
    const port = Number(new URL(first.url).port);
    using _squatter = Deno.listen({ hostname: "127.0.0.1", port });

    const second = await start(dataDir);
    expect(new URL(second.url).port).not.toBe(String(port));
    expect(await ask(second.url, "select 1 as n")).toEqual([{ n: 1 }]);
  });

  test("refuses a wrong password", async () => {
    const { url } = await start(await folder());
    const wrong = new URL(url);
    wrong.password = "wrong";
    await expect(ask(wrong.href, "select 1")).rejects.toMatchObject({ code: "28P01" });
  });

  test.runIf(isRoot)("lives elsewhere if its user cannot come into root's folder", async () => {
    const dataDir = join(await folder(0o700), "data");
    const first = await start(dataDir);
    const place = (await Deno.readTextFile(join(dataDir, "postgres-folder"))).trim();
    ends.splice(-1, 0, () => Deno.remove(place, { recursive: true }));
    expect(place).toMatch(/^\/var\/lib\/postern-/);
    expect(existsSync(join(dataDir, "postgres"))).toBe(false);
    expect((await start(dataDir)).url).toBe(first.url);
  });

  test("says that a folder cannot be written", async () => {
    const parent = await folder();
    await Deno.writeTextFile(join(parent, "file"), "");
    expect(await startPostgres({ dataDir: join(parent, "file") })).toMatchObject({ ok: false });
  });

  test.runIf(isRoot && isPassable(import.meta.dirname ?? "/"))(
    "works for an ordinary user, who cannot use a folder of root's",
    async () => {
      const parent = await folder(0o777);
      const mine = join(parent, "mine");
      const roots = join(await folder(), "data");
      const script = `
      import { lockDataDir, startPostgres } from ${
        JSON.stringify(new URL("./index.ts", import.meta.url).href)
      };
      const started = await startPostgres({ dataDir: ${JSON.stringify(mine)}, durable: false });
      if (started.ok) await started.stop();
      const refused = await startPostgres({ dataDir: ${JSON.stringify(roots)} });
      const lock = lockDataDir(${JSON.stringify(roots)});
      console.log(JSON.stringify([started.ok || started.problem, refused.problem, lock.problem]));
    `;
      const problem = `the data directory ${roots} cannot be written: permission denied`;
      expect(JSON.parse(await asNobody(script))).toEqual([true, problem, problem]);
      expect(statSync(mine)).toMatchObject({ uid: 65534, mode: 0o40700 });
    },
  );
});

describe("lockDataDir", () => {
  test("is held by one process until it is released or dies", async () => {
    const dataDir = join(await folder(), "data");
    const first = lockDataDir(dataDir);
    expect(first.ok).toBe(true);
    const problem = `a gateway already runs on ${dataDir} (process ${Deno.pid})`;
    expect(lockDataDir(dataDir)).toEqual({ ok: false, problem });
    if (first.ok) first.release();
    expect(existsSync(join(dataDir, "gateway.pid"))).toBe(false);

    const dead = await new Deno.Command("true").spawn();
    await dead.status;
    await Deno.writeTextFile(join(dataDir, "gateway.pid"), `${dead.pid}\n`);
    const second = lockDataDir(dataDir);
    expect(second.ok).toBe(true);

    // The pid lives, but it is another process by now.
    await Deno.writeTextFile(join(dataDir, "gateway.pid"), `${Deno.pid}\n1\n`);
    expect(lockDataDir(dataDir).ok).toBe(true);
    if (second.ok) second.release();
  });

  test("is not held by a process that has ended, though nobody has taken note", async () => {
    const dataDir = await folder();
    // A parent that never asks what became of its child: it stays a zombie.
    const parent = new Deno.Command("sh", {
      args: ["-c", "sleep 600 & echo $!; exec sleep 600"],
      stdout: "piped",
    }).spawn();
    const fieldsOf = (pid: number) => readFileSync(`/proc/${pid}/stat`, "utf8").split(/[()] ?/);
    try {
      const printed = parent.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const pid = Number((await printed.read()).value);
      await eventually("the shell is gone", () => fieldsOf(parent.pid)[1] === "sleep");
      process.kill(pid, "SIGKILL");
      await eventually("it is a zombie", () => fieldsOf(pid)[2]!.startsWith("Z"));
      const started = fieldsOf(pid)[2]!.split(" ")[19];
      await Deno.writeTextFile(join(dataDir, "gateway.pid"), `${pid}\n${started}\n`);
      const lock = lockDataDir(dataDir);
      expect(lock.ok).toBe(true);
      if (lock.ok) lock.release();
    } finally {
      parent.kill("SIGKILL");
      await parent.status;
    }
  });
});

/** Runs a module under Deno as the user nobody; answers what it printed. */
function asNobody(script: string): Promise<string> {
  const args = ["--reuid=nobody", "--regid=nogroup", "--clear-groups", Deno.execPath()];
  const env = { PATH: process.env["PATH"], DENO_DIR: "/nonexistent", DENO_NO_UPDATE_CHECK: "1" };
  return new Promise((resolve, reject) => {
    const child = spawn("setpriv", [...args, "run", "-A", "-"], { cwd: "/", env });
    let printed = "";
    let said = "";
    child.stdout.on("data", (chunk) => printed += chunk);
    child.stderr.on("data", (chunk) => said += chunk);
    child.on("error", reject);
    child.on("close", (code) => code === 0 ? resolve(printed) : reject(new Error(said)));
    child.stdin.end(script);
  });
}
