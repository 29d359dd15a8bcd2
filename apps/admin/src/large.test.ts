/** A configuration of 100,000 domains: in whole, edited, followed. Figures are in docs/benchmarks.md. */
import type { Configuration } from "@postern/config";
import { compile } from "@postern/routing";
import { followConfiguration } from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { openTestApi, type TestApi } from "./testing/api.ts";

const COUNT = 100_000;
let api: TestApi;
beforeAll(async () => {
  api = await openTestApi();
});
afterAll(() => api.close());

const domains = Object.fromEntries(
  Array.from({ length: COUNT }, (_, index) => [`d${index}.example.com`, { relay: "default" }]),
);

test("is replaced, edited and followed", async () => {
  const began = performance.now();
  const body = JSON.stringify({ domains });
  const put = await api.ask<{ version: number; added: unknown[] }>("PUT", "/v1/config", { body });
  // 3.5 s on two cores with little else to do; here, whatever else runs.
  expect(performance.now() - began).toBeLessThan(40_000);
  expect(put).toMatchObject({ status: 200, body: { version: 2 } });
  expect(put.body.added).toHaveLength(COUNT);

  let seen: Configuration | undefined;
  const failures: unknown[] = [];
  const feed = await followConfiguration(api.database, {
    onConfiguration: (configuration) => {
      compile(configuration);
      seen = configuration;
    },
    onError: (error) => failures.push(error),
  });
  const first = seen!;
  expect(first.domains.size).toBe(COUNT);

  const edit = { relay: "default", tls: "required" };
  const edited = await api.ask("PUT", "/v1/domains/d7.example.com", { body: edit });
  expect(edited.status).toBe(200);
  // 0.05 s; in any case before the feed asks by itself.
  await eventually("the edit to be in force", () => seen?.version === 3, 10);
  expect(seen!.domains.get("d7.example.com")?.tls).toBe("required");
  // Only what changed was read and parsed.
  expect(seen!.domains.get("d8.example.com")).toBe(first.domains.get("d8.example.com"));
  expect(seen!.relays).toBe(first.relays);

  const got = await api.ask<{ domains: object }>("GET", "/v1/config");
  expect(Object.keys(got.body.domains)).toHaveLength(COUNT);
  await feed.stop();
  expect(failures).toEqual([]);
}, 120_000);
