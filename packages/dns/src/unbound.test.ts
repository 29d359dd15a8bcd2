/** The resolver against a real unbound with data of its own. Skipped where it is not installed. */
import { spawn } from "node:child_process";
import { createSocket } from "node:dgram";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parseHosts } from "./hosts-file.ts";
import { findMailHosts } from "./mail-hosts.ts";
import type { Resolver } from "./records.ts";
import { createResolver } from "./resolver.ts";

const UNBOUND = "/usr/sbin/unbound";

const LOCAL_DATA = [
  "example.test. 300 IN MX 20 b.example.test.",
  "example.test. 300 IN MX 10 a.example.test.",
  'example.test. 300 IN TXT "v=spf1 -all"',
  "a.example.test. 300 IN A 192.0.2.1",
  "a.example.test. 300 IN AAAA 2001:db8::1",
  "b.example.test. 300 IN A 192.0.2.2",
  "www.example.test. 300 IN CNAME a.example.test.",
  "null.example.test. 300 IN MX 0 .",
  "bare.example.test. 300 IN A 192.0.2.3",
  "_25._tcp.a.example.test. 300 IN TLSA 3 1 1 " + "ab".repeat(32),
  ...Array.from({ length: 150 }, (_, i) => `many.example.test. 300 IN A 198.51.100.${i}`),
];

async function freePort(): Promise<number> {
  const socket = createSocket("udp4");
  await new Promise<void>((done) => socket.bind(0, "127.0.0.1", done));
  const { port } = socket.address();
  await new Promise<void>((done) => socket.close(() => done()));
  return port;
}

describe.skipIf(!existsSync(UNBOUND))("with unbound", () => {
  const directory = mkdtempSync(join(tmpdir(), "postern-unbound-"));
  let unbound: ReturnType<typeof spawn>;
  let resolver: Resolver;

  /** Starts it on a port that was free a moment ago; rejects with what it said when it ends. */
  async function start(port: number): Promise<void> {
    const config = join(directory, "unbound.conf");
    writeFileSync(
      config,
      `server:
  interface: 127.0.0.1
  port: ${port}
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "${directory}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  module-config: "iterator"
  minimal-responses: yes
  local-zone: "test." static
  local-data: "test. 60 IN SOA ns.test. admin.test. 1 3600 600 86400 60"
${LOCAL_DATA.map((line) => `  local-data: '${line}'`).join("\n")}
remote-control:
  control-enable: no
`,
    );
    unbound = spawn(UNBOUND, ["-d", "-c", config], { stdio: ["ignore", "ignore", "pipe"] });
    let said = "";
    await new Promise<void>((ready, fail) => {
      unbound.stderr!.on("data", (chunk) => {
        said += chunk;
        if (said.includes("start of service")) ready();
      });
      unbound.on("exit", () => fail(new Error(said)));
    });
  }

  beforeAll(async () => {
    let port = 0;
    for (let attempt = 1;; attempt += 1) {
      port = await freePort();
      try {
        await start(port);
        break;
      } catch (error) {
        // Somebody else may have taken the port meanwhile, for UDP or for TCP.
        if (attempt === 5 || !String(error).includes("in use")) throw error;
      }
    }
    resolver = createResolver({
      servers: [{ address: "127.0.0.1", port }],
      timeoutMs: 5000,
      attempts: 2,
      hosts: parseHosts(""),
    });
  }, 20_000);

  afterAll(async () => {
    const ended = new Promise<void>((done) => {
      if (unbound.exitCode !== null) done();
      else unbound.on("exit", () => done());
    });
    unbound.kill("SIGTERM");
    await ended;
    rmSync(directory, { recursive: true });
  });

  test("finds mail hosts, null MX, the bare address and no name", async () => {
    const find = async (domain: string) => {
      const found = await findMailHosts(domain, { resolver, ownNames: [] });
      return found.status === "hosts"
        ? found.hosts.map((host) => [host.name, host.addresses])
        : found.status;
    };
    expect(await find("Example.test")).toEqual([
      ["a.example.test", ["2001:db8::1", "192.0.2.1"]],
      ["b.example.test", ["192.0.2.2"]],
    ]);
    expect(await find("null.example.test")).toBe("nullMx");
    expect(await find("bare.example.test")).toEqual([["bare.example.test", ["192.0.2.3"]]]);
    expect(await find("gone.example.test")).toBe("noName");
  });

  test("follows aliases, takes TCP for long answers, reads TLSA, and keeps negative TTLs", async () => {
    expect(await resolver.query("www.example.test", "A")).toMatchObject({ records: ["192.0.2.1"] });
    const many = await resolver.query("many.example.test", "A");
    expect(many.status === "answer" && many.records.length).toBe(150);
    const tlsa = await resolver.query("_25._tcp.a.example.test", "TLSA");
    if (tlsa.status !== "answer") throw new Error(tlsa.status);
    expect(tlsa.records[0]).toMatchObject({ usage: 3, selector: 1, matchingType: 1 });
    expect(tlsa.records[0]!.certificate.length).toBe(32);
    expect(await resolver.query("bare.example.test", "MX")).toMatchObject({
      status: "noData",
      ttl: 60,
    });
  });
});
