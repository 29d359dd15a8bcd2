import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { type Database, openDatabase, openMessages } from "./index.ts";
import { storableJson } from "./storable.ts";
import { accept, to } from "./testing/mail.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "storable test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

/** Characters of three bytes that no compression makes shorter. */
const han = Array.from({ length: 998 }, (_, index) => 0x4e00 + (index * 7919) % 20_000);

test.each([
  ["one that is cut within a surrogate pair", `${"a".repeat(999)}\u{1f600}@long.test`],
  ["one that was cut there before", `${"a".repeat(500)}\ud83d`],
  ["one of more bytes than an index takes", String.fromCodePoint(...han)],
  ["one with a NUL", "a\0b@nul.test"],
])("a Message-ID that Postgres does not keep as it is: %s", async (_, messageId) => {
  const id = await accept(database, [to("a@odd.test")], { messageId });
  const { items } = await openMessages(database).find({ messageId: `<${messageId}>`, limit: 10 });
  expect(items.map((item) => item.id)).toEqual([id]);
});

test("what a peer said is kept with what Postgres does not keep replaced, and found by it", async () => {
  const odd = "\0 \ud83d";
  const id = await accept(database, [{ ...to("a@odd.test"), treatment: {}, decision: { odd } }], {
    session: { helo: odd },
    reversePath: `${odd}@odd.test`,
  });
  const messages = openMessages(database);
  expect(await messages.get(id)).toMatchObject({ session: { helo: "\ufffd \ufffd" } });
  const { items } = await messages.find({ sender: `${odd}@odd.test`, limit: 10 });
  expect(items.map((item) => item.id)).toEqual([id]);
});

test("all else is JSON as ever", () => {
  const value = { text: "\\u0000 \\ud83d \u{1f600} ÿ", list: [null, 1, "\n"] };
  expect(storableJson(value)).toBe(JSON.stringify(value));
});
