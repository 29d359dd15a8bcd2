import {
  type AcceptedRecipient,
  newQueueId,
  openQueue,
  openSpool,
  registerProcess,
  removeProcess,
} from "@postern/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;
let worker: number;

beforeAll(async () => {
  api = await openTestApi();
  worker = await registerProcess(api.database, { kind: "worker", host: "here", pid: 1 });
  await api.ask("PUT", "/v1/relays/internal", {
    body: { kind: "smtp", hosts: [{ host: "10.0.0.5" }] },
  });
  await api.ask("PUT", "/v1/relays/other", { body: { kind: "discard" } });
  await api.ask("PUT", "/v1/relays/refusing", { body: { kind: "reject" } });
  await api.ask("PUT", "/v1/domains/ours.test", { body: { relay: "internal" } });
});
afterAll(() => api.close());

interface Shown {
  readonly recipients: readonly {
    readonly forwardPath: string;
    readonly state: string;
    readonly destination: { readonly relay: string; readonly nextHop: string };
  }[];
  readonly events: readonly { readonly kind: string; readonly [detail: string]: unknown }[];
}

let domains = 0;

/** A message to these local parts at a domain of its own. */
async function accept(locals: string[], changes: Partial<AcceptedRecipient> = {}) {
  const id = newQueueId();
  const domain = `d${domains += 1}.test`;
  const incoming = openSpool(api.database).receive(id);
  await incoming.add(new Uint8Array(10));
  await incoming.commit({
    receivedAt: new Date(),
    reversePath: "sender@example.org",
    parameters: { priority: 3 },
    session: { helo: "client.test" },
    messageId: undefined,
    configurationVersion: 1,
    recipients: locals.map((local) => ({
      forwardPath: `${local}@${domain}`,
      parameters: {},
      destination: { relay: "default", nextHop: domain },
      decision: { relay: "default" },
      ...changes,
    })),
  });
  return { id, domain };
}

const act = (id: string, action: string, body?: unknown) =>
  api.ask<Shown>("POST", `/v1/messages/${id}/${action}`, body === undefined ? {} : { body });
const refused = (id: string, action: string, body?: unknown) =>
  api.ask("POST", `/v1/messages/${id}/${action}`, body === undefined ? {} : { body });
const states = ({ recipients }: Shown) =>
  recipients.map(({ forwardPath, state }) => `${forwardPath.split("@")[0]} ${state}`);
const claim = async (id: string) => {
  const queue = openQueue(api.database);
  const claimed = await queue.claim({ workerId: worker, limit: 1000 });
  const others = claimed.filter(({ messageId }) => messageId !== id);
  if (others.length > 0) await queue.release(worker, others);
  return { queue, mine: claimed.filter(({ messageId }) => messageId === id) };
};
async function defer(id: string) {
  const { queue, mine } = await claim(id);
  expect(mine).toHaveLength(1);
  const [{ messageId, destinationId, recipients }] = mine as [typeof mine[0] & object];
  await queue.record(worker, [{
    messageId,
    destinationId,
    at: new Date(),
    recipients: recipients.map(({ ordinal }) => ({ ordinal, state: "deferred", reply: "450 no" })),
    dueAt: new Date(Date.now() + 3_600_000),
    attempt: {},
  }]);
}
const deliveries = (id: string) =>
  api.database.sql`
    select due_at <= now() as due, priority, attempts from deliveries where message_id = ${id}`;

