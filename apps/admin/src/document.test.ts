/** The configuration as one document: out, in, compared, refused; and its versions. */
import process from "node:process";
import { parse as parseYaml } from "yaml";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { openTestApi, type TestApi, TOKEN } from "./testing/api.ts";

let api: TestApi;
beforeEach(async () => {
  await api?.close();
  api = await openTestApi();
});
afterAll(() => api.close());

interface Replaced {
  version: number;
  dryRun: boolean;
  added: { kind: string; name: string }[];
  changed: { kind: string; name: string; changes: object[] }[];
  removed: { kind: string; name: string }[];
}
type Document = Record<string, Record<string, unknown>>;
const put = (body: unknown, query = "", headers: Record<string, string> = {}) =>
  api.ask<Replaced>("PUT", `/v1/config${query}`, { body, headers });
const get = async () => (await api.ask<Document>("GET", "/v1/config")).body;
const problems = async (body: unknown) => {
  const answer = await api.ask("PUT", "/v1/config", { body });
  expect(answer.status).toBe(422);
  return answer.body.errors!.map(({ pointer, detail }) => `${pointer}: ${detail}`);
};

const small = {
  relays: { internal: { kind: "smtp", hosts: [{ host: "10.0.0.5" }] } },
  domains: { "example.com": { relay: "internal" }, "*.example.com": { relay: "internal" } },
  clients: { lan: { networks: ["10.0.0.0/8"] } },
  users: { alice: { password: "correct horse" } },
  rules: { tag: { actions: [{ do: "tag", tag: "x" }] } },
  settings: { postmaster: "postmaster@example.com" },
};

test("what comes out goes in again and changes nothing", async () => {
  const first = await put(small, "", { "Postern-Note": "from git: jürgen" });
  expect(first).toMatchObject({ status: 200, body: { version: 2, dryRun: false } });
  expect(first.headers.get("ETag")).toBe('"2"');
  expect(first.body.added).toHaveLength(6);

  const document = await get();
  expect(Object.keys(document)).toEqual(
    ["settings", "relays", "domains", "clients", "users", "rules"],
  );
  expect(Object.keys(document["relays"]!)).toEqual(["default", "internal"]);
  expect(await put(document)).toMatchObject({
    status: 200,
    body: { version: 2, added: [], changed: [], removed: [] },
  });
  // With the password as it was first given, too.
  expect((await put(small)).body).toMatchObject({ version: 2 });
});

test("in YAML", async () => {
  const text = "relays:\n  r: {kind: capture}\ndomains:\n  example.org: {relay: r}\n";
  const given = await api.ask<Replaced>("PUT", "/v1/config", {
    body: text,
    headers: { "Content-Type": "application/yaml" },
  });
  expect(given).toMatchObject({ status: 200, body: { version: 2 } });
  const shown = await api.request("/v1/config", {
    headers: { Authorization: `Bearer ${TOKEN}`, Accept: "application/yaml" },
  });
  expect(shown.headers.get("Content-Type")).toBe("application/yaml; charset=utf-8");
  expect(parseYaml(await shown.text())).toEqual(await get());

  const wrong = await api.ask("PUT", "/v1/config", {
    body: "relays: [\n",
    headers: { "Content-Type": "application/yaml" },
  });
  expect(wrong.status).toBe(400);
  expect(wrong.body.detail).toContain("line 2");
});

test("what YAML only warns of is told to who asked, not to standard error", async () => {
  const warned: unknown[] = [];
  const listener = (warning: unknown) => warned.push(warning);
  process.on("warning", listener);
  const headers = { "Content-Type": "application/yaml" };
  const tagged = await api.ask("PUT", "/v1/config", { body: "users: !secret {}\n", headers });
  expect(tagged).toMatchObject({
    status: 400,
    body: { detail: expect.stringContaining("Unresolved tag: !secret at line 1") },
  });
  const keyed = await api.ask("PUT", "/v1/config", { body: "? [secret]\n: 1\n", headers });
  expect(keyed.status).toBe(422);
  process.off("warning", listener);
  expect(warned).toEqual([]);
});

