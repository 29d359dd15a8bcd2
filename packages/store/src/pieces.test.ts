import { createServer } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "../../../tests/database.ts";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { type Database, isUnavailable, newQueueId, openDatabase, PIECE_BYTES } from "./index.ts";
import { readPiece, writePiece } from "./pieces.ts";

let created: TestDatabase;
let database: Database;

beforeAll(async () => {
  created = await createTestDatabase();
  database = openDatabase(created.url, { applicationName: "piece test" });
});

afterAll(async () => {
  await database.close();
  await created.drop();
});

const bytesOf = (size: number, seed: number) =>
  Uint8Array.from({ length: size }, (_, index) => (index * 31 + seed) & 255);
const write = (id: string, ordinal: number, bytes: Uint8Array) =>
  database.pieces.run((connection) => writePiece(connection, id, ordinal, bytes));
const read = (id: string, ordinal: number) =>
  database.pieces.run((connection) => readPiece(connection, id, ordinal));

test("many pieces at once, read and written, beside other statements", async () => {
  const ids = Array.from({ length: 30 }, () => newQueueId());
  const sizeOf = (index: number) => index === 0 ? 0 : index % 5 === 0 ? PIECE_BYTES : index * 3001;
  await Promise.all(ids.map((id, index) => write(id, 0, bytesOf(sizeOf(index), index))));
  const beside = Promise.all(
    ids.map((id) => database.sql`select count(*) from contents where message_id = ${id}`),
  );
  await Promise.all([...ids, ...ids].map(async (id, turn) => {
    const index = turn % ids.length;
    const piece = await read(id, 0);
    expect(piece).toEqual(bytesOf(sizeOf(index), index));
    // Its buffer is nobody else's view of a Node Buffer: a slice of it is a copy.
    expect(piece?.constructor).toBe(Uint8Array);
  }));
  await beside;
});

test("a piece that is not there", async () => {
  expect(await read(newQueueId(), 0)).toBeUndefined();
  await expect(read("no id'; drop table contents; --", 0)).rejects.toThrow("uuid");
});

test("what Postgres does not take is refused, and what comes next is not", async () => {
  const id = newQueueId();
  await write(id, 0, bytesOf(5000, 1));
  await expect(write(id, 0, bytesOf(6000, 2))).rejects.toMatchObject({ code: "23505" });
  await write(id, 1, bytesOf(7000, 3));
  expect(await read(id, 0)).toEqual(bytesOf(5000, 1));
  expect(await read(id, 1)).toEqual(bytesOf(7000, 3));
});

test("rows that came before a statement failed are not those of the next one", async () => {
  const { sql, close } = openDatabase(created.url, {
    applicationName: "failing halfway",
    connections: 1,
  });
  try {
    await expect(sql`select 1 / (3 - n) from generate_series(1, 5) n`).rejects
      .toMatchObject({ code: "22012" });
    expect(await sql`select 42 as answer`).toEqual([{ answer: 42 }]);
  } finally {
    await close();
  }
});

test("a lost connection is told, and opened again", async () => {
  const id = newQueueId();
  const end = () =>
    database.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where application_name = 'piece test' and pid <> pg_backend_pid() and query ilike '%contents%'`;
  const outcomes = await Promise.allSettled([
    ...Array.from(
      { length: 20 },
      (_, ordinal) => write(id, ordinal, bytesOf(PIECE_BYTES, ordinal)),
    ),
    end(),
    ...Array.from({ length: 20 }, () => read(id, 0)),
    end(),
  ]);
  for (const outcome of outcomes) {
    if (outcome.status === "rejected") expect(isUnavailable(outcome.reason)).toBe(true);
  }
  const again = newQueueId();
  await write(again, 0, bytesOf(100, 9));
  await write(again, 1, bytesOf(100, 10));
  expect(await read(again, 0)).toEqual(bytesOf(100, 9));
});

test("what Postgres said to a statement that it cut off is not said to the next one", async () => {
  const application = `cut off ${newQueueId()}`;
  const { sql, close } = openDatabase(created.url, {
    applicationName: application,
    connections: 1,
  });
  try {
    const cutOff = expect(sql`select pg_sleep(60)`).rejects.toSatisfy(isUnavailable);
    await eventually("the statement is ended", async () =>
      (await database.sql`
        select pg_terminate_backend(pid) from pg_stat_activity
        where application_name = ${application} and query ilike '%pg_sleep%'`).length > 0);
    await cutOff;
    expect(await sql`select 1 as one`).toEqual([{ one: 1 }]);
  } finally {
    await close();
  }
});

test("a connection that is lost while it is being opened ends nothing but its statement", async () => {
  // Authentication passes, the driver asks for the types of arrays, and the server goes away.
  const ready = new Uint8Array([82, 0, 0, 0, 8, 0, 0, 0, 0, 90, 0, 0, 0, 5, 73]);
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", () => {
      socket.write(ready);
      socket.once("data", () => {
        server.close();
        socket.resetAndDestroy();
      });
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as { port: number };
  const { sql, close } = openDatabase(`postgres://nobody@127.0.0.1:${port}/none`, {
    applicationName: "lost",
  });
  // A rejection that nobody handles fails the whole run of tests.
  await expect(sql`select 1`).rejects.toSatisfy(isUnavailable);
  await close(1);
});
