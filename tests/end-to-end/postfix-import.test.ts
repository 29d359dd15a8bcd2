/**
 * Postfix configurations brought over: imported by the command line, applied over a real API with
 * their recipient lists, and what becomes of mail then.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { parse } from "yaml";
import { type CommandLine, openCommandLine } from "./command-line.ts";

const company = fileURLToPath(
  new URL("../../apps/cli/src/postfix/golden/company", import.meta.url),
);
interface Rule {
  readonly match: { readonly forwardPath?: string };
  readonly actions: readonly { readonly relay?: string }[];
}

let line: CommandLine;
let postern: CommandLine["postern"];

beforeAll(async () => {
  line = await openCommandLine();
  ({ postern } = line);
});
beforeEach(async () => {
  const files = { "nothing.yaml": "{}" };
  expect((await postern(["config", "apply", "-f", "nothing.yaml"], { files })).error).toBe("");
});
afterAll(() => line.close());

/** Imports a directory and applies what it brings, as its last words on stderr say. */
async function bringOver(files: Readonly<Record<string, string>>, directory: string) {
  const imported = await postern(["import", "postfix", directory, "-o", "out.yaml"], { files });
  expect([imported.code, imported.out]).toEqual([0, ""]);
  const { written } = imported;
  const dryRun = await postern(["config", "diff", "-f", "out.yaml"], { files: written });
  expect([dryRun.code, dryRun.error]).toEqual([0, ""]);
  const applied = await postern(["config", "apply", "-f", "out.yaml"], { files: written });
  expect([applied.code, applied.error]).toEqual([0, ""]);
  const [remarks = "", commands = ""] = imported.error.split(/^Recipient lists.*\n/m);
  const puts: string[] = [];
  for (const command of commands.split("\n").filter((text) => text !== "")) {
    const words = command.trim().split(" ").map((word) => word.replaceAll("'", ""));
    const put = await postern(words.slice(1), { files: written });
    expect([put.code, put.error]).toEqual([0, ""]);
    puts.push(put.out.trimEnd());
  }
  return { remarks, puts, written, document: parse(written["out.yaml"]!) };
}

async function filesOf(directory: string) {
  const files: Record<string, string> = {};
  for await (const { name } of Deno.readDir(directory)) {
    files[join(directory, name)] = await Deno.readTextFile(join(directory, name));
  }
  return files;
}

/** The first line of what explain says to a recipient, and the copies. */
async function wayOf(recipient: string, client: string) {
  const { out } = await postern([
    "explain",
    "--from",
    "a@outside.test",
    "--to",
    recipient,
    "--client",
    client,
  ]);
  const [decision = "", ...others] = out.split("\n");
  const copies = others.flatMap((text) =>
    /^ {2}to (\S+) by relay (\S+)/.exec(text)?.slice(1).join(" by ") ?? []
  );
  return [decision.replace(`${recipient}: `, ""), ...copies].join("; ");
}

test("a company's gateway: accepted whole, and mail goes as it went", async () => {
  const { puts, written } = await bringOver(await filesOf(company), company);
  expect(Object.keys(written)).toEqual(["out.yaml", "out.recipients/example.com.ndjson"]);
  expect(puts).toEqual(["2 added, 0 removed: 2 recipients of example.com"]);

  const outside = "203.0.113.9";
  const ways = Object.fromEntries(
    await Promise.all([
      "ann@example.com",
      "ann+list@example.com",
      "nobody@example.com",
      "sales@example.com",
      "anyone@example.net",
      "info@alias.test",
      "nobody@alias.test",
      "ann@old.test",
      "a@partner.test",
      "a@elsewhere.test",
    ].map(async (recipient) => [recipient, await wayOf(recipient, outside)])),
  );
  const inside = await Promise.all(
    ["a@partner.test", "a@x.deep.partner.test", "a@elsewhere.test", "a@sink.test"]
      .map((recipient) => wayOf(recipient, "10.0.0.1")),
  );
  expect({ ways, inside }).toMatchInlineSnapshot(`
    {
      "inside": [
        "deliver, by rule transport-partner.test; a@partner.test by smtp-mx.partner.test-25",
        "deliver, by rule transport-.deep.partner.test; a@x.deep.partner.test by smtp-gate.partner.test-25",
        "deliver; a@elsewhere.test by default",
        "deliver, by rule transport-sink.test; a@sink.test by discard",
      ],
      "ways": {
        "a@elsewhere.test": "reject",
        "a@partner.test": "reject",
        "ann+list@example.com": "deliver; ann+list@example.com by smtp-10.0.0.5-25",
        "ann@example.com": "deliver; ann@example.com by smtp-10.0.0.5-25",
        "ann@old.test": "deliver, by rule virtual-old.test; ann@example.com by smtp-10.0.0.5-25",
        "anyone@example.net": "deliver; anyone@example.net by lmtp-10.0.0.7-24",
        "info@alias.test": "deliver; ann@example.com by smtp-10.0.0.5-25",
        "nobody@alias.test": "reject",
        "nobody@example.com": "reject",
        "sales@example.com": "deliver; ann@example.com by smtp-10.0.0.5-25; bob@example.com by smtp-10.0.0.5-25",
      },
    }
  `);
});

