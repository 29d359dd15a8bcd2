import { Buffer } from "node:buffer";
import dnsPacket, { type Answer } from "dns-packet";
import { describe, expect, test } from "vitest";
import { parseHosts } from "./hosts-file.ts";
import { createResolver } from "./resolver.ts";
import type { ResolverOptions } from "./resolver.ts";
import { record, response, ScriptedServer } from "./scripted-server.ts";

const SERVFAIL = 2;
const NXDOMAIN = 3;
const REFUSED = 5;
const hosts = parseHosts("192.0.2.99 mailhub\n2001:db8::99 mailhub");

function resolverFor(servers: readonly ScriptedServer[], options: ResolverOptions = {}) {
  return createResolver({
    servers: servers.map((server) => server.server),
    timeoutMs: 5000,
    attempts: 2,
    hosts,
    ...options,
  });
}

describe("answers", () => {
  test("of every type come with their data", async () => {
    await using server = await ScriptedServer.start(({ name, type }) => {
      switch (type) {
        case "A":
          return { answers: [record.a(name, "192.0.2.1"), record.a(name, "192.0.2.2", 30)] };
        case "AAAA":
          return { answers: [record.aaaa(name, "2001:db8::1")] };
        case "MX":
          return { answers: [record.mx(name, 10, "mx.test"), record.mx(name, 0, ".")] };
        case "TXT":
          return { answers: [record.txt(name, "v=spf1 ", "-all")] };
        case "TLSA": {
          const certificate = Buffer.from([1, 2, 3]);
          const data = { usage: 3, selector: 1, matchingType: 1, certificate };
          return { answers: [{ type: "TLSA", name, ttl: 60, data }] };
        }
        default:
          return { answers: [{ type: "PTR", name, ttl: 60, data: "host.test" }] };
      }
    });
    const resolver = resolverFor([server]);
    expect(await resolver.query("A.test.", "A")).toEqual({
      status: "answer",
      records: ["192.0.2.1", "192.0.2.2"],
      ttl: 30,
      authenticated: false,
      canonicalName: "a.test",
    });
    expect(await resolver.query("a.test", "AAAA")).toMatchObject({ records: ["2001:db8::1"] });
    expect(await resolver.query("a.test", "MX")).toMatchObject({
      records: [{ preference: 10, exchange: "mx.test" }, { preference: 0, exchange: "." }],
    });
    const txt = await resolver.query("a.test", "TXT");
    if (txt.status !== "answer") throw new Error(txt.status);
    expect(txt.records[0]!.map((one) => new TextDecoder().decode(one))).toEqual([
      "v=spf1 ",
      "-all",
    ]);
    expect(await resolver.query("_25._tcp.a.test", "TLSA")).toMatchObject({
      records: [{ usage: 3, selector: 1, matchingType: 1 }],
    });
    expect(await resolver.query("1.2.0.192.in-addr.arpa", "PTR")).toMatchObject({
      records: ["host.test"],
    });
  });

  test("are asked for with EDNS, DO, AD, fresh ids and ports", async () => {
    await using server = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1")],
    }));
    const resolver = resolverFor([server]);
    await Promise.all(Array.from({ length: 20 }, (_, i) => resolver.query(`h${i}.test`, "A")));
    const [first] = server.asked;
    const opt = first!.packet.additionals?.[0];
    expect(opt).toMatchObject({ type: "OPT", udpPayloadSize: 1232, flag_do: true });
    expect(first!.packet.flag_ad && first!.packet.flag_rd).toBe(true);
    expect(new Set(server.asked.map((asked) => asked.packet.id)).size).toBeGreaterThan(15);
    expect(new Set(server.asked.map((asked) => asked.port)).size).toBeGreaterThan(10);
  });

  test("carry the AD bit only from a server that is trusted", async () => {
    await using server = await ScriptedServer.start(({ name, type }) =>
      type === "A"
        ? { flags: dnsPacket.AUTHENTIC_DATA, answers: [record.a(name, "192.0.2.1")] }
        : { flags: dnsPacket.AUTHENTIC_DATA, authorities: [record.soa("test", 60)] }
    );
    const trusted = resolverFor([server]);
    expect(await trusted.query("a.test", "A")).toMatchObject({ authenticated: true });
    expect(await trusted.query("a.test", "TLSA")).toMatchObject({
      status: "noData",
      authenticated: true,
    });
    const servers = [{ ...server.server, trusted: false }];
    const other = createResolver({ servers, hosts, timeoutMs: 5000, attempts: 1 });
    expect(await other.query("a.test", "A")).toMatchObject({ authenticated: false });
  });

  test("for names of this network come from the hosts file", async () => {
    await using server = await ScriptedServer.start(() => ({ rcode: NXDOMAIN }));
    const resolver = resolverFor([server]);
    expect(await resolver.query("MailHub", "A")).toMatchObject({ records: ["192.0.2.99"] });
    expect(await resolver.query("mailhub", "AAAA")).toMatchObject({ records: ["2001:db8::99"] });
    expect(await resolver.query("mailhub", "MX")).toMatchObject({ status: "noData" });
    expect(await resolver.query("localhost", "A")).toMatchObject({ records: ["127.0.0.1"] });
    expect(server.asked).toEqual([]);
    expect(await resolver.query("other", "A")).toMatchObject({ status: "noName" });
    expect(server.log).toEqual(["A other udp"]);
  });

  test("for names that cannot be are given without asking, U-labels are asked for as A-labels", async () => {
    await using server = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1")],
    }));
    const resolver = resolverFor([server]);
    for (
      const name of ["", ".", "a..test", "a b.test", `${"x".repeat(64)}.test`, "a.".repeat(130)]
    ) {
      expect(await resolver.query(name, "A")).toMatchObject({ status: "noName" });
    }
    expect(server.asked).toEqual([]);
    expect(await resolver.query("Bücher.test", "A")).toMatchObject({ status: "answer" });
    expect(server.log).toEqual(["A xn--bcher-kva.test udp"]);
  });
});

