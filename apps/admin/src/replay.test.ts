import { newQueueId, openSpool } from "@postern/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;

beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/relays/internal", {
    body: { kind: "smtp", hosts: [{ host: "10.0.0.5" }] },
  });
  await api.ask("PUT", "/v1/domains/one.test", { body: { relay: "default" } });
  await api.ask("PUT", "/v1/domains/two.test", { body: { relay: "default" } });
  await accept(1, ["a@one.test", "b@two.test"], "Subject: Minutes\r\n\r\nbody\r\n");
  await accept(2, ["c@one.test"], "Subject: =?utf-8?q?The_lottery?=\r\n\r\nbody\r\n");
  await accept(3, ["alias@two.test"], "\r\nbody\r\n", "someone@far.test");
});
afterAll(() => api.close());

/** A message as the ingress stores it; `became` is the address that an alias made of it. */
async function accept(minute: number, recipients: string[], content: string, became?: string) {
  const receivedAt = new Date(Date.UTC(2026, 0, 31, 12, minute));
  const incoming = openSpool(api.database).receive(newQueueId(receivedAt));
  await incoming.add(new TextEncoder().encode(content));
  await incoming.commit({
    receivedAt,
    reversePath: "a@b.test",
    parameters: {},
    session: { client: { address: "203.0.113.9", port: 1 }, helo: "b.test" },
    messageId: undefined,
    configurationVersion: 1,
    recipients: recipients.map((recipient) => ({
      forwardPath: became ?? recipient,
      parameters: {},
      destination: { relay: "default", nextHop: "one.test" },
      decision: { recipient },
      treatment: { edits: [{ add: "Authentication-Results", value: "x.test; spf=fail" }] },
    })),
  });
}

interface Replay {
  readonly messages: number;
  readonly recipients: number;
  readonly differing: number;
  readonly differences: readonly { readonly recipient: string; readonly [more: string]: unknown }[];
}

const replay = async (body: object) => {
  const answer = await api.ask<Replay>("POST", "/v1/config/replay", { body });
  expect(answer.status).toBe(200);
  return answer.body;
};
const refused = (body: object) => api.ask("POST", "/v1/config/replay", { body });

describe("a replay", () => {
  test("tells who would go another way, newest first", async () => {
    const body = { relay: "internal" };
    const found = await replay({ changes: [{ kind: "domains", name: "one.test", body }] });
    expect(found).toMatchObject({ messages: 3, recipients: 4, differing: 2 });
    expect(found.differences).toMatchObject([
      {
        recipient: "c@one.test",
        receivedAt: "2026-01-31T12:02:00.000Z",
        before: { action: "deliver", copies: [{ relay: "default" }] },
        after: { action: "deliver", copies: [{ relay: "internal" }] },
      },
      { recipient: "a@one.test" },
    ]);
  });

  test("decides about what the client named, not what aliases made of it", async () => {
    const found = await replay({ changes: [{ kind: "domains", name: "two.test", body: null }] });
    expect(found.differences).toMatchObject([
      { recipient: "alias@two.test", after: { action: "reject", enhanced: "5.7.1" } },
      { recipient: "b@two.test" },
    ]);
  });

  test("reads the header and the results of authentication that were stored", async () => {
    const rule = (match: object) => ({
      changes: [{ kind: "rules", name: "new", body: { match, actions: [{ do: "hold" }] } }],
    });
    const header = await replay(
      rule({ header: { name: "Subject", value: { wildcard: "*lottery" } } }),
    );
    expect(header.differences.map(({ recipient }) => recipient)).toEqual(["c@one.test"]);
    const spf = await replay(rule({ authentication: { spf: ["fail"] } }));
    expect(spf.differing).toBe(4);
    expect((await replay(rule({ authentication: { spf: ["pass"] } }))).differing).toBe(0);
  });

  test("takes a whole document, so many messages, and tells so many differences", async () => {
    const found = await replay({ configuration: {}, messages: 2, differences: 1 });
    expect(found).toMatchObject({ messages: 2, recipients: 2, differing: 2 });
    expect(found.differences).toHaveLength(1);
  });

  test("asks for what it tells of, and is on record", async () => {
    const tokens: Record<string, string> = {};
    for (const scopes of [["config:read"], ["config:read", "queue:read"]]) {
      const body = { name: scopes.join("-").replaceAll(":", "."), scopes };
      const made = await api.ask<{ token: string }>("POST", "/v1/tokens", { body });
      tokens[scopes.length] = made.body.token;
    }
    const as = (scopes: 1 | 2, body: object) =>
      api.ask("POST", "/v1/config/replay", {
        body,
        headers: { Authorization: `Bearer ${tokens[scopes]}` },
      });
    const detail = (scope: string) => ({
      status: 403,
      body: { detail: expect.stringContaining(`the scope ${scope}`) },
    });
    const rule = (match: object, enabled = true) => ({
      changes: [{
        kind: "rules",
        name: "new",
        body: { enabled, match, actions: [{ do: "hold" }] },
      }],
    });
    const header = { header: { name: "Subject", value: { wildcard: "*lottery" } } };
    expect(await as(1, { configuration: {} })).toMatchObject(detail("queue:read"));
    expect((await as(2, { configuration: {} })).status).toBe(200);
    expect((await as(2, rule({ domain: "one.test" }))).status).toBe(200);
    expect((await as(2, rule(header, false))).status).toBe(200);
    for (const match of [header, { any: [{ not: { all: [header] } }] }]) {
      expect(await as(2, rule(match))).toMatchObject(detail("content:read"));
    }
    // So does what the rules in force do now.
    const url = "/v1/rules/lottery";
    await api.ask("PUT", url, { body: { match: header, actions: [{ do: "hold" }] } });
    expect(await as(2, { configuration: {} })).toMatchObject(detail("content:read"));
    await api.ask("DELETE", url);
    const { body } = await api.ask<{ items: object[] }>(
      "GET",
      "/v1/audit?action=config.replay&limit=1",
    );
    expect(body.items).toMatchObject([{
      actor: "config.read-queue.read",
      target: "config/replay",
      address: "192.0.2.1",
    }]);
  });

  test("changes nothing", async () => {
    const before = await api.ask("GET", "/v1/config/versions");
    await replay({ configuration: {} });
    expect((await api.ask("GET", "/v1/config/versions")).body).toEqual(before.body);
  });

  test.each([
    [{}, 422, ["/configuration"]],
    [{ configuration: {}, changes: [] }, 422, ["/changes", "/configuration"]],
    [{ configuration: {}, messages: 100_001 }, 422, ["/messages"]],
    [{ changes: [{ kind: "domains", name: "a b", body: {} }] }, 422, [
      "/changes/0/body/relay",
      "/changes/0/name",
    ]],
    [{ changes: [{ kind: "domains", name: "x.test", body: { relay: "none" } }] }, 422, [
      "/changes/0/body/relay",
    ]],
    [{ configuration: { domains: { "x.test": { relay: "none" } } } }, 422, [
      "/configuration/domains/x.test/relay",
    ]],
  ])("of %j is refused", async (body, status, pointers) => {
    const answer = await refused(body);
    expect(answer.status).toBe(status);
    expect(answer.body.errors?.map(({ pointer }) => pointer).toSorted()).toEqual(pointers);
  });
});