test("what the API would refuse stays behind with its line; all the rest comes", async () => {
  const long = `${"a".repeat(60)}.${"b".repeat(60)}.test`;
  const many = Array.from({ length: 1500 }, (_, index) => `u${index}@x.test`).join(",");
  const { remarks, puts, document } = await bringOver({
    "/pf/main.cf": [
      "mydestination =",
      "mynetworks = 10.0.0.0/8 10.0.0.0/33 fe80::%eth0/64 [::1]/128",
      `relay_domains = example.com bücher.test gone.test .sub.test [192.0.2.1] ${long}`,
      " EXAMPLE.com",
      "parent_domain_matches_subdomains =",
      "relayhost = [2001:db8::1]:2525",
      "message_size_limit = 100",
      "transport_maps = texthash:/etc/postfix/transport",
      "virtual_alias_maps = texthash:/etc/postfix/virtual",
      "relay_recipient_maps = texthash:/etc/postfix/recipients",
    ].join("\n"),
    "/pf/transport": [
      "example.com smtp:[10.0.0.5]:70000",
      "gone.test smtp:[bad host]:25",
      "example.com.hosts smtp:[no_-.]:25",
      ".sub.test smtp:[2001:db8::5]:25",
      "a_b@x.test smtp:[10.0.0.1]",
      "a-b@x.test smtp:[10.0.0.2]",
      "a+b@x.test smtp:[10.0.0.3]",
      "a!b@x.test smtp:[10.0.0.4]",
      "@x.test smtp:[10.0.0.6]",
      `${long} error:5.7.1 ${"long ".repeat(300)}`,
      "t.test error:4.7.1 later\u0001or never",
    ].join("\n"),
    "/pf/virtual": [
      "@gone.test x@example.com",
      `ann@bücher.test bad..dots@x.test, ok@x.test`,
      "bob..x@bücher.test ok@x.test",
      "carl@bücher.test x@[192.0.2.1]",
      `erik@bücher.test ${many}`,
      "@bücher.test @[192.0.2.1]",
      `@${long} @x.test`,
    ].join("\n"),
    "/pf/recipients": [
      "ok@bücher.test x",
      "OK@bücher.test x",
      "bad..dots@bücher.test x",
      "x@deep.sub.test x",
      "y@gone.test x",
    ].join("\n"),
  }, "/pf");
  expect(remarks.replaceAll("/pf/", "").replaceAll(/(\S)\1{20,}/g, "$1…")).toMatchInlineSnapshot(`
    "main.cf:2: mynetworks: 10.0.0.0/33 is left out: it is no network in CIDR notation
    main.cf:2: mynetworks: fe80::%eth0/64 is left out: it is no network in CIDR notation
    main.cf:3: relay_domains: [192.0.2.1] is left out: it is no plain domain name
    main.cf:7: message_size_limit 100: the least is 65536
    recipients:3: bad..dots@bücher.test is left out: it is no mail address
    recipients:5: y@gone.test is left out: it is in no relay domain
    transport:1: next hop [10.0.0.5]:70000 is left out: it is no [host]:port
    transport:2: next hop [bad is left out: it is no [host]:port
    transport:3: relay smtp-no_-.-25 is left out: hosts.0.host expected a host name or an IP address
    transport:9: @x.test is left out: it is neither a domain nor an address
    transport:11: error:4.7.1 later\\x01or never: mail is refused for good here, not for a while
    virtual:1: @gone.test is left out: gone.test is no domain here
    virtual:2: ann@bücher.test: bad..dots@x.test is left out: expected whole addresses
    virtual:3: bob..x@bücher.test is left out: it is no mail address
    virtual:4: carl@bücher.test: x@[192.0.2.1] is left out: expected whole addresses
    virtual:5: erik@bücher.test is left out: an alias has at most 1000 addresses
    virtual:6: @xn--bcher-kva.test is left out: expected one whole address
    "
  `);
  expect(puts).toEqual([
    "1 added, 0 removed: 1 recipient of xn--bcher-kva.test",
    "1 added, 0 removed: 1 recipient of *.sub.test",
  ]);
  expect(Object.keys(document.domains)).toEqual(["xn--bcher-kva.test", "*.sub.test", long]);
  expect(document.domains["xn--bcher-kva.test"].aliases).toEqual({ ann: ["ok@x.test"] });
  expect(document.clients.mynetworks.networks).toEqual(["10.0.0.0/8", "::1/128"]);
  expect(document.relays.reject.text).toMatch(/^(long ){79}long$/);
  expect(document.relays["reject-2"]).toEqual({ kind: "reject", text: "later or never" });
  // Names that look alike do not take each other's place.
  const rules: Rule[] = Object.values(document.rules);
  const forAddresses = rules.filter(({ match }) => match.forwardPath !== undefined);
  expect(forAddresses.map(({ match, actions }) => [match.forwardPath, actions[0]?.relay]))
    .toEqual([
      ["a_b@x.test", "smtp-10.0.0.1-25"],
      ["a-b@x.test", "smtp-10.0.0.2-25"],
      ["a+b@x.test", "smtp-10.0.0.3-25"],
      ["a!b@x.test", "smtp-10.0.0.4-25"],
    ]);
});
