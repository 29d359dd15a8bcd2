import { openDatabase } from "@postern/store";
import { expect, test } from "vitest";
import { createTestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { startUpkeep } from "./upkeep.ts";

test("an upkeep that met others in its way comes again soon, not at its next turn", async () => {
  const created = await createTestDatabase();
  const database = openDatabase(created.url, { applicationName: "upkeep test" });
  let failures = 0;
  let made = 0;
  const log = {
    info: (_: string, { made: count }: { made: number }) => made += count,
    warning: () => failures += 1,
  } as never;
  const done = Promise.withResolvers<void>();
  const reading = database.sql.begin(async (transaction) => {
    await transaction`select 1 from messages limit 1`;
    await done.promise;
  });
  const retention = { content: 7 * 24 * 3600, messages: 30 * 24 * 3600 };
  await eventually("somebody reads", async () => {
    const [row] = await database.sql`
      select 1 from pg_locks where relation = 'messages'::regclass and granted`;
    return row !== undefined;
  });
  const began = Date.now();
  const upkeep = startUpkeep(database, { retention: () => retention, log });
  await eventually("it gave up twice", () => failures === 2);
  expect(made).toBe(0);
  done.resolve();
  await reading;
  await eventually("the partitions are there", () => made === 16);
  expect(Date.now() - began).toBeLessThan(20_000);
  await upkeep.stop();
  await database.close();
  await created.drop();
});
