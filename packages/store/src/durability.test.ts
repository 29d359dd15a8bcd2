import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { openDatabase, weaknesses } from "./index.ts";

let created: TestDatabase;

beforeAll(async () => {
  created = await createTestDatabase();
});
afterAll(() => created.drop());

/** The first words of each weakness of this database, found by a process. */
async function weaknessesOf(url: string): Promise<string[]> {
  const database = openDatabase(url, { applicationName: "durability test", connections: 1 });
  try {
    return (await weaknesses(database)).map((sentence) => sentence.split(/[:,]/)[0]!);
  } finally {
    await database.close();
  }
}

// The Postgres of the tests is one that forgets.
const ofTests = ["fsync is off", "full_page_writes is off"];

test("a Postgres that may lose what was accepted is told of", async () => {
  expect(await weaknessesOf(created.url)).toEqual(ofTests);
});

test.each(["SQL_ASCII", "LATIN1"])("a database in %s is told of", async (encoding) => {
  const name = `encoded_${crypto.randomUUID().replaceAll("-", "")}`;
  const { sql, close } = openDatabase(created.url, { applicationName: "durability test" });
  await sql.unsafe(
    `create database ${name} encoding '${encoding}' locale 'C' template template0`,
  );
  try {
    const url = Object.assign(new URL(created.url), { pathname: `/${name}` }).href;
    expect(await weaknessesOf(url))
      .toEqual([...ofTests, `the encoding of the database is ${encoding}`]);
  } finally {
    await sql.unsafe(`drop database ${name} with (force)`);
    await close();
  }
});
