/** The embedded Postgres under the gateway's eyes: a real one, killed. */
import { startPostgres } from "@postern/postgres";
import { driverAddress, openDatabase, ping } from "@postern/store";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { listeningLog } from "../../../tests/log.ts";
import { keepPostgres } from "./embedded-postgres.ts";

/** Whether something accepts connections at the address. */
function accepts(url: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const { path = "" } = driverAddress(url);
  const socket = connect({ path });
  socket.once("connect", () => {
    socket.destroy();
    resolve(true);
  });
  socket.once("error", () => resolve(false));
  return promise;
}

test("a Postgres that was killed is started again at the same address", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "postern-kept-" });
  await Deno.chmod(dataDir, 0o755);
  const again = Promise.withResolvers<void>();
  const heard: string[] = [];
  const log = listeningLog((message) => {
    heard.push(message);
    if (message === "Postgres runs again") again.resolve();
  });

  const postgres = await keepPostgres({ dataDir, log, durable: false });
  try {
    expect(await accepts(postgres.url)).toBe(true);
    const pidFile = `${dataDir}/postgres/data/postmaster.pid`;
    const [pid] = (await Deno.readTextFile(pidFile)).split("\n");
    Deno.kill(Number(pid), "SIGKILL");
    await again.promise;
    expect(await accepts(postgres.url)).toBe(true);
    expect(heard).toEqual(["Postgres ended and is started again", "Postgres runs again"]);
  } finally {
    await postgres.stop();
  }
  expect(await accepts(postgres.url)).toBe(false);
  await Deno.remove(dataDir, { recursive: true });
});

test("a Postgres that was adopted before it had a socket is served on at its TCP address", async () => {
  const dataDir = await Deno.makeTempDir({ prefix: "postern-kept-" });
  await Deno.chmod(dataDir, 0o755);
  const again = Promise.withResolvers<void>();
  const log = listeningLog((message) => {
    if (message === "Postgres runs again") again.resolve();
  });
  const before = await startPostgres({ dataDir, durable: false });
  if (!before.ok) throw new Error(before.problem);
  await Deno.remove(`${dataDir}/postgres/socket`, { recursive: true });

  const postgres = await keepPostgres({ dataDir, log, durable: false });
  try {
    expect(postgres.url).toBe(before.url);
    await before.stop();
    await again.promise;
    const sql = openDatabase(postgres.url, { applicationName: "test", connections: 1 });
    await ping(sql);
    await sql.close();
  } finally {
    await postgres.stop();
  }
  await Deno.remove(dataDir, { recursive: true });
});