test.each([
  [
    "application/yaml",
    "relays: {}\n---\nrelays: {}\n",
    400,
    "The body holds several YAML documents: expected one",
  ],
  ["application/yaml", "", 400, "The body is an empty document"],
  ["application/yaml", "# nothing yet\n", 400, "The body is an empty document"],
  ["application/yaml", "null\n", 400, "The body is an empty document"],
  ["application/json", "null", 422, "The configuration is not valid"],
])("what says nothing does not delete everything: %s %j", async (type, body, status, detail) => {
  const headers = { "Content-Type": type };
  for (const query of ["?dryRun=true", ""]) {
    expect(await api.ask("PUT", `/v1/config${query}`, { body, headers }))
      .toMatchObject({ status, body: { detail } });
  }
});

test("a dry run tells what would change, and changes nothing", async () => {
  await put(small);
  const changed = structuredClone(small) as unknown as Document;
  changed["domains"] = { "example.com": { relay: "default" }, "new.test": { relay: "internal" } };
  const dry = await put(changed, "?dryRun=true");
  expect(dry.body).toMatchObject({
    version: 2,
    dryRun: true,
    added: [{ kind: "domains", name: "new.test", definition: { relay: "internal" } }],
    changed: [{
      kind: "domains",
      name: "example.com",
      changes: [{ pointer: "/relay", from: "internal", to: "default" }],
    }],
    removed: [{ kind: "domains", name: "*.example.com" }],
  });
  expect((await get())["domains"]).not.toHaveProperty(["new.test"]);
  expect((await put(changed)).body).toEqual({ ...dry.body, version: 3, dryRun: false });
  expect((await api.ask("PUT", "/v1/config?dryRun=perhaps", { body: {} })).status).toBe(400);
});

test("what the document does not have is gone; what is built in is as at first", async () => {
  const first = await get();
  await put({ ...small, relays: { ...small.relays, default: { kind: "discard" } } });
  expect((await get())["relays"]!["default"]).toEqual({ kind: "discard" });
  const emptied = await put({});
  expect(emptied.body.changed.map(({ name }) => name).toSorted()).toEqual(["default", "gateway"]);
  expect(await get()).toEqual(first);
});

test("one who has not seen the last version is refused", async () => {
  const tag = (await api.ask("GET", "/v1/config")).headers.get("ETag")!;
  const headers = { "If-Match": tag };
  const both = await Promise.all([
    put(small, "", headers),
    put({ relays: { other: { kind: "discard" } } }, "", headers),
  ]);
  expect(both.map(({ status }) => status).toSorted()).toEqual([200, 412]);
  expect((await put({}, "", headers)).status).toBe(412);
  expect((await api.ask("GET", "/v1/config", { headers: { "If-None-Match": '"2"' } })).status)
    .toBe(304);
});

describe("every failing field is named", () => {
  test("by its pointer into the document", async () => {
    expect(
      (await problems({
        relays: { "Bad Name": { kind: "discard" }, r: { kind: "smtp", hosts: [{ host: "a b" }] } },
        domains: { "a/b": { relay: "r" }, "ok.test": { relay: 7, odd: 1 } },
        clients: [],
        pigeons: {},
      })).map((problem) => problem.slice(0, problem.indexOf(":"))).toSorted(),
    ).toEqual([
      "/clients",
      "/domains/a~1b",
      "/domains/ok.test/odd",
      "/domains/ok.test/relay",
      "/pigeons",
      "/relays/Bad Name",
      "/relays/r/hosts/0/host",
    ]);
  });

  test("where it points at nothing", async () => {
    await put(small);
    expect(await problems({ ...small, relays: {} })).toEqual([
      "/domains/example.com/relay: there is no relay internal",
      "/domains/*.example.com/relay: there is no relay internal",
    ]);
  });

  test("where it makes no sense as a whole", async () => {
    expect(
      await problems({
        relays: {
          a: { kind: "split", relays: [{ relay: "b", percent: 50 }, { relay: "c", percent: 50 }] },
          b: { kind: "split", relays: [{ relay: "c", percent: 50 }, { relay: "c", percent: 50 }] },
          c: { kind: "discard" },
        },
        rules: { r: { match: { helo: { regex: "(" } }, actions: [{ do: "accept" }] } },
      }),
    ).toEqual([
      expect.stringContaining("/rules/r/match/helo"),
      expect.stringContaining("/relays/a/relays/0/relay: b is a split itself"),
    ]);
  });

  test("where a name comes twice, or a secret is unknown", async () => {
    expect(
      await problems({
        domains: { "Example.COM": { relay: "default" }, "example.com": { relay: "default" } },
      }),
    ).toEqual(["/domains/example.com: example.com is there already"]);
    expect(await problems({ users: { u: { password: { sealed: "x" } } } })).toEqual([
      "/users/u/password: no password in force has this fingerprint: give the text",
    ]);
  });
});

