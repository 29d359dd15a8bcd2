import { X509Certificate } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { SmtpTransport } from "./smtp-transport.ts";
import { authority, selfSigned, vouchedFor } from "./testing/certificates.ts";
import { deliveryOf, relayOf, type TestDelivering, testDelivering } from "./testing/delivering.ts";
import { Peer, type PeerManner } from "./testing/peer.ts";

const peers: Peer[] = [];
const transports: SmtpTransport[] = [];
const servers: Deno.HttpServer[] = [];

afterEach(async () => {
  for (const transport of transports.splice(0)) transport.close();
  for (const peer of peers.splice(0)) await peer.stop();
  for (const server of servers.splice(0)) await server.shutdown();
});

async function peerWith(manner: PeerManner): Promise<Peer> {
  const peer = await new Peer(manner).start();
  peers.push(peer);
  return peer;
}

/** Delivers over a session of its own. */
async function deliver(
  peer: Peer,
  more: Record<string, unknown>,
  {
    parameters = {},
    delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } }),
    others = [],
  }: {
    readonly parameters?: object;
    readonly delivering?: TestDelivering;
    readonly others?: readonly Peer[];
  } = {},
) {
  const transport = new SmtpTransport(delivering);
  transports.push(transport);
  const hosts = [peer, ...others].map(({ port }) => ({ host: "mx.test", port }));
  const attempt = await transport.deliver(
    deliveryOf(["a@x.test"], { parameters }),
    relayOf({ kind: "smtp", hosts, ...more }),
  );
  transport.close();
  const [{ status, reply }] = attempt.verdicts as [typeof attempt.verdicts[0]];
  const { facts: { tls, tlsProblem }, destinationFailure } = attempt;
  return { status, reply, tls, tlsProblem, destinationFailure };
}

const fingerprintOf = ({ cert }: { cert: string }) =>
  new X509Certificate(cert).fingerprint256.replaceAll(":", "").toLowerCase();

describe("TLS where it is welcome", () => {
  test("is used with any certificate, and the event says what it was worth", async () => {
    const peer = await peerWith({ certificate: selfSigned });
    const { status, tls } = await deliver(peer, { tls: { policy: "may" } });
    expect(status).toBe("delivered");
    expect(tls).toEqual({
      protocol: "TLSv1.3",
      cipher: expect.stringMatching(/^TLS_/),
      verified: "none",
      problem: "DEPTH_ZERO_SELF_SIGNED_CERT",
      fingerprint: fingerprintOf(selfSigned),
    });
    expect(peer.messages[0]!.tls).toBe(true);
    expect(peer.sessions[0]!.lines.slice(0, 3)).toEqual([
      "EHLO gateway.test",
      "STARTTLS",
      "EHLO gateway.test",
    ]);
  });

  test("is done without where it is not offered", async () => {
    const peer = await peerWith({});
    const { status, tls } = await deliver(peer, { tls: { policy: "may" } });
    expect([status, tls]).toEqual(["delivered", undefined]);
  });

  test("is given up on a new connection when the handshake fails, and not tried for a while", async () => {
    const peer = await peerWith({ breaksHandshake: true });
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    const more = { tls: { policy: "may" } };
    const first = await deliver(peer, more, { delivering });
    expect(first).toMatchObject({ status: "delivered", tlsProblem: expect.stringMatching(/./) });
    expect(peer.sessions).toHaveLength(2);
    expect(peer.messages[0]).toMatchObject({ session: 1, tls: false });
    const second = await deliver(peer, more, { delivering });
    expect(second).toMatchObject({ status: "delivered", tlsProblem: first.tlsProblem });
    expect(peer.sessions[2]!.lines).not.toContain("STARTTLS");
    delivering.time += 600_000;
    await deliver(peer, more, { delivering });
    expect(peer.sessions[3]!.lines).toContain("STARTTLS");
  });

  test("is given up, too, where the server breaks off when the handshake was done", async () => {
    const peer = await peerWith({
      certificate: selfSigned,
      answer: (line, { tls }) => tls && line.startsWith("EHLO") ? "cut" : undefined,
    });
    expect(await deliver(peer, { tls: { policy: "may" } })).toMatchObject({
      status: "delivered",
      tlsProblem: "the connection was closed after the handshake",
    });
    expect((await deliver(peer, { tls: { policy: "encrypt" } })).status).toBe("later");
  });

  test("is never asked for where the policy is none", async () => {
    const peer = await peerWith({ certificate: selfSigned });
    await deliver(peer, { tls: { policy: "none" } });
    expect(peer.said).not.toContain("STARTTLS");
  });
});

