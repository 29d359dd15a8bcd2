/** Stored definitions that today's schemas do not take: told by name, and mended over the API. */
import { type ResourceKind, resourceKinds } from "@postern/config";
import { followConfiguration, openConfiguration, UnreadableConfiguration } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

/** Stores a definition as another release may have done. */
async function store(kind: ResourceKind, name: string, body: object) {
  await api.database.sql.begin(async (sql) => {
    const [made] = await sql`insert into configuration_versions (version, author)
      select max(version) + 1, 'test' from configuration_versions returning version`;
    await sql`update configuration_resources set valid_to = ${made!["version"]}
      where kind = ${kind} and name = ${name} and valid_to is null`;
    await sql`insert into configuration_resources (kind, name, body, valid_from)
      values (${kind}, ${name}, ${sql.json(body as never)}, ${made!["version"]})`;
  });
}

const follow = () =>
  followConfiguration(api.database, { onConfiguration: () => {}, onError: () => {} })
    .then(async (feed) => await feed.stop());

test("what does not parse is in force nowhere, named, and mended one after the other", async () => {
  const put = (path: string, body: object) => api.ask("PUT", `/v1/${path}`, { body });
  const secret = { username: "u", password: "correct horse" };
  const relay = { kind: "smtp", hosts: [{ host: "10.0.0.5" }], credentials: secret };
  await put("relays/odd", relay);
  await put("domains/one.test", { relay: "odd" });
  await follow();
  let match: object = { domain: "one.test" };
  for (let depth = 0; depth < 60; depth += 1) match = { not: match };
  await store("rules", "deep", { match, actions: [{ do: "hold" }] });
  await store("relays", "odd", { kind: "pigeon" });

  await expect(follow()).rejects.toThrow(UnreadableConfiguration);
  await expect(follow()).rejects.toThrow(
    /^rule deep as it is stored .* at most 50 deep .*; relay odd as it is stored does not parse/,
  );
  const explain = { client: { address: "192.0.2.1" }, reversePath: "", recipients: ["a@one.test"] };
  expect(await api.ask("POST", "/v1/explain", { body: explain }))
    .toMatchObject({ status: 500, body: { detail: expect.stringContaining("rule deep") } });
  expect((await api.ask("GET", "/v1/rules/deep")).body).toMatchObject({ match });
  expect((await api.ask<{ items: object[] }>("GET", "/v1/rules")).body.items).toHaveLength(1);

  expect((await api.ask("DELETE", "/v1/relays/odd")).status).toBe(409);
  expect((await put("relays/other", relay)).status).toBe(201);
  expect((await api.ask("DELETE", "/v1/rules/deep")).status).toBe(204);
  await expect(follow()).rejects.toThrow(/^relay odd/);
  expect((await put("relays/odd", relay)).status).toBe(200);
  await follow();
  expect((await api.ask("POST", "/v1/explain", { body: explain })).status).toBe(200);
  expect(api.failures).toEqual([]);
});

test.each(Object.keys(resourceKinds) as ResourceKind[])(
  "%s that do not parse are told",
  async (kind) => {
    const name = kind === "settings" ? "gateway" : kind === "domains" ? "two.test" : "x";
    await store(kind, name, { nonsense: true });
    const { singular } = resourceKinds[kind];
    const configuration = openConfiguration(api.database);
    await expect(configuration.load()).rejects.toThrow(`${singular} ${name} as it is stored`);
    const outcome = kind === "settings"
      ? await api.ask("PUT", "/v1/settings", { body: {} })
      : await api.ask("DELETE", `/v1/${kind}/${name}`);
    expect(outcome.status).toBe(kind === "settings" ? 200 : 204);
    expect((await configuration.load()).version).toBeGreaterThan(0);
  },
);
