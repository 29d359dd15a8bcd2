import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { type Database, openDatabase } from "./connection.ts";
import { SenderRates } from "./sender-rates.ts";

let testDatabase: TestDatabase;
let databases: Database[];

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  databases = [
    openDatabase(testDatabase.url, { applicationName: "sender rates test" }),
    openDatabase(testDatabase.url, { applicationName: "sender rates test" }),
  ];
});

afterAll(async () => {
  for (const database of databases) await database.close();
  await testDatabase.drop();
});

test("two ingresses together grant what the rate allows, and no more", async () => {
  const [one, other] = databases.map((database) => new SenderRates(database));
  const claim = [{ key: "client lan messages", rate: { perHour: 100 } }];
  const granted = await Promise.all(
    Array.from({ length: 300 }, (_, at) => (at % 3 === 0 ? one! : other!).claim(claim)),
  );
  // A new hour may have begun meanwhile: then there is as much again.
  expect([100, 200]).toContain(granted.filter((yes) => yes).length);
});

test("each rate is counted by itself, and each must have room", async () => {
  const rates = new SenderRates(databases[0]!);
  const wide = { key: "user a messages", rate: { perHour: 1000 } };
  const narrow = { key: "client b messages", rate: { perHour: 1, perMinute: 5 } };
  expect(await rates.claim([wide, narrow])).toBe(true);
  expect(await rates.claim([wide])).toBe(true);
  expect([await rates.claim([wide, narrow]), await rates.claim([narrow])]).toContain(false);
  expect(await rates.claim([])).toBe(true);
});

test("a new window begins anew", async () => {
  const rates = new SenderRates(databases[0]!);
  const claim = [{ key: "client c messages", rate: { perSecond: 1 } }];
  await databases[0]!.sql`
    insert into sender_counts (key, seconds, started, used) values
      ('client c messages', 1, floor(extract(epoch from now()))::bigint - 5, 100)`;
  expect(await rates.claim(claim)).toBe(true);
});
