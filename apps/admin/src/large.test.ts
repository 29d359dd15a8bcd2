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

/** Milliseconds that it takes. */
async function timed<Result>(what: string, does: () => Promise<Result>): Promise<Result> {
  const start = performance.now();
  const result = await does();
  console.log(`${what}: ${Math.round(performance.now() - start)} ms`);
  return result;
}

test("is replaced, edited and followed", async () => {
  const body = JSON.stringify({ domains });
  const start = performance.now();
  const put = await timed(
    "PUT /v1/config",
    () => api.ask<{ version: number; added: unknown[] }>("PUT", "/v1/config", { body }),
  );
  // Five seconds where the machine has nothing else to do.
  expect(performance.now() - start).toBeLessThan(30_000);
  expect(put).toMatchObject({ status: 200, body: { version: 2 } });
  expect(put.body.added).toHaveLength(COUNT);

  let seen: Configuration | undefined;
  let at = 0;
  const failures: unknown[] = [];
  const feed = await timed("the first reading", () =>
    followConfiguration(api.database, {
      onConfiguration: (configuration) => {
        seen = configuration;
        compile(configuration);
        at = performance.now();
      },
      onError: (error) => failures.push(error),
    }));
  expect(seen?.domains.size).toBe(COUNT);
  const first = seen!;

  const edited = await timed(
    "PUT of one domain",
    () =>
      api.ask("PUT", "/v1/domains/d7.example.com", { body: { relay: "default", tls: "required" } }),
  );
  expect(edited.status).toBe(200);
  const committed = performance.now();
  await eventually("the edit to be in force", () => seen?.version === 3);
  console.log(`in force, compiled: ${Math.round(at - committed)} ms after the answer`);
  expect(seen!.domains.get("d7.example.com")?.tls).toBe("required");
  expect(seen!.domains.get("d8.example.com")).toBe(first.domains.get("d8.example.com"));
  expect(seen!.relays).toBe(first.relays);

  const got = await timed(
    "GET /v1/config",
    () => api.ask<{ domains: object }>("GET", "/v1/config"),
  );
  expect(Object.keys(got.body.domains)).toHaveLength(COUNT);
  await feed.stop();
  expect(failures).toEqual([]);
}, 120_000);
