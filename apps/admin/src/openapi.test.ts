import { expect, test } from "vitest";
import { SCOPES } from "@postern/api";
import { openTestApi } from "./testing/api.ts";

interface Described {
  readonly operationId: string;
  readonly security: { token: string[] }[];
  readonly parameters?: readonly { name: string; in: string; schema: object }[];
  readonly responses: Record<string, unknown>;
}

/** The document is served without a database: the address leads nowhere. */
async function document() {
  const api = await openTestApi("postgres://nobody@127.0.0.1:1/nothing");
  const response = await api.request("/v1/openapi.json");
  expect(response.status).toBe(200);
  const body = await response.json();
  await api.close();
  return body as {
    openapi: string;
    paths: Record<string, Record<string, Described>>;
    components: { schemas: Record<string, unknown> };
  };
}

test("the OpenAPI document has every operation, each under a name of its own", async () => {
  const { openapi, paths } = await document();
  expect(openapi).toMatch(/^3\.1\./);
  const methods = Object.entries(paths).map(([path, item]) =>
    `${path}: ${Object.keys(item).join(" ")}`
  );
  expect(methods.toSorted()).toEqual([
    "/docs: get",
    "/healthz: get",
    "/metrics: get",
    "/readyz: get",
    "/v1/audit: get",
    "/v1/clients/{name}: get put delete",
    "/v1/clients: get",
    "/v1/config/replay: post",
    "/v1/config/versions/{version}/diff: get",
    "/v1/config/versions/{version}/restore: post",
    "/v1/config/versions/{version}: get",
    "/v1/config/versions: get",
    "/v1/config: get put",
    "/v1/destinations/{id}/flush: post",
    "/v1/destinations/{id}/pause: post",
    "/v1/destinations/{id}/resume: post",
    "/v1/destinations: get",
    "/v1/domains/{name}/recipients/{address}: get put delete",
    "/v1/domains/{name}/recipients: get put",
    "/v1/domains/{name}: get put delete",
    "/v1/domains: get",
    "/v1/explain: post",
    "/v1/messages/{id}/cancel: post",
    "/v1/messages/{id}/hold: post",
    "/v1/messages/{id}/raw: get",
    "/v1/messages/{id}/release: post",
    "/v1/messages/{id}/reroute: post",
    "/v1/messages/{id}/retry: post",
    "/v1/messages/{id}: get",
    "/v1/messages: get",
    "/v1/openapi.json: get",
    "/v1/relays/{name}: get put delete",
    "/v1/relays: get",
    "/v1/rules/{name}: get put delete",
    "/v1/rules: get",
    "/v1/settings: get put",
    "/v1/tokens/{id}: delete",
    "/v1/tokens: get post",
    "/v1/users/{name}: get put delete",
    "/v1/users: get",
  ]);
  const ids = Object.values(paths).flatMap((item) =>
    Object.values(item).map(({ operationId }) => operationId)
  );
  expect(new Set(ids).size).toBe(ids.length);
});

test("what needs a token says so, and every path parameter is described", async () => {
  const { paths } = await document();
  for (const [path, item] of Object.entries(paths)) {
    for (const { security, responses, parameters = [] } of Object.values(item)) {
      expect("401" in responses, path).toBe(security.length > 0);
      for (const { token } of security) expect(SCOPES).toHaveProperty([token[0]!]);
      const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const described = parameters.filter((parameter) => parameter.in === "path");
      expect(described.map(({ name }) => name)).toEqual(named);
    }
  }
});

test("every reference leads to a component, and no schema is told in zod's own terms", async () => {
  const api = await document();
  const text = JSON.stringify(api);
  const references = [...text.matchAll(/"\$ref":"([^"]*)"/g)].map(([, to]) => to!);
  expect(references.length).toBeGreaterThan(10);
  for (const to of references) {
    expect(api.components.schemas).toHaveProperty(to.replace("#/components/schemas/", ""));
  }
  expect(text).not.toContain("$defs");
});

test("parameters and bodies say what they take", async () => {
  const { paths, components } = await document();
  const { parameters } = paths["/v1/messages"]!.get!;
  expect(parameters?.map(({ name }) => name)).toEqual(
    ["sender", "recipient", "messageId", "state", "since", "until", "limit", "cursor"],
  );
  expect(parameters?.find(({ name }) => name === "limit")?.schema)
    .toMatchObject({ type: "integer", minimum: 1, maximum: 1000 });
  expect(components.schemas["DomainDefinition"])
    .toMatchObject({ required: ["relay"], additionalProperties: false });
  // What is answered has its defaults filled in.
  expect(components.schemas["DomainResource"])
    .toMatchObject({ required: ["relay", "recipients", "tls", "sourceRoutes", "name"] });
  expect(components.schemas["RelayDefinition"]).toMatchObject({
    oneOf: [
      { properties: { kind: { const: "mx" }, name: {} } },
      { properties: { kind: { const: "smtp" }, name: {} } },
      { properties: { kind: { const: "lmtp" }, name: {} } },
      { properties: { kind: { const: "http" }, name: {} } },
      { properties: { kind: { const: "capture" }, name: {} } },
      { properties: { kind: { const: "discard" }, name: {} } },
      { properties: { kind: { const: "reject" }, name: {} } },
      { properties: { kind: { const: "split" }, name: {} } },
    ],
  });
});