describe("what is not there", () => {
  test("is a name without data, or no name, and is remembered for the SOA's time", async () => {
    let now = 0;
    await using server = await ScriptedServer.start(({ name }) => ({
      rcode: name === "gone.test" ? NXDOMAIN : 0,
      authorities: [record.soa("test", 90)],
    }));
    const resolver = resolverFor([server], { now: () => now });
    const gone = { status: "noName", ttl: 90, authenticated: false };
    expect(await resolver.query("gone.test", "A")).toEqual(gone);
    expect(await resolver.query("a.test", "MX")).toMatchObject({ status: "noData", ttl: 90 });
    now = 60_000;
    expect(await resolver.query("gone.test", "A")).toEqual({ ...gone, ttl: 30 });
    expect(server.asked.length).toBe(2);
    now = 90_000;
    expect(await resolver.query("gone.test", "A")).toEqual(gone);
    expect(server.asked.length).toBe(3);
  });

  test("is not remembered without a SOA", async () => {
    await using server = await ScriptedServer.start(() => ({ rcode: NXDOMAIN }));
    const resolver = resolverFor([server]);
    await resolver.query("gone.test", "A");
    await resolver.query("gone.test", "A");
    expect(server.asked.length).toBe(2);
  });
});

describe("the cache", () => {
  test("gives an answer until its TTL has passed by the clock handed in", async () => {
    let now = 1e6;
    await using server = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1", 10)],
    }));
    const resolver = resolverFor([server], { now: () => now });
    expect(await resolver.query("a.test", "A")).toMatchObject({ ttl: 10 });
    now += 9_500;
    expect(await resolver.query("A.TEST.", "A")).toMatchObject({ ttl: 1 });
    expect(server.asked.length).toBe(1);
    now += 500;
    expect(await resolver.query("a.test", "A")).toMatchObject({ ttl: 10 });
    expect(server.asked.length).toBe(2);
  });

  test("is bounded, and drops what was used longest ago", async () => {
    await using server = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1")],
    }));
    const resolver = resolverFor([server], { maxCached: 2 });
    for (const name of ["a", "b", "a", "c", "a", "b"]) await resolver.query(`${name}.test`, "A");
    expect(server.log.map((line) => line.split(" ")[1])).toEqual([
      "a.test",
      "b.test",
      "c.test",
      "b.test",
    ]);
  });

  test("keeps no TTL of 0 and no failure", async () => {
    await using server = await ScriptedServer.start(({ name }) =>
      name === "a.test" ? { answers: [record.a(name, "192.0.2.1", 0)] } : { rcode: SERVFAIL }
    );
    const resolver = resolverFor([server]);
    for (const name of ["a.test", "a.test", "b.test", "b.test"]) await resolver.query(name, "A");
    expect(server.asked.length).toBe(4);
  });

  test("lets equal queries under way share one, and bounds how many are", async () => {
    let underWay = 0;
    let most = 0;
    const waiting: (() => void)[] = [];
    await using server = await ScriptedServer.start(async ({ name }) => {
      most = Math.max(most, ++underWay);
      await new Promise<void>((done) => {
        waiting.push(done);
        if (waiting.length === 2) { for (const go of waiting.splice(0)) go(); }
      });
      underWay--;
      return { answers: [record.a(name, "192.0.2.1")] };
    });
    const resolver = resolverFor([server], { maxConcurrent: 2 });
    const names = ["a", "a", "b", "c", "A", "d"];
    const all = await Promise.all(names.map((name) => resolver.query(`${name}.test`, "A")));
    expect(all.every((result) => result.status === "answer")).toBe(true);
    expect(server.asked.length).toBe(4);
    expect(most).toBe(2);
  });
});

