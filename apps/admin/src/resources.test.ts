import type { ResourceKind } from "@postern/config";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
  await api.ask("PUT", "/v1/relays/internal", { body: smtp("10.0.0.5") });
});
afterAll(() => api.close());

type Shown = Record<string, unknown> & { name: string };
const smtp = (host: string) => ({ kind: "smtp", hosts: [{ host, port: 25 }] });

const kinds: Record<
  Exclude<ResourceKind, "settings">,
  { name: string; first: object; second: object }
> = {
  relays: { name: "edge", first: smtp("192.0.2.1"), second: { kind: "discard" } },
  domains: { name: "example.com", first: { relay: "internal" }, second: { relay: "default" } },
  clients: {
    name: "lan",
    first: { networks: ["10.0.0.0/8"] },
    second: { networks: ["2001:db8::/32"] },
  },
  users: { name: "alice@example.com", first: { disabled: true }, second: { mayRelay: false } },
  rules: {
    name: "archive",
    first: { actions: [{ do: "addRecipient", address: "archive@example.com" }] },
    second: { match: { tls: false }, actions: [{ do: "defer", text: "Use TLS" }] },
  },
};

describe.each(Object.entries(kinds))("%s", (kind, { name, first, second }) => {
  const path = `/v1/${kind}/${name}`;

  test("are created, read, replaced, listed and deleted", async () => {
    expect((await api.ask("GET", path)).status).toBe(404);

    const created = await api.ask<Shown>("PUT", path, { body: first });
    expect(created).toMatchObject({ status: 201, body: { name, ...first } });
    const tag = created.headers.get("ETag");
    expect(tag).toMatch(/^"\d+"$/);

    const read = await api.ask<Shown>("GET", path);
    expect(read).toMatchObject({ status: 200, body: { name, ...first } });
    expect(read.headers.get("ETag")).toBe(tag);

    const replaced = await api.ask<Shown>("PUT", path, { body: { name, ...second } });
    expect(replaced).toMatchObject({ status: 200, body: { name, ...second } });
    expect(replaced.headers.get("ETag")).not.toBe(tag);

    const listed = await api.ask<{ items: Shown[] }>("GET", `/v1/${kind}?limit=1000`);
    expect(listed.body.items).toContainEqual(expect.objectContaining({ name, ...second }));

    expect(await api.ask("DELETE", path)).toMatchObject({ status: 204, body: undefined });
    expect((await api.ask("DELETE", path)).status).toBe(404);
    expect((await api.ask("GET", path)).status).toBe(404);
  });

  test("honour conditions", async () => {
    const put = (headers: Record<string, string>) => api.ask("PUT", path, { body: first, headers });
    expect((await put({ "If-Match": "*" })).status).toBe(412);
    expect((await put({ "If-Match": '"1"' })).status).toBe(412);

    const created = await put({ "If-None-Match": "*" });
    expect(created.status).toBe(201);
    const tag = created.headers.get("ETag")!;
    expect((await put({ "If-None-Match": "*" })).status).toBe(412);
    expect((await put({ "If-Match": `W/${tag}` })).status).toBe(412);

    for (const known of [tag, `W/${tag}`, `"0", ${tag}`, "*"]) {
      const read = await api.ask("GET", path, { headers: { "If-None-Match": known } });
      expect(read).toMatchObject({ status: 304, body: undefined });
      expect(read.headers.get("ETag")).toBe(tag);
    }
    const other = await api.ask("GET", path, { headers: { "If-None-Match": '"0"' } });
    expect(other.status).toBe(200);

    const replaced = await put({ "If-Match": `"0", ${tag}` });
    expect(replaced.status).toBe(200);
    const newer = replaced.headers.get("ETag")!;
    expect((await put({ "If-Match": tag })).body).toMatchObject({ status: 412 });
    expect((await put({ "If-Match": "*" })).status).toBe(200);
    const stale = { headers: { "If-Match": newer } };
    expect((await api.ask("DELETE", path, stale)).status).toBe(412);
    expect((await api.ask("DELETE", path, { headers: { "If-Match": "*" } })).status).toBe(204);
  });

  test("of two that create at once under a condition, one wins", async () => {
    const headers = { "If-None-Match": "*" };
    const both = await Promise.all(
      [first, second].map((body) => api.ask("PUT", path, { body, headers })),
    );
    expect(both.map(({ status }) => status).sort()).toEqual([201, 412]);
    await api.ask("DELETE", path);
  });

  test("refuse a name that is none, and another name in the body", async () => {
    const bad = encodeURIComponent("no name!");
    const put = await api.ask("PUT", `/v1/${kind}/${bad}`, { body: { ...first, zzz: 1 } });
    expect(put.status).toBe(422);
    expect(put.body.errors).toMatchObject([{ parameter: "name" }, { pointer: "/zzz" }]);
    expect((await api.ask("GET", `/v1/${kind}/${bad}`)).status).toBe(404);
    expect((await api.ask("DELETE", `/v1/${kind}/${bad}`)).status).toBe(404);
    const other = await api.ask("PUT", path, { body: { ...first, name: "other" } });
    expect(other).toMatchObject({ status: 422, body: { errors: [{ pointer: "/name" }] } });
  });
});

