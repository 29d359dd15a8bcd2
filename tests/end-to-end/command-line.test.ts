/** The command line against the API over a real database: as a process, and in this one. */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TOKEN } from "../../apps/admin/src/testing/api.ts";
import { type CommandLine, openCommandLine } from "./command-line.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
let line: CommandLine;
let url: string;
let postern: CommandLine["postern"];

beforeAll(async () => {
  line = await openCommandLine();
  ({ url, postern } = line);
});
afterAll(() => line.close());

test("resources: set by fields and by file, list, get, delete", async () => {
  const set = await postern([
    "relays",
    "set",
    "internal",
    "kind=smtp",
    "hosts.0.host=10.0.0.5",
    "hosts.0.port=2525",
    "tls={policy: encrypt}",
  ]);
  expect([set.code, set.error]).toEqual([0, ""]);
  const files = { "d.yaml": "relay: internal\ncatchAll: post@bücher.example\n" };
  const domain = ["domains", "set", "bücher.example", "-f", "d.yaml", "sourceRoutes=refuse"];
  expect((await postern(domain, { files })).code).toBe(0);

  expect((await postern(["relays", "list"])).out).toBe([
    "NAME      KIND  GOES TO                        TLS",
    "default   mx    the mail hosts of each domain  may",
    "internal  smtp  10.0.0.5:2525                  encrypt",
    "",
  ].join("\n"));
  expect(JSON.parse((await postern(["--json", "domains", "list"])).out)).toMatchObject([
    { name: "xn--bcher-kva.example", relay: "internal", sourceRoutes: "refuse" },
  ]);
  expect((await postern(["domains", "get", "bücher.example"])).out)
    .toContain("catchAll: post@xn--bcher-kva.example\n");
  expect(await postern(["relays", "delete", "internal"])).toMatchObject({
    code: 1,
    error: expect.stringMatching(/^postern: .*domain xn--bcher-kva\.example/),
  });
  expect((await postern(["domains", "delete", "bücher.example"])).out)
    .toBe("domain bücher.example is deleted\n");
  expect((await postern(["relays", "delete", "internal"])).code).toBe(0);
});

test("recipients: put in every form, list, add, delete", async () => {
  await postern(["domains", "set", "listed.test", "relay=default", "recipients={verify: list}"]);
  const files = {
    "a.ndjson": '{"address":"ann"}\n"bob@listed.test"\n',
    "a.json": '["ann"]',
    "a.csv": "address,name\r\nann,Ann\r\ncarl,Carl\r\n",
    "a.txt": '\nann\n"a b"@listed.test\n',
    "bad.txt": "ann\n\nbob@other.test\n",
  };
  const put = async (...args: string[]) =>
    (await postern(["recipients", "put", "listed.test", ...args], { files })).out;
  expect(await put("-f", "a.ndjson")).toBe("2 added, 0 removed: 2 recipients of listed.test\n");
  expect(await put("-f", "a.json")).toBe("0 added, 1 removed: 1 recipient of listed.test\n");
  expect(await put("-f", "a.csv")).toBe("1 added, 0 removed: 2 recipients of listed.test\n");
  expect(await put("-f", "a.txt")).toBe("1 added, 1 removed: 2 recipients of listed.test\n");
  const bad = await postern(["recipients", "put", "listed.test", "-f", "bad.txt"], { files });
  expect([bad.code, bad.error]).toEqual([
    1,
    "postern: The list is not valid; nothing was changed\n" +
    '  line 3: "bob@other.test" is no local part and no address of listed.test\n',
  ]);
  expect((await postern(["recipients", "add", "listed.test", "Dora", "carl"])).out)
    .toBe("dora is on the list\ncarl is on the list\n");
  const noted = ["listed.test", "ann", "--note", "she left"];
  expect((await postern(["recipients", "delete", ...noted])).out).toBe("ann is off the list\n");
  expect((await postern(["config", "versions", "--limit", "1"])).out).toContain("she left");
  expect((await postern(["recipients", "delete", "listed.test", "ann"])).error)
    .toBe("postern: ann is not on the recipient list of listed.test\n");
  const list = async (...args: string[]) =>
    (await postern(["recipients", "list", "listed.test", ...args])).out;
  expect(await list()).toBe('"a b"\ncarl\ndora\n');
  expect(await list("--format", "csv")).toBe('address\r\n"""a b"""\r\ncarl\r\ndora\r\n');
  expect(JSON.parse(await list("--json"))).toEqual(['"a b"', "carl", "dora"]);
  for (const format of ["text", "ndjson", "csv", "json"]) {
    const given = { files: { "-": await list("--format", format) } };
    const args = ["recipients", "put", "listed.test", "-f", "-", "--format", format];
    expect((await postern(args, given)).out, format)
      .toBe("0 added, 0 removed: 3 recipients of listed.test\n");
  }
  expect((await postern(["recipients", "list", "other.test"])).error)
    .toBe("postern: There is no domain other.test\n");
  await postern(["domains", "delete", "listed.test"]);
});