describe("TLS where it is demanded", () => {
  const verify = (more: Record<string, unknown> = {}) => ({
    tls: { policy: "verify", certificateAuthority: authority, ...more },
  });

  test.each([
    [
      "encrypt, any certificate",
      { certificate: selfSigned },
      { tls: { policy: "encrypt" } },
      "none",
    ],
    ["verify, a good one", { certificate: vouchedFor }, verify(), "name"],
    [
      "verify, good for another name that is asked for",
      { certificate: selfSigned },
      { tls: { policy: "verify", certificateAuthority: selfSigned.cert, serverName: "self.test" } },
      "name",
    ],
    [
      "fingerprint, the very one",
      { certificate: selfSigned },
      { tls: { policy: "fingerprint", fingerprints: ["0".repeat(64), fingerprintOf(selfSigned)] } },
      "fingerprint",
    ],
  ])("%s: delivered", async (_, manner, relay, verified) => {
    const peer = await peerWith(manner);
    const attempt = await deliver(peer, relay);
    expect([attempt.status, attempt.tls?.verified]).toEqual(["delivered", verified]);
  });

  test.each([
    ["encrypt, not offered", {}, { tls: { policy: "encrypt" } }, "451 4.7.4 TLS is required"],
    [
      "encrypt, handshake fails",
      { breaksHandshake: true },
      { tls: { policy: "encrypt" } },
      "451 4.7.5 TLS failed",
    ],
    ["verify, not offered", {}, verify(), "451 4.7.4 TLS is required"],
    [
      "verify, signed by nobody",
      { certificate: selfSigned },
      verify(),
      "451 4.7.5 TLS failed: the certificate is not good for mx.test",
    ],
    [
      "verify, good for another name",
      { certificate: vouchedFor },
      verify({ serverName: "other.test" }),
      "451 4.7.5 TLS failed: the certificate is not good for other.test: ERR_TLS_CERT_ALTNAME_INVALID",
    ],
    [
      "verify, by an authority that the system does not know",
      { certificate: vouchedFor },
      { tls: { policy: "verify" } },
      "451 4.7.5 TLS failed: the certificate is not good for mx.test",
    ],
    [
      "verify, by an authority that is none",
      { certificate: vouchedFor },
      { tls: { policy: "verify", certificateAuthority: "-----BEGIN CERTIFICATE-----\nx\n" } },
      "451 4.7.5 TLS failed: ",
    ],
    [
      "verify, for a name that the certificate cannot have",
      { certificate: vouchedFor },
      { tls: { policy: "verify", serverName: "a".repeat(63) + ".test" } },
      "451 4.7.5 TLS failed: ",
    ],
    [
      "fingerprint, another one",
      { certificate: vouchedFor },
      { tls: { policy: "fingerprint", fingerprints: [fingerprintOf(selfSigned)] } },
      `451 4.7.5 TLS failed: the certificate's fingerprint is ${fingerprintOf(vouchedFor)}`,
    ],
  ])("%s: it waits, and so does the destination", async (_, manner, relay, reply) => {
    const peer = await peerWith(manner);
    const attempt = await deliver(peer, relay);
    expect(attempt.status).toBe("later");
    expect(attempt.reply.slice(0, reply.length)).toBe(reply);
    expect(attempt.destinationFailure).toBe(attempt.reply);
    expect(peer.said.some((line) => line.startsWith("MAIL"))).toBe(false);
  });

  test.each(["encrypt", "verify", "fingerprint"])("%s from the first byte", async (policy) => {
    const peer = await peerWith({ certificate: vouchedFor, implicit: true });
    const more = policy === "verify"
      ? { certificateAuthority: authority }
      : policy === "fingerprint"
      ? { fingerprints: [fingerprintOf(vouchedFor)] }
      : {};
    const attempt = await deliver(peer, { tls: { policy, implicit: true, ...more } });
    expect(attempt.status).toBe("delivered");
    expect(peer.said).not.toContain("STARTTLS");
    expect(peer.messages[0]!.tls).toBe(true);
  });

  test("the name goes out in SNI, an address does not but is compared all the same", async () => {
    const peer = await peerWith({ certificate: vouchedFor });
    await deliver(peer, verify());
    expect(peer.sessions[0]!.servername).toBe("mx.test");
    const hosts = [{ host: "127.0.0.1", port: peer.port }];
    expect((await deliver(peer, { ...verify(), hosts })).tls?.verified).toBe("name");
    const v6 = await deliver(peer, { tls: { ...verify().tls, serverName: "x.test" }, hosts });
    expect(v6.status).toBe("later");
  });
});

