/**
 * Delivery by MX lookup, whole: a worker process, a real name server with a zone of its own, and mail
 * hosts with addresses of their own that listen on the real port 25. The worker finds the name server
 * where every program does, in /etc/resolv.conf, of which it gets its own in a mount namespace.
 */
import { spawn } from "node:child_process";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";
import { missing, pathOf } from "./peers.ts";

/** Loopback is 127.0.0.0/8: a network of this test run's own, should there be another one. */
const NETWORK = `127.${100 + Deno.pid % 100}.${1 + Math.floor(Deno.pid / 100) % 250}`;
const address = (last: number) => `${NETWORK}.${last}`;
const [NAME_SERVER, A, B, DOWN] = [address(53), address(11), address(12), address(99)];

const EQUALS = Array.from({ length: 20 }, (_, index) => `equal-${index}`);

/** The zone `test`; of `broken.test`, below it, the name server has no data: SERVFAIL. */
const ZONE = `$ORIGIN test.
$TTL 60
@ SOA ns admin 1 3600 600 86400 1
@ NS ns
ns A ${NAME_SERVER}
a.hosts A ${A}
b.hosts A ${B}
down.hosts A ${DOWN}
alias.hosts CNAME a.hosts
gateway A ${A}
preference MX 20 b.hosts
preference MX 10 a.hosts
fallback MX 10 down.hosts
fallback MX 20 b.hosts
bare A ${B}
dual A ${B}
dual AAAA 2001:db8::1
alias CNAME preference
to-alias MX 10 alias.hosts
null MX 0 .
nowhere MX 10 gone.hosts
wild-goose MX 10 host.broken
loop MX 10 gateway
loop MX 20 b.hosts
cut MX 10 down.hosts
cut MX 20 gateway
cut MX 30 b.hosts
${EQUALS.map((name) => `${name} MX 10 a.hosts\n${name} MX 10 b.hosts`).join("\n")}
`;

interface Case {
  readonly domain: string;
  /** The host that gets it, or the reply. */
  readonly delivered?: "a" | "b";
  readonly bounced?: RegExp;
  readonly deferred?: RegExp;
}

const cases: readonly Case[] = [
  { domain: "preference.test", delivered: "a" },
  { domain: "fallback.test", delivered: "b" },
  { domain: "bare.test", delivered: "b" },
  { domain: "dual.test", delivered: "b" },
  { domain: "alias.test", delivered: "a" },
  { domain: "to-alias.test", delivered: "a" },
  { domain: "null.test", bounced: /^556 5\.1\.10 / },
  { domain: "gone.test", bounced: /^550 5\.1\.2 / },
  { domain: "nowhere.test", bounced: /^550 5\.4\.4 / },
  { domain: "loop.test", bounced: /^554 5\.4\.6 / },
  // Nobody could say: it waits, however often it was tried.
  { domain: "broken.test", deferred: /^451 4\.4\.3 / },
  { domain: "wild-goose.test", deferred: /^451 4\.4\.3 / },
  // Behind our own name is nobody to be tried (RFC 5321 §5.1): not b, which would take it.
  { domain: "cut.test", deferred: /^451 4\.4\.1 .*down\.hosts\.test/ },
];

const lacking = missing("nsd", "unshare", "root");
const note = lacking.length === 0 ? "" : ` (missing here: ${lacking.join(", ")})`;

