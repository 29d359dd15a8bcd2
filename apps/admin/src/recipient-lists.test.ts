import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "./testing/api.ts";

let api: TestApi;
const list = "/v1/domains/example.com/recipients";

beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/domains/example.com", { body: { relay: "default" } });
  await api.ask("PUT", "/v1/domains/*.wild.test", { body: { relay: "default" } });
});
afterAll(() => api.close());
beforeEach(() => put(["start"]));

const put = (body: unknown, type?: string, headers: Record<string, string> = {}) =>
  api.ask<{ added: number; removed: number; size: number }>("PUT", list, {
    body,
    headers: { ...headers, ...(type && { "Content-Type": type }) },
  });
const refused = (body: string, type: string) =>
  api.ask("PUT", list, { body, headers: { "Content-Type": type } });
const listed = async () => (await api.ask<{ items: string[] }>("GET", list)).body.items;

describe("a list comes in", () => {
  test.each([
    ["application/json", '["b", "A@example.com"]'],
    ["application/json", '{"items": ["b", "a"]}'],
    ["application/x-www-form-urlencoded", '["b", "a"]'],
    ["application/x-ndjson", '"b"\n{"address": "a"}\n\n'],
    ["application/x-ndjson; charset=utf-8", '"b"\r\n"a"'],
    ["text/csv", 'address,name\r\na@example.com,Ann\r\nb,"Bob, too"\r\n'],
    ["text/csv", 'b\n"a"'],
  ])("as %s: %j", async (type, body) => {
    const answer = await put(body, type);
    expect(answer).toMatchObject({ status: 200, body: { added: 2, removed: 1, size: 2 } });
    expect(await listed()).toEqual(["a", "b"]);
  });

  test.each([
    ["application/x-ndjson", '"ok"\n"a b"\n{"adress": "x"}\n{\n"x@other.test"', [2, 3, 4, 5]],
    ["text/csv", 'ok\n"a b"x\nthis one\n', [2, 3]],
    ["text/csv", `ok\n${"x".repeat(5000)}\n`, [2]],
  ])("and not at all when lines are wrong: %s %j", async (type, body, lines) => {
    const { status, body: problem } = await refused(body, type);
    expect(status).toBe(422);
    expect(problem.errors).toEqual(
      lines.map((line) => ({ line, detail: expect.stringMatching(/./) })),
    );
    expect(await listed()).toEqual(["start"]);
  });

  test("with at most 100 errors told", async () => {
    const { body } = await refused("a b\n".repeat(300), "text/csv");
    expect(body.errors).toHaveLength(100);
    expect(body.errors?.at(-1)).toMatchObject({ line: 100 });
  });

  test("in JSON with each wrong address pointed at", async () => {
    const { status, body } = await refused('{"items": ["a", "a@b.test", 7]}', "application/json");
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([{ pointer: "/items/1" }, { pointer: "/items/2" }]);
  });

  test("in UTF-8 only", async () => {
    const response = await api.request(list, {
      method: "PUT",
      headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "text/csv" },
      body: new Uint8Array([0x61, 0x0a, 0xff, 0x0a, 0x62]),
    });
    expect(response.status).toBe(422);
    const { errors } = (await response.json()) as { errors: unknown };
    expect(errors).toEqual([{ line: 2, detail: "not UTF-8" }]);
  });

  test("of a type that is known", async () => {
    expect((await refused("a", "text/xml")).status).toBe(415);
    expect((await refused("{", "application/json")).status).toBe(400);
  });

  test.each([
    ["application/x-ndjson", ""],
    ["application/x-ndjson", "\n\r\n"],
    ["text/csv", "address\r\n"],
    ["application/json", ""],
  ])("not from a file without an address: %s %j", async (type, body) => {
    expect((await refused(body, type)).status).toBe(400);
    expect(await listed()).toEqual(["start"]);
  });

  test("without any address where [] says so", async () => {
    expect((await put([])).body).toEqual({ added: 0, removed: 1, size: 0 });
  });

  test("for a domain that there is", async () => {
    const path = "/v1/domains/nowhere.test/recipients";
    expect((await api.ask("PUT", path, { body: ["a"] })).status).toBe(404);
    expect((await api.ask("GET", path)).status).toBe(404);
    expect((await api.ask("PUT", `${path}/a`)).status).toBe(404);
  });

  test("of 100,000 as a stream", async () => {
    let next = 0;
    const body = new ReadableStream<Uint8Array>({
      pull(controller) {
        const lines = Array.from({ length: 1000 }, () => `user.number${next++}@example.com\r\n`);
        controller.enqueue(new TextEncoder().encode(lines.join("")));
        if (next === 100_000) controller.close();
      },
    });
    const response = await api.request(list, {
      method: "PUT",
      headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "text/csv" },
      body,
      duplex: "half",
    } as RequestInit);
    expect(await response.json()).toMatchObject({ added: 100_000, size: 100_000 });

    const out = await api.request(list, {
      headers: { Authorization: `Bearer ${TOKEN}`, Accept: "application/x-ndjson" },
    });
    expect((await out.text()).trimEnd().split("\n")).toHaveLength(100_000);
  });
});