describe("REQUIRETLS", () => {
  const parameters = { requireTls: true };
  const tls = { policy: "verify", certificateAuthority: authority };

  test("goes over verified TLS to a next hop that keeps to it", async () => {
    const peer = await peerWith({ certificate: vouchedFor, offersInTls: ["REQUIRETLS"] });
    expect((await deliver(peer, { tls }, { parameters })).status).toBe("delivered");
    expect(peer.messages[0]!.mail).toBe("MAIL FROM:<sender@example.org> REQUIRETLS");
  });

  test.each([
    ["does not offer it", { certificate: vouchedFor }, { tls }],
    [
      "has a certificate of its own making",
      { certificate: selfSigned, offersInTls: ["REQUIRETLS"] },
      { tls: { policy: "encrypt" } },
    ],
    ["speaks in clear", { offers: ["REQUIRETLS"] }, { tls: { policy: "may" } }],
  ])("bounces when the next hop %s", async (_, manner, relay) => {
    const peer = await peerWith(manner);
    const attempt = await deliver(peer, relay, { parameters });
    expect(attempt.status).toBe("never");
    expect(attempt.reply).toMatch(/^550 5\.7\.30 /);
    expect(attempt.destinationFailure).toBeUndefined();
  });

  test.each([
    ["DNSSEC", true, tls, "delivered"],
    ["nobody", false, tls, "never"],
    ["the relay", false, { ...tls, serverName: "localhost" }, "delivered"],
    [
      "a fingerprint",
      false,
      { policy: "fingerprint", fingerprints: [fingerprintOf(vouchedFor)] },
      "delivered",
    ],
  ])("has a mail host whose name %s vouches for (%s)", async (_, authenticated, policy, status) => {
    const peer = await peerWith({ certificate: vouchedFor, offersInTls: ["REQUIRETLS"] });
    const answer = (name: string, records: unknown[], more = {}) =>
      Promise.resolve({ status: "answer", records, canonicalName: name, ttl: 60, ...more });
    // The addresses of the host are proven by nobody: its certificate is.
    const resolver = {
      query: (name: string, type: string) =>
        type === "MX"
          ? answer(name, [{ preference: 10, exchange: "mx.test" }], { authenticated })
          : answer(name, type === "A" ? ["127.0.0.1"] : [], { authenticated: false }),
    } as never;
    const transport = new SmtpTransport({ ...testDelivering(), resolver });
    transports.push(transport);
    const destination = { relay: "relay", nextHop: "x.test" };
    const { verdicts } = await transport.deliver(
      deliveryOf(["a@x.test"], { parameters, destination }),
      relayOf({ kind: "mx", port: peer.port, tls: policy }),
    );
    expect(verdicts[0]!.status).toBe(status);
  });

  test("goes to another host where one does not offer it", async () => {
    const lacking = await peerWith({ certificate: vouchedFor });
    const able = await peerWith({ certificate: vouchedFor, offersInTls: ["REQUIRETLS"] });
    const attempt = await deliver(lacking, { tls }, { parameters, others: [able] });
    expect(attempt.status).toBe("delivered");
    expect(able.messages).toHaveLength(1);
  });

  test.each(["454 4.7.0 TLS not available due to temporary reason", "554 5.7.3 No TLS"])(
    "waits where STARTTLS is answered with %s",
    async (answer) => {
      const peer = await peerWith({
        certificate: vouchedFor,
        offers: ["REQUIRETLS"],
        answer: (line) => line === "STARTTLS" ? answer : undefined,
      });
      for (const tls of [{ policy: "may" }, { policy: "encrypt" }]) {
        const attempt = await deliver(peer, { tls }, { parameters });
        expect(attempt).toMatchObject({ status: "later", reply: answer });
      }
      // What does not require TLS goes on in clear where the policy allows it.
      expect((await deliver(peer, { tls: { policy: "may" } })).status).toBe("delivered");
      expect(peer.messages).toHaveLength(1);
    },
  );

  test("waits where the handshake fails, and never takes a session in clear", async () => {
    const peer = await peerWith({ breaksHandshake: true });
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    const transport = new SmtpTransport(delivering);
    transports.push(transport);
    const hosts = [{ host: "mx.test", port: peer.port }];
    const relay = relayOf({ kind: "smtp", hosts, tls: { policy: "may" } });
    const ordinary = await transport.deliver(deliveryOf(["a@x.test"]), relay);
    expect(ordinary.verdicts[0]!.status).toBe("delivered");
    const strict = await transport.deliver(deliveryOf(["a@x.test"], { parameters }), relay);
    expect(strict.verdicts[0]).toMatchObject({
      status: "later",
      reply: expect.stringMatching(/^451 4\.7\.5 TLS failed/),
    });
  });
});