describe("servers", () => {
  test("that fail give way to the next, and none makes it a failure, never an absence", async () => {
    await using broken = await ScriptedServer.start(() => ({ rcode: SERVFAIL }));
    await using refusing = await ScriptedServer.start(() => ({ rcode: REFUSED }));
    await using good = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1")],
    }));
    const resolver = resolverFor([broken, refusing, good]);
    expect(await resolver.query("a.test", "A")).toMatchObject({ status: "answer" });
    expect(await resolverFor([broken]).query("a.test", "MX")).toMatchObject({
      status: "failure",
      reason: "serverFailure",
    });
    expect(await resolverFor([broken, refusing]).query("a.test", "MX")).toMatchObject({
      status: "failure",
      reason: "refused",
    });
    // Each server was asked once for each: having answered, none is asked again.
    expect(broken.asked.length).toBe(3);
  });

  test("that only refer to others give way, and none makes it a failure", async () => {
    const ns: Answer = { type: "NS", name: "test", data: "ns.test", ttl: 60 };
    await using referring = await ScriptedServer.start(() => ({ authorities: [ns] }));
    await using good = await ScriptedServer.start(({ name }) => ({
      answers: [record.mx(name, 10, "mx.test")],
    }));
    expect(await resolverFor([referring, good]).query("a.test", "MX")).toMatchObject({
      status: "answer",
    });
    expect(await resolverFor([referring]).query("a.test", "MX")).toEqual({
      status: "failure",
      reason: "refused",
      detail: `127.0.0.1#${referring.server.port}: no recursion`,
    });
  });

  test("that are silent give way, and are asked last for a while", async () => {
    let now = 0;
    await using silent = await ScriptedServer.start(() => "silence");
    await using good = await ScriptedServer.start(({ name }) => ({
      answers: [record.a(name, "192.0.2.1")],
    }));
    const resolver = resolverFor([silent, good], { timeoutMs: 400, now: () => now });
    expect(await resolver.query("a.test", "A")).toMatchObject({ status: "answer" });
    expect(await resolver.query("b.test", "A")).toMatchObject({ status: "answer" });
    expect(silent.asked.length).toBe(1);
    now = 31_000;
    silent.script(({ name }) => ({ answers: [record.a(name, "192.0.2.2")] }));
    expect(await resolver.query("c.test", "A")).toMatchObject({ records: ["192.0.2.2"] });
  });

  test("that are all silent make it a time-out after all attempts", async () => {
    await using silent = await ScriptedServer.start(() => "silence");
    const resolver = resolverFor([silent], { timeoutMs: 50, attempts: 3 });
    expect(await resolver.query("a.test", "MX")).toEqual({
      status: "failure",
      reason: "timeout",
      detail: `127.0.0.1#${silent.server.port}: no answer in time`,
    });
    expect(silent.asked.length).toBe(3);
  });

  test("that cut the response are asked by TCP", async () => {
    const many = (name: string) =>
      Array.from({ length: 200 }, (_, i) => record.a(name, `192.0.2.${i}`));
    await using server = await ScriptedServer.start((asked) =>
      asked.via === "tcp"
        ? { answers: many(asked.name) }
        // Cut in the middle of a record, as some do.
        : response(asked, { flags: dnsPacket.TRUNCATED_RESPONSE, answers: many(asked.name) })
          .subarray(0, 500)
    );
    const result = await resolverFor([server]).query("a.test", "A");
    expect(result.status === "answer" && result.records.length).toBe(200);
    expect(server.log).toEqual(["A a.test udp", "A a.test tcp"]);
  });

  test("that cut the response and then are silent, or cut it by TCP too, fail", async () => {
    await using silent = await ScriptedServer.start(({ via }) =>
      via === "tcp" ? "silence" : { flags: dnsPacket.TRUNCATED_RESPONSE }
    );
    const slow = resolverFor([silent], { timeoutMs: 100, attempts: 1 });
    expect(await slow.query("a.test", "A")).toMatchObject({ reason: "timeout" });
    await using cutting = await ScriptedServer.start(() => ({
      flags: dnsPacket.TRUNCATED_RESPONSE,
    }));
    const cut = resolverFor([cutting], { attempts: 1 });
    expect(await cut.query("a.test", "A")).toMatchObject({ reason: "malformed" });
  });

  test("that do not know EDNS are asked without", async () => {
    await using server = await ScriptedServer.start(({ name, packet }) =>
      packet.additionals?.length === 0 ? { answers: [record.a(name, "192.0.2.1")] } : { rcode: 1 }
    );
    expect(await resolverFor([server]).query("a.test", "A")).toMatchObject({ status: "answer" });
    expect(server.asked.length).toBe(2);
  });

  test("are not believed when the id, the port or the question is another's", async () => {
    await using server = await ScriptedServer.start(async (asked, sender) => {
      const forged = { answers: [record.a(asked.name, "203.0.113.66")] };
      const id = (asked.packet.id! + 1) & 0xffff;
      await sender.reply(response(asked, forged, { id }));
      await sender.forge(response(asked, forged));
      const questions = [{ name: "other.test", type: "A" } as const];
      await sender.reply(response(asked, forged, { questions }));
      await sender.reply(response(asked, forged, { type: "query" }));
      await sender.reply(new Uint8Array([1, 2, 3]));
      return { answers: [record.a(asked.name, "192.0.2.1")] };
    });
    expect(await resolverFor([server]).query("a.test", "A")).toMatchObject({
      records: ["192.0.2.1"],
    });
  });

  test("that answer nonsense, or a part, fail", async () => {
    let cut = 0;
    await using server = await ScriptedServer.start((asked) => {
      const certificate = Buffer.alloc(32, 7);
      const data = { usage: 3, selector: 1, matchingType: 1, certificate };
      const whole = response(asked, {
        answers: [{ type: "TLSA", name: asked.name, ttl: 60, data }],
        additionals: [record.a("x.test", "192.0.2.1")],
      });
      // The counts of records stay true.
      return whole.subarray(0, whole.length - cut);
    });
    const resolver = resolverFor([server], { maxCached: 0 });
    const whole = await resolver.query("a.test", "TLSA");
    expect(whole.status).toBe("answer");
    for (cut = 1; cut < 70; cut++) {
      expect(await resolver.query("a.test", "TLSA")).toMatchObject({
        status: "failure",
        reason: "malformed",
      });
    }
    server.script((asked) => {
      const octets = response(asked, { answers: [record.a(asked.name, "192.0.2.1")] });
      octets[octets.length - 5] = 3;
      return octets;
    });
    expect(await resolver.query("a.test", "A")).toMatchObject({ reason: "malformed" });
  });
});

