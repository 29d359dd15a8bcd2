import { connect as connectTo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { isUnavailable, newQueueId, openDatabase } from "./index.ts";
import { writePiece } from "./pieces.ts";
import { accept, to } from "./testing/mail.ts";

let created: TestDatabase;

beforeAll(async () => {
  created = await createTestDatabase();
});

afterAll(async () => {
  await created.drop();
});

/** The way to Postgres, over which nothing comes while it is silent, and nothing is told. */
async function openWay() {
  let silent = false;
  const ends = new Set<Socket>();
  const pass = (from: Socket, to: Socket) => {
    ends.add(from);
    from.on("data", (bytes) => silent || to.write(bytes));
    from.on("error", () => {});
    from.on("close", () => to.destroy());
  };
  const { port, hostname } = new URL(created.url);
  const server = createServer((near) => {
    const far = connectTo(Number(port), hostname);
    pass(near, far);
    pass(far, near);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const address = server.address() as { readonly port: number };
  return {
    url: Object.assign(new URL(created.url), { host: `127.0.0.1:${address.port}` }).href,
    fall: () => silent = true,
    recover: () => silent = false,
    close: () => {
      for (const end of ends) end.destroy();
      server.close();
    },
  };
}

test("what is said to a silent Postgres fails as while it is away, and all works when it is back", async () => {
  const way = await openWay();
  const database = openDatabase(way.url, { applicationName: "silence test", silence: 3 });
  let heard = 0;
  await database.sql.listen("silence_test", () => heard += 1);
  await accept(database, [to("a@silence.test")]);
  const id = newQueueId();
  const write = (ordinal: number) =>
    database.pieces.run((connection) => writePiece(connection, id, ordinal, new Uint8Array(9)));
  await write(0);

  way.fall();
  const outcomes = await Promise.allSettled([
    accept(database, [to("a@silence.test")]),
    write(1),
    database.sql.begin((transaction) => transaction`select 1`),
    database.sql`select pg_sleep(60)`,
  ]);
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ status: "rejected", reason: expect.toSatisfy(isUnavailable) });
  }

  way.recover();
  await eventually(
    "mail is taken again",
    () => accept(database, [to("a@silence.test")]).then(() => true, () => false),
  );
  await eventually("what is announced is heard again", async () => {
    await database.sql`select pg_notify('silence_test', '')`;
    return heard > 0;
  });
  await write(2);
  await database.close();
  way.close();
});

test("a statement may take longer than a silence", async () => {
  const database = openDatabase(created.url, { applicationName: "silence test", silence: 0.5 });
  expect((await database.sql`select 1 as one from pg_sleep(1.5)`)[0]).toEqual({ one: 1 });
  await database.close();
});