describe("a list goes out", () => {
  test("in pages", async () => {
    await put(["a", "b", "c"]);
    const first = await api.ask("GET", `${list}?limit=2`);
    expect(first.body).toEqual({ items: ["a", "b"], next: "b", size: 3 });
    const second = await api.ask("GET", `${list}?limit=2&cursor=b`);
    expect(second.body).toEqual({ items: ["c"], next: null, size: 3 });
  });

  test.each([
    ["text/csv", 'address\r\n"""a b"""\r\nc\r\n'],
    ["application/x-ndjson", '{"address":"\\"a b\\""}\n{"address":"c"}\n'],
  ])("as %s, which goes in again", async (type, text) => {
    await put(["c", '"a b"']);
    const response = await api.request(list, {
      headers: { Authorization: `Bearer ${TOKEN}`, Accept: type },
    });
    expect(response.headers.get("Content-Type")).toContain(type);
    const shown = await response.text();
    expect(shown).toBe(text);
    expect((await put(shown, type)).body).toEqual({ added: 0, removed: 0, size: 2 });
  });
});

describe("one address", () => {
  test("is put, seen and taken off", async () => {
    expect((await api.ask("GET", `${list}/new`)).status).toBe(404);
    expect(await api.ask("PUT", `${list}/New@example.com`))
      .toMatchObject({ status: 201, body: { address: "new" } });
    expect((await api.ask("PUT", `${list}/new`)).status).toBe(200);
    expect(await api.ask("GET", `${list}/NEW`)).toMatchObject({ status: 200 });
    expect((await api.ask("DELETE", `${list}/new`)).status).toBe(204);
    expect((await api.ask("DELETE", `${list}/new`)).status).toBe(404);
    expect((await api.ask("PUT", `${list}/a%20b`)).status).toBe(422);
    const { body } = await api.ask<{ items: object[] }>("GET", "/v1/audit?limit=2");
    expect((await api.ask("PUT", `${list}/%zz`)).status).toBe(201);
    expect((await api.ask("DELETE", `${list}/%zz`)).status).toBe(204);
    expect(body.items).toMatchObject([
      { action: "recipient.remove", target: "domains/example.com/recipients/new" },
      { action: "recipient.add", target: "domains/example.com/recipients/New@example.com" },
    ]);
  });

  test("below a wildcard may be of one domain", async () => {
    const path = "/v1/domains/*.wild.test/recipients";
    expect((await api.ask("PUT", `${path}/a@b.wild.test`)).status).toBe(201);
    expect((await api.ask<{ items: string[] }>("GET", path)).body.items).toEqual(["a@b.wild.test"]);
  });
});

test("a list changes only at the version that is asked for", async () => {
  const { headers } = await api.ask("GET", list);
  const tag = headers.get("ETag")!;
  expect((await put(["x"], undefined, { "If-Match": '"0"' })).status).toBe(412);
  expect((await put(["x"], undefined, { "If-Match": tag })).status).toBe(200);
  expect((await put(["y"], undefined, { "If-Match": tag })).status).toBe(412);
  expect(await listed()).toEqual(["x"]);
});

test("a change is a version with its note, and on record with its numbers", async () => {
  const noted = { "Postern-Note": "Gr\u00fcnde" };
  await put(["start", "more"], undefined, noted);
  await put(["start", "more"], undefined, noted);
  await api.ask("PUT", `${list}/one`, { headers: noted });
  await api.ask("DELETE", `${list}/one`, { headers: noted });
  await put(["start"]);
  const versions = await api.ask<{ items: object[] }>("GET", "/v1/config/versions?limit=4");
  expect(versions.body.items).toMatchObject([
    { note: "replace recipients of example.com: 0 added, 1 removed" },
    { note: "Gr\u00fcnde" },
    { note: "Gr\u00fcnde" },
    { note: "Gr\u00fcnde" },
  ]);
  const { body } = await api.ask<{ items: object[] }>("GET", "/v1/audit?limit=4");
  const version = expect.any(Number);
  const note = "Gr\u00fcnde";
  expect(body.items).toMatchObject([
    { action: "recipients.replace", detail: { version, added: 0, removed: 1, size: 1 } },
    { action: "recipient.remove", detail: { version, note, added: 0, removed: 1, size: 2 } },
    { action: "recipient.add", detail: { version, note, added: 1, removed: 0, size: 3 } },
    { action: "recipients.replace", detail: { version, note, added: 1, removed: 0, size: 2 } },
  ]);
});
