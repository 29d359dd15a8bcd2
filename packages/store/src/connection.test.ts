import { describe, expect, test } from "vitest";
import { createTestDatabase } from "../../../tests/database.ts";
import { databaseProblem, openDatabase } from "./index.ts";

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
