/** Text that Postgres cannot keep is refused before it is asked to. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;

beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/domains/ours.test", { body: { relay: "default" } });
});
afterAll(async () => {
  await api.close();
  expect(api.failures).toEqual([]);
});

const rule = (match: object, action: object = { do: "stop" }) => ({ match, actions: [action] });
const credentials = (username: string) => ({
  kind: "smtp",
  hosts: [{ host: "h.test" }],
  credentials: { username, password: "p" },
});

test.each(["a\0b", "a\ud800b"])("%j", async (text) => {
  const refused: [string, unknown, string][] = [
    ["rules/r", rule({ header: { name: "Subject", value: text } }), "/match/header/value"],
    ["rules/r", rule({ user: { regex: text } }), "/match/user/regex"],
    ["rules/r", rule({ all: [] }, { do: "hold", reason: text }), "/actions/0/reason"],
    ["rules/r", rule({ all: [] }, { do: "addHeader", name: "X", value: text }), "/actions/0/value"],
    ["rules/r", rule({ all: [] }, { do: "reject", text }), "/actions/0/text"],
    ["relays/r", { kind: "http", url: `http://h.test/${text}` }, "/url"],
    ["relays/r", credentials(text), "/credentials/username"],
    ["domains/d.test", { relay: "default", aliases: { [text]: ["a@b.test"] } }, `/aliases/${text}`],
    ["domains/d.test", { relay: "default", aliases: { a: [`${text}@b.test`] } }, "/aliases/a/0"],
    ["domains/d.test", { relay: "default", catchAll: `${text}@b.test` }, "/catchAll"],
    ["users/u", { senders: `${text}@b.test` }, "/senders"],
    ["domains/ours.test/recipients", [text], "/0"],
  ];
  for (const [path, body, pointer] of refused) {
    const { status, body: problem } = await api.ask("PUT", `/v1/${path}`, { body });
    expect([path, status, problem.errors?.map((error) => error.pointer)])
      .toEqual([path, 422, [pointer]]);
  }
});

test.each([
  ["text/csv", "a\0b"],
  ["application/x-ndjson", '"a\\u0000b"'],
  ["application/x-ndjson", '"a\\ud800b"'],
])("a list in %s", async (type, body) => {
  const path = "/v1/domains/ours.test/recipients";
  const put = await api.ask("PUT", path, { body, headers: { "Content-Type": type } });
  expect(put).toMatchObject({ status: 422, body: { errors: [{ line: 1 }] } });
});

test.each([
  ["PUT", "domains/ours.test/recipients/%00", 422],
  ["GET", "domains/ours.test/recipients/%00", 404],
  ["DELETE", "domains/ours.test/recipients/%00", 404],
  ["DELETE", "tokens/%00", 404],
  ["GET", "messages?sender=%00", 400],
  ["GET", "audit?target=%00", 400],
])("%s /v1/%s", async (method, path, status) => {
  expect((await api.ask(method, `/v1/${path}`)).status).toBe(status);
});