describe("a message", () => {
  test("is held, then released, due now, with its priority", async () => {
    const { id } = await accept(["a", "b"]);
    const held = await act(id, "hold");
    expect(held.status).toBe(200);
    expect(states(held.body)).toEqual(["a held", "b held"]);
    expect(held.body.events.filter(({ kind }) => kind === "held")).toMatchObject([
      { recipient: expect.stringMatching(/^a@/), by: expect.any(String) },
      { recipient: expect.stringMatching(/^b@/) },
    ]);
    expect(await deliveries(id)).toHaveLength(0);
    expect((await claim(id)).mine).toHaveLength(0);

    const released = await act(id, "release");
    expect(states(released.body)).toEqual(["a queued", "b queued"]);
    const { body } = await api.ask<{ items: object[] }>("GET", "/v1/audit?action=message.release");
    expect(body.items).toMatchObject([{ actor: "admin", target: `messages/${id}/release` }]);
    expect(await deliveries(id)).toEqual([{ due: true, priority: 3, attempts: 0 }]);
    const { queue, mine } = await claim(id);
    expect(mine.map(({ recipients }) => recipients.length)).toEqual([2]);
    await queue.release(worker, mine);
  });

  test("is held by a request with an empty body, whatever its type", async () => {
    for (const type of ["application/json", "application/octet-stream"]) {
      const { id } = await accept(["a"]);
      const headers = { "Content-Type": type };
      const held = await api.ask<Shown>("POST", `/v1/messages/${id}/hold`, { body: "", headers });
      expect(states(held.body)).toEqual(["a held"]);
      await act(id, "cancel");
    }
  });

  test("is held for some of its recipients; the others are delivered", async () => {
    const { id, domain } = await accept(["a", "b"]);
    const { body } = await act(id, "hold", { recipients: [`A@${domain}`] });
    expect(states(body)).toEqual(["a held", "b queued"]);
    const { queue, mine } = await claim(id);
    expect(mine[0]?.recipients.map(({ forwardPath }) => forwardPath)).toEqual([`b@${domain}`]);
    await queue.release(worker, mine);
    expect(states((await act(id, "release", { recipients: [`a@${domain}`] })).body))
      .toEqual(["a queued", "b queued"]);
    expect(await deliveries(id)).toHaveLength(1);
  });

  test("that is deferred is tried now", async () => {
    const { id } = await accept(["a"]);
    await defer(id);
    expect(await deliveries(id)).toMatchObject([{ due: false, attempts: 1 }]);
    const { body } = await act(id, "retry");
    expect(states(body)).toEqual(["a deferred"]);
    expect(await deliveries(id)).toMatchObject([{ due: true, attempts: 1 }]);
    expect(body.events.at(-1)?.kind).toBe("retried");
  });

  test("is cancelled without a word to its sender", async () => {
    const { id } = await accept(["a"]);
    const before = await api.database.sql`select count(*) as n from messages`;
    const { body } = await act(id, "cancel");
    expect(states(body)).toEqual(["a deleted"]);
    expect(await deliveries(id)).toHaveLength(0);
    expect(await api.database.sql`select count(*) as n from messages`).toEqual(before);
    expect((await refused(id, "cancel")).status).toBe(409);
  });

  test("goes by another relay", async () => {
    const { id, domain } = await accept(["a", "b"]);
    await defer(id);
    const { body } = await act(id, "reroute", { relay: "internal" });
    expect(body.recipients.map(({ state, destination }) => [state, destination])).toEqual(
      Array(2).fill(["queued", { relay: "internal", nextHop: "" }]),
    );
    expect(await deliveries(id)).toMatchObject([{ due: true, attempts: 0 }]);
    expect(body.events.at(-1)).toMatchObject({
      kind: "rerouted",
      destination: { relay: "internal", nextHop: "" },
    });
    const back = await act(id, "reroute", { relay: "default" });
    expect(back.body.recipients[0]?.destination).toEqual({ relay: "default", nextHop: domain });
  });

  test("keeps what was decided first, whatever ways it goes later", async () => {
    const decision = { relay: "default", reasons: [{ kind: "defaultRelay" }], version: 1 };
    const { id, domain } = await accept(["a"], { decision });
    await act(id, "reroute", { relay: "internal" });
    await act(id, "reroute", { relay: "other" });
    const { body } = await act(id, "hold");
    const told = body.events.filter(({ kind }) => kind === "routed" || kind === "rerouted")
      .map(({ kind, destination, decision }) => ({ kind, destination, decision }));
    expect(told).toEqual([
      { kind: "routed", destination: { relay: "default", nextHop: domain }, decision },
      ...["internal", "other"].map((relay) => ({
        kind: "rerouted",
        destination: { relay, nextHop: "" },
        decision: { relay, reasons: [], version: expect.any(Number) },
      })),
    ]);
  });

  test("goes the way that the configuration now says", async () => {
    const { id } = await accept(["a"], { forwardPath: "a@ours.test" });
    const { body } = await act(id, "reroute", {});
    expect(body.recipients[0]).toMatchObject({
      state: "queued",
      destination: { relay: "internal", nextHop: "" },
    });
  });

  test("keeps the address that its sender named", async () => {
    const { id } = await accept(["a"], { decision: { relay: "default", recipient: "all@a.test" } });
    await act(id, "reroute", { relay: "internal" });
    const [row] = await api.database
      .sql`select decision from recipients where message_id = ${id}`;
    expect(row!.decision).toMatchObject({ relay: "default", recipient: "all@a.test" });
  });

  test("that is held stays held on its new way", async () => {
    const { id } = await accept(["a"], { hold: "looks odd" });
    const { body } = await act(id, "reroute", { relay: "internal" });
    expect(states(body)).toEqual(["a held"]);
    expect(await deliveries(id)).toHaveLength(0);
    await act(id, "release");
    expect(await deliveries(id)).toMatchObject([{ due: true }]);
  });
});