test("every field at fault is named with its pointer", async () => {
  const { code, out, error } = await postern([
    "relays",
    "set",
    "bad",
    "--definition",
    '{"kind":"smtp","hosts":[{"host":"a b","port":0}],"extra":1}',
  ]);
  expect([code, out]).toEqual([1, ""]);
  const [sentence, ...fields] = error.trimEnd().split("\n");
  expect(sentence).toBe("postern: The relay is not valid");
  expect(fields.map((line) => line.split(":")[0]!.trim()).toSorted())
    .toEqual(["/extra", "/hosts/0/host", "/hosts/0/port"]);
});

test.each([
  [["frobnicate"], 2, /unknown command/],
  [["relays", "set", "x"], 2, /give the definition/],
  [["relays", "set", "x", "=1"], 2, /expected KEY=VALUE/],
  [["relays", "set", "x", "hosts.0.host=a", "hosts.x=1"], 2, /hosts\.x=1: x is no place in a list/],
  [["domains", "set", "x.test", "aliases.__proto__=[a@b.test]"], 2, /no such field/],
  [
    ["domains", "set", "x.test", "aliases={__proto__: [a@b.test]}"],
    1,
    /^ {2}\/aliases\/__proto__: /m,
  ],
  [["relays", "set", "x", "-f", "no.yaml"], 1, /no\.yaml cannot be read: no such file/],
  [["relays", "get", "nix"], 1, /^postern: There is no relay nix\n$/],
  [["--url", "nowhere", "relays", "list"], 1, /expected http:\/\/HOST:PORT/],
  [["--token", "wrong", "relays", "list"], 1, /POSTERN_TOKEN/],
  [["messages", "list", "--limit", "many"], 2, /expected a number/],
  [["messages", "list", "--state", "lost"], 1, /^ {2}state: expected one of/m],
  [["explain", "--from", "a@b.test"], 2, /--to/],
])("%j is refused", async (args, code, words) => {
  const said = await postern(args);
  expect([said.code, said.out]).toEqual([code, ""]);
  expect(said.error).toMatch(words);
});

test("a gateway that is away is told in one sentence", async () => {
  const closed = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  closed.close();
  const said = await postern(["--url", `http://127.0.0.1:${closed.addr.port}`, "relays", "list"]);
  expect([said.code, said.out]).toEqual([1, ""]);
  expect(said.error).toMatch(/^postern: http:\S+ cannot be asked: Connection refused\. Is .*\n$/);
});

test("a gateway that is not ready says why", async () => {
  const away = await openCommandLine("postgres://nobody@127.0.0.1:1/nothing");
  expect(await away.postern(["status"])).toMatchObject({
    code: 1,
    out: "",
    error: "postern: The answer was HTTP 503 without a problem document: " +
      '{"status":"unavailable","database":"unavailable"}\n',
  });
  await away.close();
});

test("config: export, diff, apply, versions, show and restore", async () => {
  const exported = await postern(["config", "export", "-o", "gateway.yaml"]);
  expect([exported.code, exported.out, exported.error]).toEqual([0, "", ""]);
  const before = exported.written["gateway.yaml"]!;
  const files = {
    "same.yaml": before,
    "more.yaml": before.replace("relays:\n", "relays:\n  bin:\n    kind: discard\n"),
    "bad.yaml": "domains: {a.test: {relay: nowhere}}\n",
  };
  expect((await postern(["config", "diff", "-f", "same.yaml"], { files })).out)
    .toBe("No difference\n");
  expect((await postern(["config", "apply", "-f", "more.yaml", "--dry-run"], { files })).out)
    .toBe("+ relays bin\nNothing was changed: --dry-run\n");
  expect((await postern(["relays", "get", "bin"])).code).toBe(1);
  const applied = await postern(["config", "apply", "-f", "more.yaml", "--note", "a bin"], {
    files,
  });
  const version = Number(/^\+ relays bin\nIn force: version (\d+)\n$/.exec(applied.out)?.[1]);
  expect((await postern(["config", "versions", "--limit", "1"])).out)
    .toMatch(new RegExp(`^VERSION .*\n +${version} .* a bin\n$`));
  expect((await postern(["config", "show", String(version)])).out).toBe("+ relays bin\n");
  const bad = await postern(["config", "apply", "-f", "bad.yaml"], { files });
  expect([bad.code, bad.out]).toEqual([1, ""]);
  expect(bad.error).toMatch(/^ {2}\/domains\/a\.test\/relay: there is no relay nowhere$/m);
  expect((await postern(["config", "restore", String(version - 1)])).out)
    .toBe(`In force: version ${version + 1}, restore version ${version - 1}\n`);
  expect((await postern(["relays", "get", "bin"])).code).toBe(1);
  const json = JSON.parse((await postern(["config", "export", "--format", "json"])).out);
  expect(json).toHaveProperty(["relays", "default", "kind"], "mx");
});

