import { newQueueId, openSpool } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;
const message = newQueueId();

beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/domains/example.com", { body: { relay: "default" } });
  const incoming = openSpool(api.database).receive(message);
  await incoming.commit({
    receivedAt: new Date(),
    reversePath: "",
    parameters: {},
    session: {},
    messageId: undefined,
    configurationVersion: 1,
    recipients: [{
      forwardPath: "a@example.com",
      parameters: {},
      destination: { relay: "default", nextHop: "example.com" },
      decision: { relay: "default" },
    }],
  });
  await api.database.sql`
    alter table audit_log add constraint full_up check (action like 'config.%')`;
});
afterAll(() => api.close());

test.each([
  ["POST", `/v1/messages/${message}/hold`, `/v1/messages/${message}`],
  ["POST", "/v1/destinations/1/pause", "/v1/destinations"],
  ["PUT", "/v1/domains/example.com/recipients", "/v1/domains/example.com/recipients"],
  ["PUT", "/v1/domains/example.com/recipients/new", "/v1/domains/example.com/recipients"],
])("what cannot be put on record is not done: %s %s", async (method, path, shown) => {
  const before = (await api.ask("GET", shown)).body;
  const body = method === "PUT" ? ["a", "b"] : {};
  expect((await api.ask(method, path, { body })).status).toBe(503);
  expect((await api.ask("GET", shown)).body).toEqual(before);
});
