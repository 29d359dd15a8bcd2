/** Many who change the configuration at once. */
import { expect, test } from "vitest";
import { openTestApi, type TestApi } from "./testing/api.ts";

type Listed = { items: { version: number }[] };
const versionsOf = async (api: TestApi) =>
  (await api.ask<Listed>("GET", "/v1/config/versions?limit=1000")).body.items
    .map(({ version }) => version);
const gapless = (versions: readonly number[]) =>
  Array.from({ length: versions.length }, (_, index) => versions.length - index);

test("of twenty who edit the same list under If-Match, no edit is lost", async () => {
  const api = await openTestApi();
  await api.ask("PUT", "/v1/clients/shared", { body: { networks: ["10.0.0.0/32"] } });
  const add = async (network: string): Promise<void> => {
    for (;;) {
      const { body, headers } = await api.ask<{ networks: string[] }>("GET", "/v1/clients/shared");
      const networks = [...body.networks, network];
      const put = await api.ask("PUT", "/v1/clients/shared", {
        body: { networks },
        headers: { "If-Match": headers.get("ETag")! },
      });
      if (put.status === 200) return;
      expect(put.status).toBe(412);
    }
  };
  const networks = Array.from({ length: 20 }, (_, index) => `10.0.${index}.1/32`);
  await Promise.all(networks.map(add));
  const { body } = await api.ask<{ networks: string[] }>("GET", "/v1/clients/shared");
  expect(body.networks.toSorted()).toEqual(["10.0.0.0/32", ...networks].toSorted());
  const versions = await versionsOf(api);
  expect(versions).toEqual(gapless(versions));
  expect(versions).toHaveLength(22);
  expect(api.failures).toEqual([]);
  await api.close();
});