test("there is one set of settings, always", async () => {
  type Settings = { retention: { content: number }; smtp: object; name?: string };
  const first = await api.ask<Settings>("GET", "/v1/settings");
  expect(first.status).toBe(200);
  expect(first.body.retention).toEqual({ content: 604_800, messages: 2_592_000 });
  expect(first.body.name).toBeUndefined();

  const headers = { "If-Match": first.headers.get("ETag")! };
  const body = { retention: { content: 3600 } };
  const put = await api.ask<Settings>("PUT", "/v1/settings", { body, headers });
  expect(put).toMatchObject({ status: 200, body: { retention: { content: 3600 } } });
  expect((await api.ask("PUT", "/v1/settings", { body, headers })).status).toBe(412);
  expect((await api.ask("GET", "/v1/settings")).body).toEqual(put.body);

  const wrong = await api.ask("PUT", "/v1/settings", { body: { smtp: { lineLength: 10 }, a: 1 } });
  expect(wrong.body.detail).toBe("The settings are not valid");
  expect(wrong.body.errors?.map(({ pointer }) => pointer)).toEqual(["/smtp/lineLength", "/a"]);
  expect((await api.ask("DELETE", "/v1/settings")).status).toBe(405);
  expect((await api.ask("GET", "/v1/settings/gateway")).status).toBe(404);
});

test("a list comes in pages, by name", async () => {
  const names = ["page-a", "page-b", "page-c"];
  for (const name of names) {
    await api.ask("PUT", `/v1/clients/${name}`, { body: { networks: ["192.0.2.7"] } });
  }
  const seen: string[] = [];
  let next: string | null = "";
  while (next !== null) {
    const cursor: string = next === "" ? "" : `&cursor=${next}`;
    const { body } = await api.ask<{ items: Shown[]; next: string | null }>(
      "GET",
      `/v1/clients?limit=1${cursor}`,
    );
    expect(body.items.length).toBeLessThanOrEqual(1);
    seen.push(...body.items.map(({ name }) => name));
    next = body.next;
  }
  expect(seen).toEqual(names);
});

test.each([
  ["limit=0", "limit"],
  ["limit=1001", "limit"],
  ["limit=", "limit"],
  ["limit=1e2", "limit"],
  ["limit=1&limit=2", "limit"],
  ["cursor=%00", "cursor"],
  ["page=2", "page"],
])("?%s is refused", async (query, parameter) => {
  const answer = await api.ask("GET", `/v1/relays?${query}`);
  expect(answer).toMatchObject({ status: 400, body: { errors: [{ parameter }] } });
});

test("a domain has one spelling", async () => {
  const path = `/v1/domains/${encodeURIComponent("Bücher.EXAMPLE.")}`;
  const body = { name: "BÜCHER.example", relay: "internal" };
  const put = await api.ask<Shown>("PUT", path, { body });
  expect(put).toMatchObject({ status: 201, body: { name: "xn--bcher-kva.example" } });
  expect((await api.ask("GET", "/v1/domains/xn--bcher-kva.example")).status).toBe(200);
  expect((await api.ask("DELETE", path)).status).toBe(204);
});

