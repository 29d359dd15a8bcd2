import { newQueueId, openQueue, openSpool, registerProcess } from "@postern/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;

beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/relays/internal", {
    body: { kind: "smtp", hosts: [{ host: "10.0.0.5" }], limits: { rate: { perMinute: 60 } } },
  });
  await accept("first.test", "default", 1);
  await accept("first.test", "default", 2);
  await accept("", "internal", 3);
});
afterAll(() => api.close());

interface Destination {
  readonly id: number;
  readonly relay: string;
  readonly nextHop: string;
  readonly depth: number;
  readonly inFlight: number;
  readonly oldest: string | null;
  readonly notBefore: string | null;
  readonly pausedAt: string | null;
  readonly limits: object | null;
}

interface Page {
  readonly items: readonly Destination[];
  readonly next: string | null;
}

async function accept(nextHop: string, relay: string, minute: number) {
  const receivedAt = new Date(Date.UTC(2026, 0, 31, 12, minute));
  const incoming = openSpool(api.database).receive(newQueueId(receivedAt));
  await incoming.add(new Uint8Array(10));
  await incoming.commit({
    receivedAt,
    reversePath: "sender@example.org",
    parameters: {},
    session: {},
    messageId: undefined,
    configurationVersion: 1,
    recipients: [{
      forwardPath: "a@first.test",
      parameters: {},
      destination: { relay, nextHop },
      decision: {},
    }],
  });
}

const list = async (query = "") => (await api.ask<Page>("GET", `/v1/destinations?${query}`)).body;
const act = (id: number | string, action: string) =>
  api.ask<Destination>("POST", `/v1/destinations/${id}/${action}`);

describe("destinations", () => {
  test("show what waits, since when, and their limits", async () => {
    expect((await list()).items).toMatchObject([
      {
        relay: "default",
        nextHop: "first.test",
        depth: 2,
        inFlight: 0,
        oldest: "2026-01-31T12:01:00.000Z",
        notBefore: null,
        pausedAt: null,
        limits: null,
      },
      {
        relay: "internal",
        nextHop: "",
        depth: 1,
        oldest: "2026-01-31T12:03:00.000Z",
        limits: { rate: { perMinute: 60 } },
      },
    ]);
  });

  test("show what workers have in hand", async () => {
    const worker = await registerProcess(api.database, { kind: "worker", host: "here", pid: 1 });
    const queue = openQueue(api.database);
    const claimed = await queue.claim({ workerId: worker, limit: 100 });
    expect((await list()).items).toMatchObject([{ depth: 2, inFlight: 2 }, { inFlight: 1 }]);
    await queue.release(worker, claimed);
    expect((await list()).items).toMatchObject([{ inFlight: 0 }, { inFlight: 0 }]);
  });

  test("come in pages, and by relay, next hop and state", async () => {
    const first = await list("limit=1");
    expect(first.items).toHaveLength(1);
    const second = await list(`limit=1&cursor=${first.next}`);
    expect(second).toMatchObject({ items: [{ relay: "internal" }], next: null });
    expect((await list("relay=internal")).items).toHaveLength(1);
    expect((await list("nextHop=first.test")).items).toHaveLength(1);
    expect((await list("state=waiting")).items).toHaveLength(2);
    expect((await list("state=paused")).items).toHaveLength(0);
    expect((await list("state=failing")).items).toHaveLength(0);
    expect((await api.ask("GET", "/v1/destinations?state=lost&cursor=x")).status).toBe(400);
  });

  test("are paused and resumed", async () => {
    const { id } = (await list()).items[0]!;
    expect((await act(id, "pause")).body).toMatchObject({ id, pausedAt: expect.any(String) });
    expect((await list("state=paused")).items).toMatchObject([{ id }]);
    expect((await act(id, "resume")).body).toMatchObject({ id, pausedAt: null });
    expect((await act(999_999, "pause")).status).toBe(404);
    const { body } = await api.ask<{ items: object[] }>("GET", "/v1/audit?limit=2");
    const target = (action: string) => `destinations/${id}/${action}`;
    expect(body.items).toMatchObject([
      { actor: "admin", action: "destination.resume", target: target("resume") },
      { actor: "admin", action: "destination.pause", target: target("pause") },
    ]);
  });

  test("are flushed: due now, and no longer waited for", async () => {
    const { id } = (await list()).items[0]!;
    await api.database.sql`
      update destinations set failures = 3, not_before = now() + interval '1 hour' where id = ${id}`;
    await api.database.sql`
      update deliveries set due_at = now() + interval '1 hour', attempts = 1
      where destination_id = ${id}`;
    const { status, body } = await act(id, "flush");
    expect(status).toBe(200);
    expect(Date.parse(body.notBefore!)).toBeLessThanOrEqual(Date.now() + 1000);
    const waiting = await api.database.sql`
      select 1 from deliveries where destination_id = ${id} and due_at > now()`;
    expect(waiting).toHaveLength(0);
  });

  test.each(["0", "999", "x", "-1", "99999999999999999"])("there is none of id %s", async (id) => {
    for (const action of ["pause", "resume", "flush"]) {
      expect((await act(id, action)).status).toBe(404);
    }
  });
});
