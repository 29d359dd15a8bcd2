import { newQueueId, openSpool, PIECE_BYTES } from "@postern/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "./testing/api.ts";

let api: TestApi;
const ids: string[] = [];

beforeAll(async () => {
  api = await openTestApi();
  for (const [index, [sender, recipient]] of senders.entries()) {
    ids.push(await accept(sender, recipient, index, new Uint8Array(100 + index).fill(0x61)));
  }
});
afterAll(() => api.close());

const senders: [string, string][] = [
  ["one@sender.test", "a@example.com"],
  ["two@sender.test", "b@example.com"],
  ["", "a@example.com"],
];

async function accept(sender: string, recipient: string, minute: number, content: Uint8Array) {
  const id = newQueueId(new Date(Date.UTC(2026, 0, 31, 12, minute)));
  const incoming = openSpool(api.database).receive(id);
  await incoming.add(content);
  await incoming.commit({
    receivedAt: new Date(Date.UTC(2026, 0, 31, 12, minute)),
    reversePath: sender,
    parameters: {},
    session: { helo: "client.test" },
    messageId: `${minute}@sender.test`,
    configurationVersion: 1,
    recipients: [{
      forwardPath: recipient,
      parameters: {},
      destination: { relay: "default", nextHop: "example.com" },
      decision: { relay: "default" },
    }],
  });
  return id;
}

interface Page {
  readonly items: readonly { id: string; reversePath: string }[];
  readonly next: string | null;
}

describe("finding", () => {
  test.each([
    ["", [2, 1, 0]],
    ["sender=ONE@sender.test", [0]],
    ["sender=%3Ctwo@sender.test%3E", [1]],
    ["sender=", [2]],
    ["sender=%3C%3E", [2]],
    ["recipient=a@example.com", [2, 0]],
    ["recipient=a@example.com&sender=one@sender.test", [0]],
    ["messageId=%3C1@sender.test%3E", [1]],
    ["messageId=1@sender.test", [1]],
    ["state=queued", [2, 1, 0]],
    ["state=bounced", []],
    ["since=2026-01-31T12:01:00Z", [2, 1]],
    ["until=2026-01-31T13:01:00%2B01:00", [0]],
    ["limit=2", [2, 1]],
  ])("?%s", async (query, found) => {
    const { status, body } = await api.ask<Page>("GET", `/v1/messages?${query}`);
    expect(status).toBe(200);
    expect(body.items.map(({ id }) => ids.indexOf(id))).toEqual(found);
  });

  test("goes on where the page before ended", async () => {
    const first = (await api.ask<Page>("GET", "/v1/messages?limit=2")).body;
    const second = await api.ask<Page>("GET", `/v1/messages?limit=2&cursor=${first.next}`);
    expect(second.body).toMatchObject({ items: [{ id: ids[0] }], next: null });
  });

  test.each([
    ["since=yesterday", ["since"]],
    ["since=2026-01-31", ["since"]],
    ["since=0000-01-01T00:00:00Z", ["since"]],
    ["until=9999-12-31T23:59:59-14:00", ["until"]],
    ["state=lost&limit=x&cursor=x", ["state", "limit", "cursor"]],
    ["sender=a%00b", ["sender"]],
    ["messageId=%00&recipient=%00", ["recipient", "messageId"]],
    ["sendr=a", ["sendr"]],
    ["sender=a&sender=b", ["sender"]],
  ])("?%s is refused, naming the parameters", async (query, parameters) => {
    const { status, body } = await api.ask("GET", `/v1/messages?${query}`);
    expect(status).toBe(400);
    expect(body.errors?.map(({ parameter }) => parameter)).toEqual(parameters);
  });
});

test("a message is shown with its way", async () => {
  const { status, body } = await api.ask<Record<string, unknown>>("GET", `/v1/messages/${ids[0]}`);
  expect(status).toBe(200);
  expect(body).toMatchObject({
    id: ids[0],
    receivedAt: "2026-01-31T12:00:00.000Z",
    reversePath: "one@sender.test",
    size: 100,
    messageId: "0@sender.test",
    recipients: [{
      forwardPath: "a@example.com",
      state: "queued",
      destination: { relay: "default", nextHop: "example.com" },
      lastReply: null,
    }],
    session: { helo: "client.test" },
    configurationVersion: 1,
    events: [{ kind: "received" }, { kind: "routed", recipient: "a@example.com" }],
  });
});

test("content comes back as it came in, small or in pieces", async () => {
  const content = new Uint8Array(2 * PIECE_BYTES + 7).map((_, index) => index % 251);
  const large = await accept("large@sender.test", "c@example.com", 9, content);
  const response = await api.request(`/v1/messages/${large}/raw`, {
    headers: { Authorization: `Bearer ${TOKEN}` },
  });
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    "content-type": "message/rfc822",
    "content-disposition": `attachment; filename="${large}.eml"`,
    "x-content-type-options": "nosniff",
  });
  expect(new Uint8Array(await response.arrayBuffer())).toEqual(content);
});

test("content that was let go is said to be gone; an empty one is there", async () => {
  const id = await accept("gone@sender.test", "d@example.com", 10, new Uint8Array(5));
  const empty = await accept("empty@sender.test", "d@example.com", 11, new Uint8Array());
  await api.database.sql`delete from contents where message_id = ${id}`;
  expect(await api.ask("GET", `/v1/messages/${id}/raw`)).toMatchObject({
    status: 410,
    body: { title: "Gone", detail: expect.stringContaining("no longer kept") },
  });
  expect((await api.ask("GET", `/v1/messages/${id}`)).body).toMatchObject({ contentKept: false });
  expect((await api.ask("GET", `/v1/messages/${empty}/raw`)).status).toBe(200);
  expect((await api.ask("GET", `/v1/messages/${empty}`)).body).toMatchObject({ contentKept: true });
});

test.each(["nonsense", "01a20b7a-d747-7581-b274-5f6e8bfb8d78", "%00"])(
  "there is no message %s",
  async (id) => {
    expect((await api.ask("GET", `/v1/messages/${id}`)).status).toBe(404);
    expect((await api.ask("GET", `/v1/messages/${id}/raw`)).status).toBe(404);
  },
);