describe("nothing is changed", () => {
  test("while a worker has it in hand", async () => {
    const { id } = await accept(["a"]);
    const { queue, mine } = await claim(id);
    const answer = await refused(id, "hold");
    expect(answer.status).toBe(409);
    expect(answer.headers.get("Retry-After")).toBe("5");
    expect(answer.body.errors?.[0]?.detail).toMatch(/^a@.* is being delivered right now/);
    await queue.release(worker, mine);
    expect((await act(id, "hold")).status).toBe(200);
  });

  test("when a recipient that is named is in another state, or none of the message's", async () => {
    const { id, domain } = await accept(["a", "b"]);
    await act(id, "cancel", { recipients: [`a@${domain}`] });
    const { status, body } = await refused(id, "hold", {
      recipients: [`a@${domain}`, `b@${domain}`, "c@other.test"],
    });
    expect(status).toBe(409);
    expect(body.errors?.map(({ detail }) => detail)).toEqual([
      `a@${domain} is deleted`,
      "the message has no recipient c@other.test",
    ]);
    expect(states((await api.ask<Shown>("GET", `/v1/messages/${id}`)).body))
      .toEqual(["a deleted", "b queued"]);
  });

  test.each([
    ["reroute", { relay: "nowhere" }, 422],
    ["reroute", { relay: "refusing" }, 422],
    ["hold", { recipient: ["a"] }, 422],
    ["hold", { recipients: [] }, 422],
    ["hold", "{", 400],
    ["retry", {}, 409],
    ["release", {}, 409],
  ])("by %s with %j: %i", async (action, body, status) => {
    const { id } = await accept(["a"]);
    expect((await refused(id, action, body)).status).toBe(status);
    expect(states((await api.ask<Shown>("GET", `/v1/messages/${id}`)).body)).toEqual(["a queued"]);
  });

  test("of a message that there is not", async () => {
    for (const action of ["hold", "release", "retry", "cancel", "reroute"]) {
      expect((await refused(newQueueId(), action)).status).toBe(404);
      expect((await refused("nonsense", action)).status).toBe(404);
    }
  });
});

test("an action and a claim at once: one of them has the message", async () => {
  for (let round = 0; round < 20; round += 1) {
    const { id } = await accept(["a"]);
    const [{ queue, mine }, answer] = await Promise.all([claim(id), act(id, "hold")]);
    expect([mine.length, answer.status]).toEqual(answer.status === 200 ? [0, 200] : [1, 409]);
    await queue.release(worker, mine);
  }
});

test("the worker of the tests goes", async () => {
  await removeProcess(api.database, worker);
});
