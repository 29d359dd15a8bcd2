/** `/docs`: every operation and schema is there, nothing comes from elsewhere, nothing is markup. */
import { expect, test } from "vitest";
import { docsPage } from "./docs.ts";
import { openTestApi } from "./testing/api.ts";

test("the page has every operation and schema, and needs nothing from elsewhere", async () => {
  const api = await openTestApi("postgres://nobody@127.0.0.1:1/nothing");
  const response = await api.request("/docs");
  const html = await response.text();
  const { paths, components } = await (await api.request("/v1/openapi.json")).json() as {
    paths: Record<string, Record<string, { operationId: string }>>;
    components: { schemas: Record<string, unknown> };
  };
  await api.close();
  expect(response.status).toBe(200);
  expect(response.headers.get("Content-Type")).toMatch(/^text\/html/);
  for (const item of Object.values(paths)) {
    for (const { operationId } of Object.values(item)) {
      expect(html).toContain(`<article id="${operationId}">`);
    }
  }
  for (const name of Object.keys(components.schemas)) {
    expect(html).toContain(`<article id="schema-${name}">`);
  }
  // Every link leads to a place on the page, or to the document that it was made from.
  for (const [, to = ""] of html.matchAll(/ (?:href|src)="([^"]*)"/g)) {
    expect(
      to === "/v1/openapi.json" || to.startsWith("#") && html.includes(` id="${to.slice(1)}"`),
      to,
    )
      .toBe(true);
  }
  expect(html).not.toMatch(/<(script|link|img|iframe)|@import|url\(/);

  const policy = response.headers.get("Content-Security-Policy")!;
  expect(policy).toMatch(/^default-src 'none'; style-src 'sha256-[\w+/]+=*';/);
  const style = /<style>(.*?)<\/style>/s.exec(html)![1]!;
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(style));
  expect(policy).toContain(`'sha256-${new Uint8Array(bytes).toBase64()}'`);
});

test("what schemas say stays text", async () => {
  const { html } = await docsPage({
    info: { title: "<b>", description: "a & b" },
    tags: [{ name: "t", description: "<script>alert(1)</script>" }],
    paths: {},
    components: { schemas: { S: { description: '"><img src=x>', examples: ["</pre>"] } } },
  });
  expect(html).not.toMatch(/<script|<img|<b><\/title>/);
  expect(html).toContain("&lt;script&gt;");
  expect(html).toContain("&quot;&lt;/pre&gt;&quot;");
});