test("explain tells the decision and the way to it", async () => {
  await postern(["relays", "set", "bin", "kind=discard"]);
  await postern(["domains", "set", "a.test", "relay=bin"]);
  await postern([
    "rules",
    "set",
    "lottery",
    'match={header: {name: Subject, value: {wildcard: "*lottery*"}}}',
    "actions=[{do: reject, text: No lotteries}]",
  ]);
  const mail = [
    "explain",
    "--from",
    "<>",
    "--to",
    "u@a.test",
    "v@b.test",
    "--client",
    "203.0.113.9",
  ];
  const plain = await postern(mail);
  expect([plain.code, plain.error]).toEqual([0, ""]);
  expect(plain.out).toMatch(/^u@a\.test: deliver\n {2}.*to u@a\.test by relay bin \(discard\)/ms);
  expect(plain.out).toMatch(/^v@b\.test: reject/m);
  expect((await postern([...mail, "--header", "Subject: a lottery for you"])).out)
    .toMatch(/^u@a\.test: reject, by rule lottery$/m);
  await postern([
    "rules",
    "set",
    "lottery",
    "actions=[{do: hold, reason: Greed}, {do: tag, tag: prize}]",
  ]);
  expect((await postern(mail)).out)
    .toMatch(/^ {2}held for u@a\.test by relay bin \(discard\), because: Greed, tags prize$/m);
});

test("tokens: made, listed, of use, deleted", async () => {
  const made = await postern(["tokens", "create", "reader", "--scope", "config:read"]);
  expect([made.code, made.error]).toEqual([0, "Keep it: it is not shown again\n"]);
  const token = made.out.trim();
  expect((await postern(["relays", "list"], { token })).code).toBe(0);
  expect((await postern(["relays", "delete", "bin"], { token })).code).toBe(1);
  expect((await postern(["tokens", "list"])).out)
    .toMatch(/^NAME .*\nreader +config:read +never +/);
  expect((await postern(["tokens", "delete", "reader"])).out).toBe("token reader is deleted\n");
  expect((await postern(["relays", "list"], { token })).error).toContain("POSTERN_TOKEN");
});

test("the queue, and what there is not", async () => {
  expect((await postern(["queue"])).out).toBe("The queue is empty\n");
  expect((await postern(["destinations", "list"])).out).toMatch(/^ID {2}RELAY {2}NEXT HOP/);
  expect((await postern(["destinations", "pause", "a.test"])).error)
    .toBe("postern: There is no destination a.test\n");
  const id = "01a20fa6-0cc0-723d-8288-a4a14538b2e9";
  for (const action of ["show", "raw", "hold", "release", "retry", "cancel", "reroute"]) {
    expect((await postern(["messages", action, id])).error).toContain(`no message ${id}`);
  }
});

test("settings, status and help", async () => {
  expect((await postern(["settings", "set", "postmaster=post@example.com"])).code).toBe(0);
  expect((await postern(["settings", "get"])).out).toMatch(/^postmaster: post@example\.com$/m);
  expect((await postern(["status"])).out).toMatch(/^gateway: .*is ok\ndatabase: +ok\n/);
  const help = await postern(["--help"]);
  expect([help.code, help.error]).toEqual([0, ""]);
  for (const command of ["queue", "messages", "config", "explain", "tokens", "import"]) {
    expect(help.out).toMatch(new RegExp(`^  ${command} `, "m"));
  }
});

test("as a process: by the link that npx follows, with the files it was told and no others", async () => {
  const start = async (...args: string[]) => {
    const { code, stdout, stderr } = await new Deno.Command("node", {
      args: [join(root, "apps/cli/bin/postern.mjs"), ...args],
      cwd: root,
      env: { POSTERN_URL: url, POSTERN_TOKEN: TOKEN, NO_COLOR: "1" },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, out: text(stdout), error: text(stderr) };
  };
  const { code, stderr } = await new Deno.Command("sh", {
    args: ["-c", "exec node apps/cli/bin/postern.mjs --help > /dev/full"],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  expect([code, new TextDecoder().decode(stderr)]).toEqual([
    1,
    expect.stringMatching(/^postern: the output cannot be written: No space left on device.*\n$/),
  ]);
  const directory = await Deno.makeTempDir();
  try {
    const file = join(directory, "a,b.yaml");
    await Deno.writeTextFile(file, "networks: [10.0.0.0/8]\n");
    const set = await start("clients", "set", "lan", `--file=${file}`);
    expect([set.code, set.error]).toEqual([0, ""]);
    const listed = await start("clients", "list", "--json");
    expect(JSON.parse(listed.out)).toMatchObject([{ name: "lan", networks: ["10.0.0.0/8"] }]);
    await Deno.writeTextFile(
      join(directory, "main.cf"),
      "relay_domains = a.test\nmynetworks =\n" +
        "relay_recipient_maps = inline:{ann@a.test=x}\n",
    );
    const imported = await start("import", "postfix", directory, "-o", join(directory, "out.yaml"));
    expect([imported.code, imported.error]).toEqual([0, expect.stringContaining("recipients put")]);
    expect(await Deno.readTextFile(join(directory, "out.recipients", "a.test.ndjson")))
      .toBe('{"address":"ann@a.test"}\n');
    expect((await start("clients")).code).toBe(2);
    expect((await start("clients", "get", "nobody")).code).toBe(1);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});