test("defaults are filled in, and hosts brought to one spelling", async () => {
  const body = { kind: "smtp", hosts: [{ host: "MX.Example.com" }] };
  const put = await api.ask<Shown>("PUT", "/v1/relays/filled", { body });
  expect(put.body).toEqual({
    name: "filled",
    kind: "smtp",
    hosts: [{ host: "mx.example.com", port: 25, weight: 1 }],
    tls: { policy: "may" },
  });
});

describe("references", () => {
  test("a domain cannot point at a relay that is not there", async () => {
    const put = await api.ask("PUT", "/v1/domains/dangling.test", { body: { relay: "nowhere" } });
    expect(put).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: "/relay", detail: "there is no relay nowhere" }] },
    });
    expect((await api.ask("GET", "/v1/domains/dangling.test")).status).toBe(404);
  });

  test("a relay that domains need stays, and they are named", async () => {
    await api.ask("PUT", "/v1/relays/needed", { body: smtp("192.0.2.2") });
    for (const name of ["a.test", "b.test"]) {
      await api.ask("PUT", `/v1/domains/${name}`, { body: { relay: "needed" } });
    }
    const refused = await api.ask("DELETE", "/v1/relays/needed");
    expect(refused.status).toBe(409);
    expect(refused.body.detail).toContain("domain a.test, domain b.test");
    for (const name of ["a.test", "b.test"]) await api.ask("DELETE", `/v1/domains/${name}`);
    expect((await api.ask("DELETE", "/v1/relays/needed")).status).toBe(204);
  });

  test("the built-in relay is replaced and never deleted", async () => {
    expect((await api.ask("DELETE", "/v1/relays/default")).status).toBe(409);
    expect((await api.ask("PUT", "/v1/relays/default", { body: { kind: "mx" } })).status).toBe(200);
  });
});