describe.skipIf(lacking.length > 0)(`by MX lookup${note}`, () => {
  const gateway = new Gateway();
  const hosts = { a: new NextHop(), b: new NextHop() };
  let nameServer: ReturnType<typeof spawn>;
  let folder = "";
  let port = 0;

  beforeAll(async () => {
    folder = await Deno.makeTempDir({ prefix: "postern-mx-" });
    await Deno.writeTextFile(`${folder}/test.zone`, ZONE);
    await Deno.writeTextFile(`${folder}/resolv.conf`, `nameserver ${NAME_SERVER}\n`);
    await Deno.writeTextFile(
      `${folder}/nsd.conf`,
      `server:
  ip-address: ${NAME_SERVER}
  server-count: 1
  username: ""
  chroot: ""
  zonesdir: "${folder}"
  pidfile: ""
  xfrdfile: "${folder}/xfrd.state"
  xfrdir: "${folder}"
  zonelistfile: "${folder}/zone.list"
remote-control:
  control-enable: no
zone:
  name: test
  zonefile: test.zone
zone:
  name: broken.test
  zonefile: broken.zone
`,
    );
    nameServer = spawn(pathOf("nsd"), ["-d", "-c", `${folder}/nsd.conf`], { stdio: "ignore" });
    const ask = { nameServer: { ipAddr: NAME_SERVER } };
    await eventually(
      "the name server answers",
      async () => (await Deno.resolveDns("a.hosts.test", "A", ask))[0] === A,
    );
    await hosts.a.start(25, A);
    await hosts.b.start(25, B);
    await gateway.start({
      "/v1/clients/loopback": { networks: ["127.0.0.0/8"] },
      "/v1/relays/default": { kind: "mx", retry: { delays: [1], lifetime: 600 } },
      "/v1/relays/capture": { kind: "capture" },
      "/v1/domains/sender.test": { relay: "capture" },
    });
    const ownResolvConf = [
      ...[pathOf("unshare"), "--mount", "sh", "-c"],
      ...['mount --bind "$0" /etc/resolv.conf && exec "$@"', `${folder}/resolv.conf`],
    ];
    const [ingress] = await Promise.all([
      gateway.startIngress(),
      gateway.startWorker(ownResolvConf),
    ]);
    port = ingress.port;
  });

  afterAll(async () => {
    await gateway.stop();
    await Promise.all([hosts.a.stop(), hosts.b.stop()]);
    const ended = new Promise((resolve) => nameServer?.once("exit", resolve));
    if (nameServer?.kill("SIGTERM")) await ended;
    await Deno.remove(folder, { recursive: true });
  });

  const send = async (domain: string) =>
    queueIdOf(await sendMail(port, "s@sender.test", [`u@${domain}`], contentWith(domain)));

  const hostOf = (domain: string) =>
    Object.entries(hosts).flatMap(([name, host]) =>
      host.acceptedFor(`u@${domain}`).map(() => name)
    );

  describe.concurrent("a domain", () => {
    test.each(cases)("$domain", async ({ domain, delivered, bounced, deferred }) => {
      const id = await send(domain);
      if (deferred === undefined) {
        const message = await gateway.message(id, "delivered", "bounced");
        const [recipient] = message.recipients;
        expect(recipient?.state).toBe(delivered === undefined ? "bounced" : "delivered");
        if (bounced !== undefined) expect(recipient?.lastReply).toMatch(bounced);
        expect(hostOf(domain)).toEqual(delivered === undefined ? [] : [delivered]);
        return;
      }
      const events = await eventually("it was tried twice", async () => {
        const { events } = await gateway.message(id, "deferred");
        const told = events.filter(({ kind }) => kind === "deferred");
        return told.length >= 2 && told;
      });
      for (const { reply } of events) expect(reply).toMatch(deferred);
      expect(hostOf(domain)).toEqual([]);
    });
  });

  test("hosts of the same preference share the mail", async () => {
    const ids = await Promise.all(EQUALS.map((name) => send(`${name}.test`)));
    for (const id of ids) await gateway.message(id, "delivered");
    const shares = Object.fromEntries(
      ["a", "b"].map((
        host,
      ) => [host, EQUALS.filter((name) => hostOf(`${name}.test`)[0] === host).length]),
    );
    // That one gets all of it by chance happens once in half a million runs.
    expect(shares["a"]).toBeGreaterThan(0);
    expect(shares["b"]).toBeGreaterThan(0);
    expect(shares["a"]! + shares["b"]!).toBe(EQUALS.length);
  });
});