describe("passwords", () => {
  const credentials = { username: "gateway", password: "s3cret" };
  const plain = `AUTH PLAIN ${btoa("\0gateway\0s3cret")}`;

  test("are shown in TLS", async () => {
    const peer = await peerWith({ certificate: selfSigned, offersInTls: ["AUTH PLAIN LOGIN"] });
    expect((await deliver(peer, { credentials })).status).toBe("delivered");
    expect(peer.said).toContain(plain);
  });

  test("are not shown in clear where TLS was welcome but did not come about", async () => {
    const peer = await peerWith({ breaksHandshake: true, offers: ["AUTH PLAIN LOGIN"] });
    const { status, reply } = await deliver(peer, { credentials });
    expect(status).toBe("later");
    expect(reply).toMatch(/^451 4\.7\.4 Cannot authenticate: .*without TLS/);
    expect(peer.said.some((line) => line.startsWith("AUTH"))).toBe(false);
  });

  test("are shown in clear where the relay says that there is no TLS", async () => {
    const peer = await peerWith({ offers: ["AUTH PLAIN"] });
    await deliver(peer, { credentials, tls: { policy: "none" } });
    expect(peer.said).toContain(plain);
  });

  test("that cannot be sent make the destination wait", async () => {
    const peer = await peerWith({ certificate: selfSigned, offersInTls: ["AUTH PLAIN"] });
    const { status, destinationFailure } = await deliver(peer, {
      credentials: { username: "gateway", password: "a\x01b" },
    });
    expect([status, destinationFailure])
      .toEqual(["later", "451 4.7.0 User or password holds a control character"]);
  });

  test("that are refused make the destination wait: it is no fault of the mail's", async () => {
    const peer = await peerWith({
      certificate: selfSigned,
      offersInTls: ["AUTH PLAIN"],
      answer: (line) => line.startsWith("AUTH") ? "535 5.7.8 Wrong" : undefined,
    });
    const { status, destinationFailure } = await deliver(peer, { credentials });
    expect([status, destinationFailure]).toEqual(["later", "535 5.7.8 Wrong"]);
    expect(peer.sessions).toHaveLength(1);
  });
});