describe("a body that is not valid", () => {
  const pointers = async (path: string, body: unknown) => {
    const answer = await api.ask("PUT", path, { body });
    expect(answer.status).toBe(422);
    expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
    return answer.body.errors!.map(({ pointer, detail }) => `${pointer}: ${detail}`);
  };

  test("has every failing field named by its pointer", async () => {
    const body = {
      kind: "smtp",
      hosts: [{ host: "a b", port: 0, odd: 1 }, { port: "25" }],
      retry: { delays: [] },
      "a/b~c": 1,
    };
    expect((await pointers("/v1/relays/bad", body)).toSorted()).toEqual([
      "/a~1b~0c: unknown field",
      "/hosts/0/host: expected a host name or an IP address",
      "/hosts/0/odd: unknown field",
      "/hosts/0/port: Too small: expected number to be >=1",
      "/hosts/1/host: expected a host name or an IP address",
      "/hosts/1/port: expected number",
      "/retry/delays: Too small: expected array to have >=1 items",
      "/retry/lifetime: required: number",
    ]);
  });

  const all =
    "all, any, not, client, network, user, tls, helo, reversePath, forwardPath, domain, " +
    "size, header, authentication, hour";
  const match = (condition: unknown) => ({ match: condition, actions: [{ do: "accept" }] });
  test.each([
    [
      "/v1/relays/bad",
      {},
      "/kind: expected one of mx, smtp, lmtp, http, capture, discard, reject, split",
    ],
    ["/v1/relays/bad", { kind: "lmtp" }, "/hosts: required: array"],
    ["/v1/relays/bad", [], ": expected object"],
    ["/v1/domains/bad.test", null, ": expected object"],
    ["/v1/domains/bad.test", {}, "/relay: required: string"],
    [
      "/v1/rules/bad",
      match({ foo: 1 }),
      `/match: there is no condition foo: expected one of ${all}`,
    ],
    ["/v1/rules/bad", match({}), `/match: expected an object with one of ${all}`],
    ["/v1/rules/bad", match("foo"), `/match: expected an object with one of ${all}`],
    [
      "/v1/rules/bad",
      match({ tls: true, helo: "x" }),
      "/match: expected one condition, not tls, helo: all and any put several together",
    ],
    [
      "/v1/clients/bad",
      { networks: ["10.0.0.0/8", "10.0.0.0/33"] },
      "/networks/1: expected a network like 10.0.0.0/8 or 2001:db8::/32",
    ],
  ])("%s %j", async (path, body, expected) => {
    expect(await pointers(path, body)).toEqual([expected]);
  });

  const rule = { actions: [{ do: "accept" }] };
  const oauth2 = { tokenUrl: "https://a.test/", clientId: "i", clientSecret: "s" };
  const PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
  const verifying = (certificateAuthority: string) => ({
    kind: "mx",
    tls: { policy: "verify", certificateAuthority },
  });
  const smart = (credentials: object) => ({ kind: "smtp", hosts: [{ host: "a" }], credentials });
  test.each<[string, unknown, string[]]>([
    ["domains/x.test", { relay: "default", recipients: { verify: "x" } }, ["/recipients/verify"]],
    [
      "domains/x.test",
      { relay: "default", recipients: { verify: "pattern", pattern: { regex: 5 } } },
      ["/recipients/pattern/regex"],
    ],
    ["rules/x", { actions: [{ do: "rejectt" }] }, ["/actions/0/do"]],
    ["rules/x", { actions: [{ do: "relay" }] }, ["/actions/0/relay"]],
    ["rules/x", { ...rule, match: { clients: ["x"] } }, ["/match"]],
    ["rules/x", { ...rule, match: { tls: true, helo: "x" } }, ["/match"]],
    ["rules/x", { ...rule, match: { client: "x" } }, ["/match/client"]],
    ["rules/x", { ...rule, match: { all: [{ tls: "yes" }] } }, ["/match/all/0/tls"]],
    ["rules/x", { ...rule, match: { header: { value: "x" } } }, ["/match/header/name"]],
    ["relays/x", smart({ username: "u" }), ["/credentials/password"]],
    ["relays/x", smart({ username: "u", password: 5 }), ["/credentials/password"]],
    [
      "relays/x",
      smart({ username: "u", oauth2: { tokenUrl: "https://a.test/", clientSecret: "s" } }),
      ["/credentials/oauth2/clientId"],
    ],
    ["relays/x", { kind: "smtp", hosts: "a" }, ["/hosts"]],
    ["users/x", { password: "short" }, ["/password"]],
    ["relays/x", smart({ username: "u\r\n", password: "p" }), ["/credentials/username"]],
    ["relays/x", smart({ username: "u", password: "p\n" }), ["/credentials/password"]],
    [
      "relays/x",
      smart({ username: "u", oauth2: { ...oauth2, clientSecret: "s\n" } }),
      ["/credentials/oauth2/clientSecret"],
    ],
    [
      "relays/x",
      smart({ username: "u", oauth2: { ...oauth2, tokenUrl: "https://i:s@a.test/" } }),
      ["/credentials/oauth2/tokenUrl"],
    ],
    ["relays/x", { kind: "http", url: "https://u:p@a.test/" }, ["/url"]],
    ["relays/x", verifying("nope"), ["/tls/certificateAuthority"]],
    ["relays/x", verifying(PEM.replace("MII", "XII")), ["/tls/certificateAuthority"]],
    ["settings", { retention: { content: 7200, messages: 3600 } }, ["/retention/content"]],
    ["settings", { retention: { messages: 3600 } }, ["/retention/content"]],
  ])("%s %j is pointed at where it is wrong", async (path, body, expected) => {
    const found = await pointers(`/v1/${path}`, body);
    expect(found.map((text) => text.slice(0, text.indexOf(":")))).toEqual(expected);
  });

  test("what is right beside it is taken", async () => {
    for (const body of [verifying(`# ours\n${PEM}${PEM}`), smart({ username: "u", oauth2 })]) {
      expect((await api.ask("PUT", "/v1/relays/right", { body })).status).toBeLessThan(300);
    }
  });

  test("conditions that lie in each other without end", async () => {
    const nested = (levels: number, around: (inner: object) => object) => {
      let match: object = { tls: true };
      for (let level = 1; level < levels; level += 1) match = around(match);
      return { ...rule, match };
    };
    const not = (inner: object) => ({ not: inner });
    const any = (inner: object) => ({ any: [{ tls: false }, inner] });
    for (const around of [not, any]) {
      expect((await api.ask("PUT", "/v1/rules/deep", { body: nested(50, around) })).status)
        .toBeLessThan(300);
      for (const levels of [51, 2000, 20_000]) {
        expect(await pointers("/v1/rules/deep", nested(levels, around)))
          .toEqual(["/match: expected conditions at most 50 deep in each other"]);
      }
    }
  });

  test.each([
    ["/v1/domains/x.test", '{"relay":"default","aliases":{"__proto__":["a@b.test"]}}', "/aliases"],
    ["/v1/domains/x.test", '{"relay":"default","__proto__":{}}', ""],
    ["/v1/config", '{"domains":{"a/b":{"aliases":{"__proto__":1}}}}', "/domains/a~1b/aliases"],
  ])("%s %s: no field is dropped for its name", async (path, body, above) => {
    expect(await pointers(path, body))
      .toEqual([`${above}/__proto__: no field can have this name`]);
  });

  test.each([
    ["no JSON", "{", {}, 400],
    ["nothing", "", {}, 400],
    ["another type", "{}", { "Content-Type": "application/xml" }, 415],
    ["an upload", "{}", { "Content-Type": "multipart/form-data; boundary=x" }, 415],
    ["JSON as curl -d sends it", '{"kind":"mx"}', {
      "Content-Type": "application/x-www-form-urlencoded",
    }, 201],
    ["JSON with a parameter", '{"kind":"mx"}', {
      "Content-Type": "application/json; charset=utf-8",
    }, 200],
    ["more than 1 MiB", `"${"x".repeat(1024 * 1024)}"`, {}, 413],
  ])("%s", async (_, body, headers, status) => {
    expect((await api.ask("PUT", "/v1/relays/typed", { body, headers })).status).toBe(status);
  });

  test("that is not UTF-8 is malformed", async () => {
    const answer = await api.request("/v1/relays/bad", {
      method: "PUT",
      headers: { Authorization: `Bearer the-token-of-the-tests` },
      body: Uint8Array.of(0x22, 0xff, 0x22),
    });
    expect(answer.status).toBe(400);
  });
});

