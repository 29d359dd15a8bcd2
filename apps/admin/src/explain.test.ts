import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;

const put = async (path: string, body: unknown) => {
  const { status } = await api.ask("PUT", `/v1/${path}`, { body });
  expect(status).toBe(201);
};

beforeAll(async () => {
  api = await openTestApi();
  await put("relays/internal", {
    kind: "smtp",
    hosts: [{ host: "10.0.0.6", priority: 2 }, { host: "10.0.0.5", port: 26, priority: 1 }],
    limits: { concurrency: { maximum: 3 } },
  });
  await put("domains/example.com", {
    relay: "internal",
    aliases: { sales: ["one@example.com", "two@elsewhere.test"] },
  });
  await put("domains/listed.test", { relay: "internal", recipients: { verify: "list" } });
  await put("domains/called.test", { relay: "internal", recipients: { verify: "callout" } });
  await put("clients/lan", { networks: ["10.0.0.0/8"] });
  await put("rules/lottery", {
    match: {
      all: [{ domain: "example.com" }, {
        header: { name: "Subject", value: { wildcard: "*lottery*" } },
      }],
    },
    actions: [{ do: "hold", reason: "Looks like a lottery" }],
  });
  expect((await api.ask("PUT", "/v1/domains/listed.test/recipients", { body: ["known"] })).status)
    .toBe(200);
});
afterAll(() => api.close());

interface Explanation {
  readonly version: number;
  readonly recipients: readonly {
    readonly recipient: string;
    readonly action: string;
    readonly rule: string | null;
    readonly reasons: readonly { readonly kind: string; readonly [more: string]: unknown }[];
    readonly [more: string]: unknown;
  }[];
}

const least = { client: { address: "203.0.113.9" }, reversePath: "a@b.test" };
const explain = (body: object) =>
  api.ask<Explanation>("POST", "/v1/explain", { body: { ...least, ...body } });

describe("an explanation", () => {
  test("of the least that is asked tells the way of each recipient", async () => {
    const { status, body } = await explain({ recipients: ["u@example.com", "<u@elsewhere.test>"] });
    expect(status).toBe(200);
    expect(body.version).toBeGreaterThan(1);
    expect(body.recipients).toMatchObject([
      {
        recipient: "u@example.com",
        action: "deliver",
        copies: [{
          forwardPath: "u@example.com",
          relay: "internal",
          nextHop: "",
          kind: "smtp",
          limits: { concurrency: { maximum: 3 } },
        }],
      },
      { recipient: "u@elsewhere.test", action: "reject", code: 550, enhanced: "5.7.1" },
    ]);
    const reasons = body.recipients[0]!.reasons;
    expect(reasons).toContainEqual({ kind: "domain", name: "example.com", matched: true });
    expect(reasons).toContainEqual(expect.objectContaining({
      kind: "relay",
      hosts: ["10.0.0.5:26", "10.0.0.6:25"],
    }));
  });

  test("tells each rule, and on which condition it matched or not", async () => {
    const ruleOf = async (subject: string) => {
      const { body } = await explain({
        recipients: ["u@example.com"],
        header: [{ name: "subject", value: subject }],
      });
      const [one] = body.recipients;
      return { one: one!, rule: one!.reasons.find(({ kind }) => kind === "rule") };
    };
    const held = await ruleOf("Your LOTTERY prize");
    expect(held.rule).toMatchObject({ name: "lottery", matched: true });
    expect(held.one).toMatchObject({ copies: [{ hold: "Looks like a lottery" }] });
    const passed = await ruleOf("Minutes");
    expect(passed.rule).toMatchObject({
      name: "lottery",
      matched: false,
      conditions: expect.arrayContaining([
        expect.objectContaining({ matched: false, seen: "Minutes" }),
      ]),
    });
  });

  test("follows aliases, and lets clients relay", async () => {
    const { body } = await explain({
      client: { address: "10.1.2.3", helo: "host.lan", tls: true },
      recipients: ["sales@example.com", "x@far.test"],
    });
    expect(body.recipients).toMatchObject([
      { copies: [{ forwardPath: "one@example.com" }, { forwardPath: "two@elsewhere.test" }] },
      { copies: [{ relay: "default", nextHop: "far.test", kind: "mx" }] },
    ]);
  });

  test("looks recipients up in lists", async () => {
    const { body } = await explain({ recipients: ["Known@listed.test", "other@listed.test"] });
    expect(body.recipients).toMatchObject([
      { action: "deliver" },
      { action: "reject", enhanced: "5.1.1" },
    ]);
  });

  test("says that a callout is needed, and makes none", async () => {
    const { body } = await explain({ recipients: ["u@called.test"] });
    expect(body.recipients).toMatchObject([{
      action: "ask",
      question: { kind: "callout", domain: "called.test", address: "u@called.test" },
      ifKnown: { action: "deliver", copies: [{ relay: "internal" }] },
    }]);
  });

  test.each([
    "postmaster",
    "<@hop.test,@next.test:u@example.com>",
    '"a b"@example.com',
    "u@[192.0.2.1]",
    "ü@bücher.example",
  ])("takes each form of a path: %s", async (path) => {
    const { status, body } = await explain({ recipients: [path], reversePath: "<>" });
    expect([status, body.recipients.length]).toEqual([200, 1]);
  });

  const recipient = (index: number) => `/recipients/${index}`;
  test.each([
    [{}, ["/recipients"]],
    [{ recipients: [], client: { address: "nowhere" } }, ["/client/address", "/recipients"]],
    [{ recipients: ["a@b.test"], colour: "red" }, ["/colour"]],
    [{ recipients: ["a\u0000@b.test"] }, ["/recipients/0"]],
    [{ recipients: ["\ud800@listed.test"] }, ["/recipients/0"]],
    [{ recipients: ["a@b.test", "bad", "<x", "", "a@b..test"] }, [1, 2, 3, 4].map(recipient)],
    [{ recipients: ["a@b.test"], reversePath: "nope nope" }, ["/reversePath"]],
    [{ recipients: ["a@b.test"], reversePath: "postmaster" }, ["/reversePath"]],
    [{ recipients: ["a@b.test"], user: "nobody" }, ["/user"]],
    [{ recipients: ["a@b.test"], time: "noon" }, ["/time"]],
    [{ recipients: ["a@b.test"], authentication: { spf: "maybe" } }, ["/authentication/spf"]],
  ])("of %j is refused", async (body, pointers) => {
    const answer = await api.ask("POST", "/v1/explain", { body: { ...least, ...body } });
    expect(answer.status).toBe(422);
    expect(answer.body.errors?.map(({ pointer }) => pointer).toSorted()).toEqual(pointers);
  });

  test("of 1,000 recipients in lists takes no thousand queries' time", async () => {
    const recipients = Array.from({ length: 1000 }, (_, n) => `u${n}@listed.test`);
    const { body } = await explain({ recipients });
    expect(body.recipients.every(({ action }) => action === "reject")).toBe(true);
  });
});