describe("aliases", () => {
  test("within a response are followed, and records beside them are not taken", async () => {
    await using server = await ScriptedServer.start(() => ({
      answers: [
        record.a("evil.test", "203.0.113.66", 1),
        record.a("c.test", "192.0.2.1", 50),
        record.cname("B.test", "c.test", 20),
        record.cname("a.test", "b.TEST", 40),
      ],
    }));
    expect(await resolverFor([server]).query("a.test", "A")).toEqual({
      status: "answer",
      records: ["192.0.2.1"],
      ttl: 20,
      authenticated: false,
      canonicalName: "c.test",
    });
  });

  test("that a response leaves open are asked for", async () => {
    await using server = await ScriptedServer.start(({ name }) =>
      name === "a.test"
        ? { answers: [record.cname("a.test", "b.test", 5)] }
        : { answers: [record.a("b.test", "192.0.2.1")] }
    );
    expect(await resolverFor([server]).query("a.test", "A")).toMatchObject({
      records: ["192.0.2.1"],
      ttl: 5,
      canonicalName: "b.test",
    });
    expect(server.log).toEqual(["A a.test udp", "A b.test udp"]);
  });

  test("to a name without data, or to no name, end there", async () => {
    await using server = await ScriptedServer.start(({ name }) => ({
      rcode: name === "gone.test" ? NXDOMAIN : 0,
      answers: [record.cname(name, "b.test")],
      authorities: [record.soa("test", 60)],
    }));
    const resolver = resolverFor([server]);
    expect(await resolver.query("a.test", "A")).toMatchObject({ status: "noData" });
    expect(await resolver.query("gone.test", "A")).toMatchObject({ status: "noName" });
  });

  test("in a circle or without end are a failure", async () => {
    await using circle = await ScriptedServer.start(() => ({
      answers: [record.cname("a.test", "b.test"), record.cname("b.test", "a.test")],
    }));
    expect(await resolverFor([circle]).query("a.test", "A")).toMatchObject({ reason: "aliasLoop" });
    await using endless = await ScriptedServer.start(({ name }) => ({
      answers: [record.cname(name, `x${name}`)],
    }));
    expect(await resolverFor([endless]).query("a.test", "A")).toMatchObject({
      reason: "aliasLoop",
    });
    expect(endless.asked.length).toBe(8);
  });
});
