import { domainSchema } from "@postern/config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import {
  type ConfigurationStore,
  type Database,
  KnownRecipients,
  openConfiguration,
  openDatabase,
  openRecipientLists,
  recipientListDifferences,
  type RecipientLists,
  restoreRecipientLists,
} from "./index.ts";

let created: TestDatabase;
let database: Database;
let configuration: ConfigurationStore;
let lists: RecipientLists;

const by = { author: "test" };
const domain = domainSchema.parse({ relay: "default", recipients: { verify: "list" } });

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "recipient lists test" });
  configuration = openConfiguration(database);
  lists = openRecipientLists(database);
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const put = (name: string) => configuration.apply([{ kind: "domains", name, body: domain }], by);
const listed = (name: string) => lists.page(name, { limit: 1_000_000 });

async function* batches(...given: string[][]) {
  yield* given;
}

describe("a list", () => {
  test("is replaced as a whole, writing what differs", async () => {
    await put("whole.test");
    const first = await lists.replace("whole.test", batches(["b", "a"], ["c", "a"]), by);
    expect(first).toMatchObject({ status: "applied", added: 3, removed: 0, size: 3 });
    const second = await lists.replace("whole.test", batches(["c", "d"]), by);
    expect(second).toMatchObject({ added: 1, removed: 2, size: 2 });
    expect(await listed("whole.test")).toEqual(["c", "d"]);
    expect(await lists.state("whole.test")).toEqual({
      version: await configuration.currentVersion(),
      size: 2,
    });
  });

  test("that is what it was makes no version", async () => {
    const before = await configuration.currentVersion();
    expect(await lists.replace("whole.test", batches(["d", "c"]), by))
      .toMatchObject({ status: "applied", version: 0, size: 2 });
    expect(await lists.add("whole.test", "c", by)).toMatchObject({ version: 0 });
    expect(await configuration.currentVersion()).toBe(before);
  });

  test("stays as it was when its sender fails half-way, and leaves nothing behind", async () => {
    async function* failing() {
      yield ["x"];
      await Promise.resolve();
      throw new Error("gone");
    }
    await expect(lists.replace("whole.test", failing(), by)).rejects.toThrow("gone");
    expect(await listed("whole.test")).toEqual(["c", "d"]);
    expect(await database.sql`select 1 from recipient_list_uploads`).toHaveLength(0);
  });

  test("takes and loses single addresses", async () => {
    expect(await lists.add("whole.test", "e", by)).toMatchObject({ added: 1, size: 3 });
    expect(await lists.remove("whole.test", "c", by)).toMatchObject({ removed: 1, size: 2 });
    expect(await lists.remove("whole.test", "c", by)).toMatchObject({ removed: 0, version: 0 });
    expect(await listed("whole.test")).toEqual(["d", "e"]);
    expect(await lists.has("whole.test", "e")).toBe(true);
  });

  test("belongs to a domain, and changes only on its condition", async () => {
    expect(await lists.add("nowhere.test", "a", by)).toEqual({ status: "unknown" });
    expect(await lists.state("nowhere.test")).toBeUndefined();
    const { version } = (await lists.state("whole.test"))!;
    expect(await lists.add("whole.test", "z", { ...by, expected: version - 1 }))
      .toEqual({ status: "stale" });
    expect(await lists.add("whole.test", "z", { ...by, expected: version }))
      .toMatchObject({ status: "applied" });
  });

  test("of 100,000 is written where it differs", async () => {
    await put("large.test");
    const given = Array.from(
      { length: 20 },
      (_, batch) => Array.from({ length: 5000 }, (_, n) => `user${batch * 5000 + n}`),
    );
    expect(await lists.replace("large.test", batches(...given), by))
      .toMatchObject({ added: 100_000, size: 100_000 });
    expect(await lists.replace("large.test", batches(...given.slice(1)), by))
      .toMatchObject({ added: 0, removed: 5000, size: 95_000 });
  });

  test("written from many sides at once ends as one of them", async () => {
    await put("busy.test");
    const outcomes = await Promise.all(
      Array.from(
        { length: 8 },
        (_, n) => lists.replace("busy.test", batches([`only${n}`, "all"]), by),
      ),
    );
    expect(outcomes.every(({ status }) => status === "applied")).toBe(true);
    expect(await listed("busy.test")).toEqual(["all", expect.stringMatching(/^only\d$/)]);
    expect((await lists.state("busy.test"))?.size).toBe(2);
  });
});

test("a list ends with its domain, and comes back when a version is restored", async () => {
  await put("gone.test");
  await lists.replace("gone.test", batches(["a", "b"]), by);
  const full = await configuration.currentVersion();
  await lists.replace("gone.test", batches(["b", "c", "d"]), by);
  const changed = await configuration.currentVersion();
  await configuration.apply([{ kind: "domains", name: "gone.test", body: null }], by);
  const deleted = await configuration.currentVersion();
  expect(await listed("gone.test")).toEqual([]);
  expect(await recipientListDifferences(database.drizzle, full, changed))
    .toEqual([{ domain: "gone.test", added: 2, removed: 1 }]);
  expect(await recipientListDifferences(database.drizzle, changed, deleted))
    .toEqual([{ domain: "gone.test", added: 0, removed: 3 }]);

  await put("gone.test");
  expect(await listed("gone.test")).toEqual([]);
  const version = await configuration.currentVersion();
  await database.drizzle.transaction((tx) => restoreRecipientLists(tx, full, version));
  expect(await listed("gone.test")).toEqual(["a", "b"]);
  expect(await lists.state("gone.test")).toEqual({ version, size: 2 });
});

describe("looking recipients up", () => {
  test("finds those on the list, whatever their case", async () => {
    await put("known.test");
    await lists.replace("known.test", batches(["user", '"a b"']), by);
    const version = await configuration.currentVersion();
    const recipients = new KnownRecipients(database);
    const asked = [
      "User@known.test",
      '"user"@KNOWN.test',
      '"A b"@known.test',
      "other@known.test",
      "\0@known.test",
      "\ud800@known.test",
    ];
    expect(await Promise.all(asked.map((a) => recipients.known(version, "known.test", a))))
      .toEqual([true, true, true, false, false, false]);
  });

  test("below a wildcard, finds local parts and whole addresses", async () => {
    await put("*.wild.test");
    await lists.replace("*.wild.test", batches(["anywhere", "one@a.wild.test"]), by);
    const version = await configuration.currentVersion();
    const recipients = new KnownRecipients(database);
    const asked = ["anywhere@b.wild.test", "One@A.wild.test", "one@b.wild.test"];
    expect(await Promise.all(asked.map((a) => recipients.known(version, "*.wild.test", a))))
      .toEqual([true, true, false]);
  });

  test("is remembered for one version of the configuration", async () => {
    await put("cached.test");
    const recipients = new KnownRecipients(database, { remembered: 2 });
    const before = await configuration.currentVersion();
    expect(await recipients.known(before, "cached.test", "a@cached.test")).toBe(false);
    await lists.add("cached.test", "a", by);
    expect(await recipients.known(before, "cached.test", "a@cached.test")).toBe(false);
    const after = await configuration.currentVersion();
    expect(await recipients.known(after, "cached.test", "a@cached.test")).toBe(true);
  });

  test("fails when the database is away, and works again", async () => {
    const away = openDatabase("postgres://127.0.0.1:1/none", { applicationName: "away" });
    const recipients = new KnownRecipients(away);
    await expect(recipients.known(1, "a.test", "a@a.test")).rejects.toThrow();
    await expect(recipients.known(1, "a.test", "a@a.test")).rejects.toThrow();
    await away.close();
  });
});