describe("versions", () => {
  type Version = { version: number; author: string; note: string; createdAt: string };
  const list = async (query = "") =>
    (await api.ask<{ items: Version[]; next: string | null }>(
      "GET",
      `/v1/config/versions${query}`,
    )).body;

  test("tell who, when and why, newest first", async () => {
    await put(small, "", { "Postern-Note": "from git: jürgen" });
    await api.ask("DELETE", "/v1/rules/tag");
    const { items } = await list();
    expect(items.map(({ version, author, note }) => [version, author, note])).toEqual([
      [3, "admin", "delete rule tag"],
      [2, "admin", "from git: jürgen"],
      [1, "postern", "the configuration of a new gateway"],
    ]);
    expect(Date.parse(items[0]!.createdAt)).toBeGreaterThan(Date.now() - 60_000);
    const first = await list("?limit=2");
    expect(first.next).toBe("2");
    expect((await list("?limit=2&cursor=2")).items.map(({ version }) => version)).toEqual([1]);
    expect((await api.ask<Version>("GET", "/v1/config/versions/2")).body).toEqual(items[1]);
    for (const version of ["4", "0", "x"]) {
      expect((await api.ask("GET", `/v1/config/versions/${version}`)).status).toBe(404);
    }
  });

  test("are compared, shown and restored", async () => {
    await put(small);
    const before = await get();
    await api.ask("PUT", "/v1/domains/example.com/recipients", { body: ["info", "sales"] });
    await api.ask("PUT", "/v1/clients/lan", { body: { networks: ["10.0.0.0/8", "::1"] } });
    await api.ask("DELETE", "/v1/domains/example.com");
    const diff = await api.ask("GET", "/v1/config/versions/5/diff?from=2");
    expect(diff.body).toEqual({
      from: 2,
      to: 5,
      added: [],
      changed: [{
        kind: "clients",
        name: "lan",
        changes: [{ pointer: "/networks/1", to: "::1/128" }],
      }],
      removed: [{ kind: "domains", name: "example.com", definition: expect.any(Object) }],
      recipientLists: [],
    });
    expect((await api.ask("GET", "/v1/config?version=2")).body).toEqual(before);
    expect((await api.ask("GET", "/v1/config?version=9")).status).toBe(404);

    const restored = await api.ask<Version>("POST", "/v1/config/versions/3/restore");
    expect(restored).toMatchObject({
      status: 200,
      body: { version: 6, note: "restore version 3" },
    });
    expect(await get()).toEqual(before);
    expect((await api.ask("GET", "/v1/domains/example.com/recipients")).body)
      .toMatchObject({ items: ["info", "sales"] });
    expect((await api.ask("POST", "/v1/config/versions/99/restore")).status).toBe(404);
    const headers = { "If-Match": '"5"' };
    expect((await api.ask("POST", "/v1/config/versions/3/restore", { headers })).status).toBe(412);
  });
});

test("of a name that cannot be it is told what names can be", async () => {
  const { status, body } = await api.ask("PUT", "/v1/config", {
    body: {
      relays: { Big: { kind: "discard" } },
      domains: { "a b": { relay: "default" } },
      users: { "": {} },
    },
  });
  expect(status).toBe(422);
  expect(body.errors).toEqual([
    { pointer: "/relays/Big", detail: expect.stringContaining("expected 1 to 63 of a-z") },
    { pointer: "/domains/a b", detail: expect.stringContaining("expected a domain name") },
    { pointer: "/users/", detail: expect.stringContaining("expected 1 to 254 of a-z") },
  ]);
});
