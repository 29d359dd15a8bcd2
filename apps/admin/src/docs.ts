/**
 * `/docs`: the OpenAPI document as a page for people. It is made here, whole: no script, no font, no
 * picture, nothing from elsewhere, so that its policy can forbid all of that. Pure.
 */

type Json = Readonly<Record<string, unknown>>;

const STYLE = `
:root { color-scheme: light dark; --line: #8884; --quiet: #777; --link: #06c; }
@media (prefers-color-scheme: dark) { :root { --link: #7bf; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; display: grid;
  grid-template-columns: 19rem minmax(0, 1fr); }
nav { border-right: 1px solid var(--line); padding: 1rem; height: 100vh; overflow: auto;
  position: sticky; top: 0; font-size: .85rem; }
nav ul { list-style: none; margin: 0 0 .5rem; padding: 0; }
nav a { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
main { padding: 1rem 2rem 4rem; max-width: 62rem; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); }
article { border: 1px solid var(--line); border-radius: 6px; padding: .2rem 1rem 1rem; margin: 1rem 0; }
h3 { margin: .6rem 0; overflow-wrap: anywhere; } h4 { margin: .8rem 0 .2rem; }
code, pre { font: .86rem/1.45 ui-monospace, monospace; }
pre { background: #8881; padding: .6rem; overflow: auto; border-radius: 4px; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
td, th { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
.method { text-transform: uppercase; font-weight: 700; font-size: .75em; margin-right: .5em; }
.quiet { color: var(--quiet); font-size: .85rem; }
@media (max-width: 50rem) { body { display: block; } nav { display: none; } main { padding: 1rem; } }
`;

/** The page, and the policy that it is to be served under. */
export interface DocsPage {
  readonly html: string;
  readonly contentSecurityPolicy: string;
}

/** Makes the page of an OpenAPI document. */
export async function docsPage(document: Json): Promise<DocsPage> {
  const operations = operationsOf(document);
  const tags = document["tags"] as readonly { name: string; description: string }[];
  const { title, description } = document["info"] as { title: string; description: string };
  const schemas = Object.entries((document["components"] as { schemas: Json }).schemas)
    .sort(([a], [b]) => a < b ? -1 : 1) as [string, Json][];
  const of = (tag: string) => operations.filter((one) => one.tags[0] === tag);

  const navigation = tags.map(({ name }) =>
    `<b>${escaped(name)}</b><ul>${
      of(name).map(({ id, method, path }) =>
        `<li><a href="#${escaped(id)}"><span class="method">${method}</span>${
          escaped(path)
        }</a></li>`
      ).join("")
    }</ul>`
  ).join("");
  const sections = tags.map(({ name, description }) =>
    `<section><h2 id="tag-${escaped(name)}">${escaped(name)}</h2><p>${escaped(description)}</p>${
      of(name).map(operationText).join("")
    }</section>`
  ).join("");
  const shapes = schemas.map(([name, schema]) =>
    `<article id="schema-${escaped(name)}"><h3>${escaped(name)}</h3>${schemaText(schema)}</article>`
  ).join("");

  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escaped(title)}: the REST API</title><style>${STYLE}</style></head><body>
<nav><a href="#top"><b>${
    escaped(title)
  }</b></a>${navigation}<a href="#schemas"><b>Schemas</b></a></nav>