test("aliases that differ in case only are refused, each but the first pointed at", async () => {
  const aliases = { Sales: ["a@b.test"], "gr\u00fc\u00dfe": ["a@b.test"], "SALES": ["c@d.test"] };
  const { status, body } = await api.ask("PUT", "/v1/domains/alias.test", {
    body: { relay: "default", aliases },
  });
  expect(status).toBe(422);
  expect(body.errors).toEqual([
    { pointer: "/aliases/SALES", detail: "Sales is the same local part: case does not count" },
  ]);
  const { SALES: _, ...once } = aliases;
  const taken = await api.ask<{ aliases: object }>("PUT", "/v1/domains/alias.test", {
    body: { relay: "default", aliases: once },
  });
  expect(taken.body.aliases).toEqual({ sales: ["a@b.test"], "gr\u00fc\u00dfe": ["a@b.test"] });
});

test.each([
  ["PUT", "/v1/relays/twice", '{"kind":"discard","kind":"capture"}', "/kind"],
  ["PUT", "/v1/config", '{"relays":{"a":{"kind":"discard"},"a":{"kind":"mx"}}}', "/relays/a"],
  ["POST", "/v1/tokens", '{"name":"a","scopes":["send"],"name":"b"}', "/name"],
])("%s %s %s: a field that is there twice is refused", async (method, path, body, pointer) => {
  const refused = await api.ask(method, path, { body });
  expect([refused.status, refused.body.errors])
    .toEqual([422, [{ pointer, detail: "given more than once" }]]);
});
