/**
 * The import of a Postfix configuration: a whole directory against a golden file, the reading of
 * texts by tables, and where Postfix is installed, our reading against its own.
 */
import { network, resourceKinds } from "@postern/config";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { stringify } from "yaml";
import { importPostfix } from "./import.ts";
import { entriesOf, expanded, itemsOf, parametersOf } from "./text.ts";

const golden = fileURLToPath(new URL("golden", import.meta.url));
const company = join(golden, "company");
const read = (file: string) => Deno.readTextFile(file);

/** A directory of one main.cf and some tables. */
function from(mainCf: string, tables: Record<string, string> = {}) {
  const files: Record<string, string> = { "/pf/main.cf": mainCf };
  for (const [name, text] of Object.entries(tables)) files[`/pf/${name}`] = text;
  return importPostfix("/pf", (file) => {
    const text = files[file];
    return text === undefined ? Promise.reject(new Error("no such file")) : Promise.resolve(text);
  });
}

test("a company's gateway: the document, the recipients, and what stays behind", async () => {
  const { document, recipients, remarks } = await importPostfix(company, read);
  const text = stringify({ document, recipients }, { lineWidth: 0, aliasDuplicateObjects: false }) +
    remarks.map(({ file, line, text }) => `# ${file.slice(company.length + 1)}:${line}: ${text}\n`)
      .join("");
  await expect(text).toMatchFileSnapshot(join(golden, "company.yaml"));
});

test("every definition is one that the API takes", async () => {
  const { document } = await importPostfix(company, read);
  for (const kind of ["relays", "domains", "clients", "rules"] as const) {
    const definitions = Object.entries(document[kind] as Record<string, unknown>);
    expect(definitions.length).toBeGreaterThan(0);
    for (const [name, definition] of definitions) {
      expect(resourceKinds[kind].name.safeParse(name).success, name).toBe(true);
      expect(resourceKinds[kind].schema.safeParse(definition).error, name).toBeUndefined();
    }
  }
});

test("parameters: comments and empty lines do not end a line that goes on; the last one counts", () => {
  const parameters = parametersOf("a = 1\nb = x\n# c\n\n  y\n\tz\na = 2\n#d = 1\n e\n");
  expect(Object.fromEntries(parameters)).toEqual({
    a: { line: 7, value: "2 e" },
    b: { line: 2, value: "x y z" },
  });
});

test.each([
  ["$a/$b", "A/B"],
  ["${a}$(b)$$a", "AB$a"],
  ["${a?yes}${none?no}${none:else}${a:never}", "yeselse"],
  ["${a?{$b}:{c}} ${none?{x}:{y$a}}", "B yA"],
  ["$loop.", "."],
  ["$deep", "A-B"],
])("%s is expanded to %s", (text, wanted) => {
  const values: Record<string, string> = {
    a: "A",
    b: "B",
    none: "",
    loop: "$loop",
    deep: "$a-${b}",
  };
  expect(expanded(text, (name) => values[name])).toBe(wanted);
});

test("lists and tables", () => {
  expect(itemsOf("a, b\tc,,hash:/x inline:{ {k = v w}, l=m }"))
    .toEqual(["a", "b", "c", "hash:/x", "inline:{ {k = v w}, l=m }"]);
  expect(entriesOf("t", '# c\nUser@Example.COM  a,\n  b\n"x y"@z  v\nuser@example.com c\n'))
    .toEqual([
      { file: "t", line: 2, key: "user@example.com", value: "a, b" },
      { file: "t", line: 4, key: "x y", value: "@z  v" },
    ]);
});

test("a network that is refused before a larger one keeps that one out", async () => {
  const { document, remarks } = await from(
    "mynetworks = 10.0.0.0/8 !10.1.0.0/16 !172.16.5.0/24 172.16.0.0/12 [2001:db8::]/32 host.test",
  );
  expect(document["clients"]).toEqual({
    mynetworks: { networks: ["10.0.0.0/8", "2001:db8::/32"].map((text) => network.parse(text)) },
  });
  expect(remarks.map(({ text }) => text)).toEqual([
    expect.stringContaining("!10.1.0.0/16"),
    expect.stringContaining("!172.16.5.0/24"),
    expect.stringContaining("172.16.0.0/12 is left out"),
    expect.stringContaining("host.test"),
  ]);
});

test("what cannot be read is said with file and line, and recipients are not refused for it", async () => {
  const { document, remarks } = await from(
    "mynetworks = 10.0.0.0/8\nrelay_domains = a.test\nrelay_recipient_maps =\n  ldap:/etc/l.cf\n" +
      "transport_maps = pcre:/x, hash:/etc/postfix/gone\nmilter_protocol = 6\n",
  );
  expect(document["domains"]).toMatchObject({ "a.test": { relay: "default" } });
  expect(JSON.stringify(document)).not.toContain("list");
  expect(remarks.map(({ file, line, text }) => `${file}:${line}: ${text.split(":")[0]}`)).toEqual([
    "/pf/main.cf:3: relay_recipient_maps",
    "/pf/main.cf:3: recipients are not checked",
    "/pf/main.cf:5: transport_maps",
    "/pf/main.cf:5: /etc/postfix/gone is left out",
    "/pf/main.cf:6: milter_protocol is not carried over",
  ]);
});

test("a domain whose transport has no counterpart is left out, and so is none for every domain", async () => {
  const { document } = await from(
    "mynetworks=10.0.0.0/8\nrelay_domains = a.test b.test\nparent_domain_matches_subdomains =\n" +
      "transport_maps = inline:{ a.test=cyrus:, *=discard: }\n",
  );
  expect(document["domains"]).toEqual({ "b.test": { relay: "default" } });
  expect(document["relays"]).toEqual({ default: { kind: "discard" } });
});

const postmap = await Deno.stat("/usr/sbin/postmap").then(() => true, () => false);

test.skipIf(!postmap)("Postfix itself reads parameters and tables as we do", async () => {
  const ask = async (program: string, args: readonly string[]) => {
    const { code, stdout } = await new Deno.Command(`/usr/sbin/${program}`, {
      args: [...args],
      env: { MAIL_CONFIG: "" },
      stderr: "null",
    }).output();
    return code === 0 ? new TextDecoder().decode(stdout).trim() : undefined;
  };
  const directory = await Deno.makeTempDir();
  try {
    for (const file of ["main.cf", "transport", "virtual", "relay_recipients"]) {
      await Deno.copyFile(join(company, file), join(directory, file));
    }
    await Deno.writeTextFile(join(directory, "master.cf"), "");
    const parameters = parametersOf(await read(join(company, "main.cf")));
    const valueOf = (name: string) => parameters.get(name)?.value;
    for (const name of ["relay_domains", "transport_maps", "mynetworks", "relay_recipient_maps"]) {
      const theirs = await ask("postconf", ["-c", directory, "-x", "-h", name]);
      expect(itemsOf(expanded(valueOf(name)!, valueOf))).toEqual(itemsOf(theirs!));
    }
    for (const table of ["transport", "virtual", "relay_recipients"]) {
      const file = join(directory, table);
      const entries = entriesOf(file, await read(file));
      expect(entries.length).toBeGreaterThan(3);
      for (const { key, value } of entries) {
        const theirs = await ask("postmap", ["-c", directory, "-q", key, `texthash:${file}`]);
        expect(theirs, key).toBe(value);
      }
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
