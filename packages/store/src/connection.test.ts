import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { type Database, databaseProblem, isUnavailable, openDatabase } from "./index.ts";

describe("databaseProblem", () => {
  test.each<[unknown, string]>([
    [new Error("connect ENOENT /run/x"), "connect ENOENT /run/x"],
    [Object.assign(new Error(""), { code: "ECONNREFUSED" }), "ECONNREFUSED"],
    [
      new Error("Failed query: select 1", { cause: new Error("too many clients") }),
      "too many clients",
    ],
    [
      new Error("Failed query: select 1", {
        cause: Object.assign(new Error('relation "a" does not exist'), { code: "42P01" }),
      }),
      'relation "a" does not exist: the database is not migrated',
    ],
    ["gone", "gone"],
  ])("%s", (error, problem) => expect(databaseProblem(error)).toBe(problem));
});

test("dates, octets and transactions are read as they are meant, whatever the server's defaults", async () => {
  const created = await createTestDatabase();
  const open = () => openDatabase(created.url, { applicationName: "test", connections: 1 });
  try {
    const before = open();
    const name = new URL(created.url).pathname.slice(1);
    await before.sql.unsafe(`
      alter database ${name} set DateStyle = 'SQL, DMY';
      alter database ${name} set bytea_output = 'escape';
      alter database ${name} set default_transaction_isolation = 'serializable'`);
    await before.close();
    const database = open();
    const [row] = await database.sql`
      select '2026-11-05T10:00:00Z'::timestamptz as at, '\\x00ff'::bytea as bytes,
        current_setting('transaction_isolation') as isolation`;
    expect(row).toEqual({
      at: new Date("2026-11-05T10:00:00Z"),
      bytes: Uint8Array.of(0, 255),
      isolation: "read committed",
    });
    await database.close();
  } finally {
    await created.drop();
  }
});

describe("a connection that cannot be opened", () => {
  let created: TestDatabase;
  let administration: Database;
  const role = `role_${crypto.randomUUID().replaceAll("-", "")}`;
  const open = (url: string | URL) =>
    openDatabase(String(url), { applicationName: "connection test", connections: 1 });
  beforeAll(async () => {
    created = await createTestDatabase();
    administration = open(created.url);
    await administration.sql.unsafe(`create role ${role} login password 'one'`);
  });
  afterAll(async () => {
    await administration.sql.unsafe(`drop role ${role}`);
    await administration.close();
    await created.drop();
  });

  test("for a password is Postgres's being away, until it is right again", async () => {
    const url = Object.assign(new URL(created.url), { username: role, password: "one" });
    const database = open(url);
    await database.sql`select 1`;
    await administration.sql.unsafe(`alter role ${role} password 'two'`);
    await administration.sql`select pg_terminate_backend(pid) from pg_stat_activity
      where usename = ${role}`;
    const refused = await eventually("the password is refused", async () => {
      const error = await database.sql`select 1`.then(() => undefined, (error) => error);
      expect(error).toSatisfy(isUnavailable);
      return error?.code === "28P01" && error;
    });
    expect(refused.message).toContain("password");
    await expect(database.drizzle.execute("select 1")).rejects.toSatisfy(isUnavailable);
    await expect(database.sql.begin((sql) => sql`select 1`)).rejects.toSatisfy(isUnavailable);
    await administration.sql.unsafe(`alter role ${role} password 'one'`);
    expect(await database.sql`select 1 as one`).toEqual([{ one: 1 }]);
    await database.close();
  });

  test("for want of the database is its being away", async () => {
    const database = open(Object.assign(new URL(created.url), { pathname: "/nothing" }));
    await expect(database.sql`select 1`).rejects.toMatchObject({ code: "3D000" });
    await expect(database.sql`select 1`).rejects.toSatisfy(isUnavailable);
    await database.close();
  });

  test("as a file is in the way of its socket is its being away", async () => {
    const file = await Deno.makeTempFile();
    const database = open(`postgres://${role}:one@${encodeURIComponent(file)}/nothing`);
    await expect(database.sql`select 1`).rejects.toMatchObject({ code: "ENOTDIR" });
    await expect(database.sql`select 1`).rejects.toSatisfy(isUnavailable);
    await database.close();
    await Deno.remove(file);
  });

  test("is told each time where the runtime does not permit it", async () => {
    const program = `
      import { isUnavailable, openDatabase } from "./src/index.ts";
      const url = "postgres://a:b@%2Fnowhere/c";
      const { sql } = openDatabase(url, { applicationName: "", connections: 1 });
      const ask = () => sql\`select 1\`.catch(isUnavailable);
      console.log(await ask(), await ask());
      Deno.exit();`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-env", "--allow-read=../../node_modules", "-"],
      cwd: new URL("..", import.meta.url),
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
      signal: AbortSignal.timeout(20_000),
    }).spawn();
    await new Blob([program]).stream().pipeTo(child.stdin);
    const { stdout, stderr } = await child.output();
    const text = new TextDecoder();
    expect(text.decode(stdout), text.decode(stderr)).toBe("true true\n");
  });

  test("is not what fails in the first statement", async () => {
    const first = async (ask: (database: Database) => Promise<unknown>) => {
      const database = open(created.url);
      const error = await ask(database).catch((error: unknown) => error);
      await database.close();
      return error;
    };
    for (
      const error of [
        await first(({ sql }) => sql`select 1 / 0`),
        await first(({ sql }) => sql`select ${undefined as never}`),
        await first(({ drizzle }) => Promise.resolve(drizzle.execute("select 1 / 0"))),
        await first(({ sql }) => sql.begin((sql) => sql`select 1 / 0`)),
      ]
    ) {
      expect(error).toBeInstanceOf(Error);
      expect(error).not.toSatisfy(isUnavailable);
    }
  });
});