describe("OAuth 2.0", () => {
  /** A token server that numbers its tokens, and what it was asked. */
  function tokenServer(answer: (n: number) => Response | object) {
    const asked: Record<string, string>[] = [];
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen: () => {} },
      async (request) => {
        asked.push(Object.fromEntries(new URLSearchParams(await request.text())));
        const answered = answer(asked.length);
        return answered instanceof Response ? answered : Response.json(answered);
      },
    );
    servers.push(server);
    return { asked, tokenUrl: `http://127.0.0.1:${server.addr.port}/token` };
  }

  const bearer = (n: number, life = 3600) => ({
    access_token: `token-${n}`,
    token_type: "Bearer",
    expires_in: life,
  });
  const xoauth2 = (token: string) =>
    `AUTH XOAUTH2 ${btoa(`user=box@x.test\x01auth=Bearer ${token}\x01\x01`)}`;
  const manner = (offers: string, refused: readonly string[] = []): PeerManner => ({
    certificate: selfSigned,
    offersInTls: [`AUTH ${offers}`],
    answer: (line) =>
      refused.some((token) => line === xoauth2(token)) ? "535 5.7.8 Expired" : undefined,
  });
  const logins = (peer: Peer) => peer.said.filter((line) => line.startsWith("AUTH"));
  const oauth2 = (tokenUrl: string, more = {}) => ({
    credentials: {
      username: "box@x.test",
      oauth2: { tokenUrl, clientId: "id", clientSecret: "cs", scope: "smtp.send", ...more },
    },
  });

  test("client credentials: one token for many sessions until shortly before it expires", async () => {
    const { asked, tokenUrl } = tokenServer((n) => bearer(n));
    const peer = await peerWith(manner("PLAIN XOAUTH2"));
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    const relay = oauth2(tokenUrl);
    await Promise.all([1, 2, 3].map(() => deliver(peer, relay, { delivering })));
    delivering.time += 3539_000;
    await deliver(peer, relay, { delivering });
    expect(asked).toEqual([{
      grant_type: "client_credentials",
      client_id: "id",
      client_secret: "cs",
      scope: "smtp.send",
    }]);
    delivering.time += 2_000;
    await deliver(peer, relay, { delivering });
    expect(asked).toHaveLength(2);
    expect(logins(peer)).toEqual([...Array(4).fill(xoauth2("token-1")), xoauth2("token-2")]);
  });

  test("a refresh token is used in its grant, and replaced when the server gives a new one", async () => {
    const { asked, tokenUrl } = tokenServer((n) => ({
      ...bearer(n, 1),
      refresh_token: `refresh-${n}`,
    }));
    const peer = await peerWith(manner("XOAUTH2"));
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    const relay = oauth2(tokenUrl, { refreshToken: "refresh-0" });
    for (let n = 0; n < 3; n++) {
      await deliver(peer, relay, { delivering });
      delivering.time += 1000;
    }
    expect(asked.map(({ grant_type, refresh_token }) => [grant_type, refresh_token])).toEqual(
      [0, 1, 2].map((n) => ["refresh_token", `refresh-${n}`]),
    );
  });

  test("a refused token is renewed once", async () => {
    const { asked, tokenUrl } = tokenServer((n) => bearer(n));
    const once = await peerWith(manner("XOAUTH2", ["token-1"]));
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    expect((await deliver(once, oauth2(tokenUrl), { delivering })).status).toBe("delivered");
    expect(logins(once)).toEqual([xoauth2("token-1"), xoauth2("token-2")]);

    const twice = await peerWith(manner("XOAUTH2", ["token-2", "token-3"]));
    const attempt = await deliver(twice, oauth2(tokenUrl), { delivering });
    expect(attempt).toMatchObject({ status: "later", reply: "535 5.7.8 Expired" });
    expect(asked).toHaveLength(3);
  });

  test("OAUTHBEARER is preferred where it is offered", async () => {
    const { tokenUrl } = tokenServer((n) => bearer(n));
    const peer = await peerWith(manner("XOAUTH2 OAUTHBEARER"));
    await deliver(peer, oauth2(tokenUrl));
    expect(logins(peer)[0]).toMatch(/^AUTH OAUTHBEARER /);
  });

  test.each([
    [
      () => Response.json({ error: "invalid_client", error_description: "no" }, { status: 401 }),
      "451 4.7.0 No access token: invalid_client: no",
    ],
    [() => new Response("oops", { status: 500 }), "451 4.7.0 No access token: "],
    [() => ({ token_type: "Bearer" }), "451 4.7.0 No access token: "],
  ])(
    "without a token the destination waits, and the server is asked again",
    async (answer, reply) => {
      const { asked, tokenUrl } = tokenServer(answer);
      const peer = await peerWith(manner("XOAUTH2"));
      const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
      const attempt = await deliver(peer, oauth2(tokenUrl), { delivering });
      expect(attempt.status).toBe("later");
      expect(attempt.reply.slice(0, reply.length)).toBe(reply);
      expect(attempt.destinationFailure).toBe(attempt.reply);
      await deliver(peer, oauth2(tokenUrl), { delivering });
      expect(asked).toHaveLength(2);
      expect(peer.sessions).toHaveLength(0);
    },
  );
});