<main id="top"><h1>${escaped(title)}: the REST API</h1><p>${escaped(description)}</p>
<p>For programs: <a href="/v1/openapi.json">/v1/openapi.json</a> (OpenAPI 3.1).</p>
${sections}<section><h2 id="schemas">Schemas</h2>${shapes}</section></main></body></html>`;
  return {
    html,
    contentSecurityPolicy:
      `default-src 'none'; style-src 'sha256-${await digest(STYLE)}'; base-uri 'none'; ` +
      "form-action 'none'; frame-ancestors 'none'",
  };
}

interface Described {
  readonly id: string;
  readonly method: string;
  readonly path: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly security: readonly { token: readonly string[] }[];
  readonly parameters?: readonly Json[];
  readonly requestBody?: { readonly content: Record<string, { schema: Json }> };
  readonly responses: Record<string, { description: string; content?: Record<string, Json> }>;
}

function operationsOf(document: Json): Described[] {
  return Object.entries(document["paths"] as Record<string, Record<string, Json>>)
    .flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        ...operation as unknown as Described,
        id: String(operation["operationId"]),
        method,
        path,
      }))
    );
}

function operationText(operation: Described): string {
  const { id, method, path, summary, security, parameters = [], requestBody, responses } =
    operation;
  const scopes = security[0]?.token.join(", ");
  const given = parameters.map((one) => {
    const schema = one["schema"] as Json;
    const about = one["description"] ?? schema["description"] ?? "";
    return row(
      `<code>${escaped(one["name"])}</code>`,
      escaped(one["in"]),
      typeOf(schema),
      escaped(about),
    );
  });
  const bodies = Object.entries(requestBody?.content ?? {}).map(([type, { schema }]) =>
    `<h4>Body <span class="quiet">${escaped(type)}</span></h4>${schemaText(schema)}`
  );
  const answers = Object.entries(responses).map(([status, { description, content = {} }]) => {
    const types = Object.entries(content).map(([type, about]) =>
      `${typeOf(about["schema"] as Json)} <span class="quiet">${escaped(type)}</span>`
    );
    return row(`<code>${escaped(status)}</code>`, escaped(description), types.join("<br>"));
  });
  return `<article id="${escaped(id)}"><h3><span class="method">${method}</span><code>${
    escaped(path)
  }</code></h3><p>${escaped(summary)}. <span class="quiet">${
    scopes === undefined ? "Needs no token" : `Scope ${escaped(scopes)}`
  }</span></p>${given.length > 0 ? `<h4>Parameters</h4><table>${given.join("")}</table>` : ""}${
    bodies.join("")
  }<h4>Answers</h4><table>${answers.join("")}</table></article>`;
}

/** A schema with its fields and examples. */
function schemaText(schema: Json): string {
  const parts = [
    schema["description"] === undefined ? "" : `<p>${escaped(schema["description"])}</p>`,
  ];
  const fields = schema["properties"] as Record<string, Json> | undefined;
  const required = (schema["required"] ?? []) as readonly string[];
  if (fields === undefined) parts.push(`<p>${typeOf(schema)}</p>`);
  else {
    const rows = Object.entries(fields).map(([name, field]) => {
      const standing = "default" in field
        ? `, ${JSON.stringify(field["default"])} when absent`
        : "";
      const need = required.includes(name) ? "required" : `optional${standing}`;
      return row(
        `<code>${escaped(name)}</code>`,
        typeOf(field),
        `<span class="quiet">${escaped(need)}</span>`,
        escaped(field["description"] ?? ""),
      );
    });
    parts.push(`<table>${rows.join("")}</table>`);
  }
  for (const example of (schema["examples"] ?? []) as readonly unknown[]) {
    parts.push(`<pre>${escaped(JSON.stringify(example, null, 2))}</pre>`);
  }
  return parts.join("");
}

/** A type in one expression; what has a name is a link to it. */
function typeOf(schema: Json | undefined, depth = 0): string {
  if (schema === undefined) return "";
  const reference = /^#\/components\/schemas\/(.+)$/.exec(String(schema["$ref"] ?? ""))?.[1];
  if (reference !== undefined) {
    return `<a href="#schema-${escaped(reference)}">${escaped(reference)}</a>`;
  }
  if ("const" in schema) return `<code>${escaped(JSON.stringify(schema["const"]))}</code>`;
  if (Array.isArray(schema["enum"])) {
    return schema["enum"].map((one) => `<code>${escaped(JSON.stringify(one))}</code>`).join(" | ");
  }
  for (const key of ["oneOf", "anyOf", "allOf"]) {
    const choices = schema[key];
    if (Array.isArray(choices)) {
      return choices.map((one) => typeOf(one, depth)).join(key === "allOf" ? " &amp; " : "<br>or ");
    }
  }
  if (schema["type"] === "array") return `list of ${typeOf(schema["items"] as Json, depth)}`;
  const fields = Object.entries((schema["properties"] ?? {}) as Record<string, Json>);
  if (fields.length > 0 && depth < 3) {
    const inner = fields.map(([name, field]) => `${escaped(name)}: ${typeOf(field, depth + 1)}`);
    return `{ ${inner.join(", ")} }`;
  }
  return escaped(schema["format"] ?? schema["type"] ?? "any");
}

function row(...cells: readonly string[]): string {
  return `<tr>${cells.map((cell) => `<td>${cell}</td>`).join("")}</tr>`;
}

function escaped(value: unknown): string {
  return String(value).replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return btoa(String.fromCharCode(...new Uint8Array(bytes)));
}
