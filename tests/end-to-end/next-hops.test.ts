/**
 * Mail servers of others as next hops: Postfix and Exim with TLS and AUTH, OpenSMTPD in clear, a
 * Postfix that offers little, and Dovecot by LMTP. What SMTP servers take they pass on to our own next hop, so
 * that the content can be looked at.
 */
import { afterAll, beforeAll, expect } from "vitest";
import { authority, selfSigned, vouchedFor } from "../../apps/worker/src/testing/certificates.ts";
import { contentWith, Dialogue, queueIdOf, sendMail, subjectOf } from "./dialogue.ts";
import { eventually, freePort } from "./eventually.ts";
import { Gateway, type ShownMessage } from "./gateway.ts";
import { NextHop } from "./next-hop.ts";
import { PeerTree } from "./peer-tree.ts";
import { missing, type Peer, testWith } from "./peers.ts";
import { PrivateDovecot } from "./private-dovecot.ts";
import { PrivatePostfix } from "./private-postfix.ts";

const POSTFIX: readonly Peer[] = ["postfix", "dovecot", "root"];
const EXIM: readonly Peer[] = ["exim", "root"];
const OPENSMTPD: readonly Peer[] = ["opensmtpd", "root"];
const DOVECOT: readonly Peer[] = ["dovecot", "root"];

const gateway = new Gateway();
const sink = new NextHop();
const have = (peers: readonly Peer[]) => missing(...peers).length === 0;
const dovecot = have(DOVECOT) ? new PrivateDovecot() : undefined;
const postfix = have(POSTFIX) ? new PrivatePostfix() : undefined;
const exim = have(EXIM) ? new PeerTree("exim") : undefined;
const openSmtpd = have(OPENSMTPD) ? new PeerTree("opensmtpd") : undefined;

const USER = "gateway";
const PASSWORD = "s3cret word";
const credentials = { username: USER, password: PASSWORD };
const verify = { policy: "verify", certificateAuthority: authority, serverName: "mx.test" };
const retry = { delays: [1], lifetime: 60 };

let port = 0;
let ports: Readonly<Record<"full" | "poor" | "exim" | "openSmtpd" | "lmtp" | "sasl", number>>;

const relay = (to: number, more: Record<string, unknown>) => ({
  kind: "smtp",
  hosts: [{ host: "127.0.0.1", port: to }],
  retry,
  ...more,
});

beforeAll(async () => {
  await sink.start();
  const [full, poor, eximPort, openSmtpdPort, lmtp, sasl] = await Promise.all(
    Array.from({ length: 6 }, () => freePort()),
  ) as [number, number, number, number, number, number];
  ports = { full, poor, exim: eximPort, openSmtpd: openSmtpdPort, lmtp, sasl };
  const ways = {
    full: relay(full, { tls: verify, credentials }),
    misnamed: relay(full, { tls: { ...verify, serverName: "other.test" }, credentials }),
    unknown: relay(full, { tls: verify, credentials: { username: USER, password: "wrong" } }),
    poor: relay(poor, { tls: { policy: "none" } }),
    exim: relay(eximPort, { credentials }),
    opensmtpd: relay(openSmtpdPort, {}),
    dovecot: { ...relay(lmtp, { tls: { policy: "none" } }), kind: "lmtp" },
    back: relay(sink.port, {}),
  };
  await gateway.start({
    ...Object.fromEntries(Object.entries(ways).map(([name, way]) => [`/v1/relays/${name}`, way])),
    ...Object.fromEntries(
      Object.keys(ways).map((name) => [`/v1/domains/${name}.test`, { relay: name }]),
    ),
  });
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
  await dovecot?.start({
    lmtpPort: lmtp,
    saslPort: sasl,
    users: [USER, "one", "two"],
    password: PASSWORD,
    mechanisms: ["plain", "login", "scram-sha-256"],
  });
  if (postfix !== undefined) await startPostfix(postfix);
  if (exim !== undefined) await startExim(exim);
  if (openSmtpd !== undefined) await startOpenSmtpd(openSmtpd);
});

afterAll(async () => {
  await Promise.all([postfix, exim, openSmtpd, dovecot].map((peer) => peer?.stop()));
  await sink.stop();
  // Last, because it throws when a process does not drain.
  await gateway.stop();
});

async function startPostfix(server: PrivatePostfix): Promise<void> {
  await Deno.writeTextFile(`${server.folder}/cert.pem`, vouchedFor.cert);
  await Deno.writeTextFile(`${server.folder}/key.pem`, vouchedFor.key);
  const authenticated = {
    smtpd_tls_security_level: "encrypt",
    smtpd_sasl_auth_enable: "yes",
    smtpd_tls_auth_only: "yes",
    smtpd_relay_restrictions: "permit_sasl_authenticated,reject",
  };
  const poor = {
    smtpd_discard_ehlo_keywords: "8bitmime,smtputf8,dsn,chunking,pipelining,starttls",
  };
  await server.start([{ port: ports.full, options: authenticated }, {
    port: ports.poor,
    options: poor,
  }], [
    `relayhost = [127.0.0.1]:${sink.port}`,
    `smtpd_tls_cert_file = ${server.folder}/cert.pem`,
    `smtpd_tls_key_file = ${server.folder}/key.pem`,
    "smtpd_tls_loglevel = 1",
    "smtpd_sasl_type = dovecot",
    `smtpd_sasl_path = inet:127.0.0.1:${ports.sasl}`,
    "smtputf8_enable = yes",
  ]);
}

async function startExim(tree: PeerTree): Promise<void> {
  await tree.make({
    "/etc/exim4/cert.pem": selfSigned.cert,
    "/etc/exim4/key.pem": selfSigned.key,
    "/etc/exim4/exim4.conf": `
primary_hostname = exim.test
never_users =
keep_environment =
local_interfaces = 127.0.0.1
daemon_smtp_ports = ${ports.exim}
tls_advertise_hosts = *
tls_certificate = /etc/exim4/cert.pem
tls_privatekey = /etc/exim4/key.pem
auth_advertise_hosts = \${if eq{$tls_in_cipher}{}{}{*}}
dsn_advertise_hosts = *
chunking_advertise_hosts = *
log_selector = +smtp_confirmation
acl_smtp_rcpt = check
begin acl
check:
  accept authenticated = *
  deny
begin routers
sink:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = sink
begin transports
sink:
  driver = smtp
  port = ${sink.port}
begin authenticators
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = User : Password
  server_condition = \${if and{{eq{$auth1}{${USER}}}{eq{$auth2}{${PASSWORD}}}}}
  server_set_id = $auth1
`,
  });
  tree.startServer("/usr/sbin/exim4", ["-bdf", "-q1m"]);
  await answers("Exim", ports.exim, () => tree.log("/var/log/exim4/mainlog"));
}

/** In clear: 6.8 as Debian builds it fails in every handshake as a server, whoever the client is. */
async function startOpenSmtpd(tree: PeerTree): Promise<void> {
  await tree.make({
    "/etc/smtpd.conf": `
listen on 127.0.0.1 port ${ports.openSmtpd} hostname opensmtpd.test
action sink relay host smtp://127.0.0.1:${sink.port} helo opensmtpd.test
match from any for any action sink
`,
  });
  tree.startServer("/usr/sbin/smtpd", ["-d"]);
  await answers("OpenSMTPD", ports.openSmtpd, () => tree.log());
}

async function answers(name: string, at: number, log: () => string): Promise<void> {
  await eventually(`${name} answers`, async () => {
    const dialogue = new Dialogue(at);
    try {
      return (await dialogue.greeting).startsWith("220 ");
    } finally {
      dialogue.close();
    }
  }).catch((error) => {
    throw new Error(log(), { cause: error });
  });
}

/** What the API shows of an attempt. */
interface ShownAttempt {
  readonly kind: string;
  readonly tls?: { readonly protocol: string; readonly verified: string };
}

/** Sends by the gateway and waits until the next hop has it. */
async function delivered(
  to: readonly string[],
  content: string,
  log: () => string | undefined,
): Promise<{ shown: ShownMessage; tls: ShownAttempt["tls"] }> {
  const id = queueIdOf(await sendMail(port, "sender@back.test", to, content));
  const shown = await gateway.message(id, "delivered").catch((error) => {
    throw new Error(log(), { cause: error });
  });
  const attempt = shown.events.find(({ kind }) => kind === "attempted") as ShownAttempt | undefined;
  return { shown, tls: attempt?.tls };
}

/** What came on for a recipient, its subject checked. */
async function came(to: string, subject: string, log: () => string | undefined): Promise<string> {
  const message = await eventually(
    `${subject} came on`,
    () => sink.acceptedFor(to).find(({ content }) => subjectOf(content) === subject),
  ).catch((error) => {
    throw new Error(log(), { cause: error });
  });
  return message.content.toString("utf8");
}

const body = ".\r\n..\r\n8-bit: \u00e9\r\n";

testWith(POSTFIX, "Postfix: verified TLS, SCRAM by Dovecot, content as it was", async () => {
  const log = () => postfix!.log();
  const { shown, tls } = await delivered(
    ["one@full.test", "two@full.test"],
    contentWith("full", body),
    log,
  );
  expect(tls).toMatchObject({ protocol: "TLSv1.3", verified: "name" });
  for (const { lastReply } of shown.recipients) {
    expect(lastReply).toMatch(/^250 2\.0\.0 Ok: queued as /);
  }
  expect((await came("one@full.test", "full", log)).endsWith(`\r\n\r\n${body}`)).toBe(true);
  expect(log()).toMatch(/TLS connection established from .*TLSv1\.3/);
  expect(log()).toMatch(/sasl_method=SCRAM-SHA-256, sasl_username=gateway/);
});

testWith(
  POSTFIX,
  "Postfix with a certificate for another name, or another password: the mail waits",
  async () => {
    for (
      const [name, reply] of [
        ["misnamed", /^451 4\.7\.5 TLS failed: .*other\.test/],
        ["unknown", /^535 5\.7\.8 /],
      ] as const
    ) {
      const to = `wait@${name}.test`;
      const id = queueIdOf(
        await sendMail(port, "sender@back.test", [to], contentWith("wait")),
      );
      const shown = await gateway.message(id, "deferred");
      expect(shown.recipients[0]?.lastReply).toMatch(reply);
      await gateway.put(`/v1/relays/${name}`, relay(ports.full, { tls: verify, credentials }));
      await gateway.message(id, "delivered");
      await came(to, "wait", () => postfix!.log());
    }
  },
);

testWith(
  POSTFIX,
  "Postfix without 8BITMIME, PIPELINING and CHUNKING has the content in 7-bit",
  async () => {
    const log = () => postfix!.log();
    const { tls } = await delivered(
      ["one@poor.test"],
      contentWith("seven", "8-bit: \u00e9\r\n"),
      log,
    );
    expect(tls).toBeUndefined();
    const text = await came("one@poor.test", "seven", log);
    expect(text).toMatch(/^Content-Transfer-Encoding: quoted-printable\r$/m);
    expect(text.endsWith("\r\n\r\n8-bit: =C3=A9\r\n")).toBe(true);
  },
);

testWith(
  POSTFIX,
  "Postfix without DSN: the relayed report is ours; with DSN it is Postfix's",
  async () => {
    for (
      const [domain, reporter] of [["poor.test", "gateway.test"], ["full.test", "postfix.test"]]
    ) {
      const sender = `${domain}@back.test`;
      const dialogue = new Dialogue(port);
      const replies = [await dialogue.greeting];
      const say = async (line: string) => replies.push(await dialogue.say(line));
      await say("EHLO client.test");
      await say(`MAIL FROM:<${sender}> RET=HDRS ENVID=e-1`);
      await say(`RCPT TO:<told@${domain}> NOTIFY=SUCCESS ORCPT=rfc822;orig@${domain}`);
      await say("DATA");
      await say(`${contentWith("told")}.`);
      dialogue.close();
      expect(replies.at(-1)).toMatch(/^250 /);
      const report = await eventually("the report comes", () => sink.acceptedFor(sender)[0]).catch(
        (error) => {
          throw new Error(postfix!.log(), { cause: error });
        },
      );
      const text = report.content.toString("latin1").replaceAll(/\r\n[ \t]+/g, " ");
      expect(text).toMatch(new RegExp(`^Reporting-MTA: dns; ${reporter}\r$`, "m"));
      expect(text).toMatch(/^Original-Envelope-Id: e-1\r$/mi);
      expect(text).toMatch(new RegExp(`^Original-Recipient: rfc822; ?orig@${domain}\r$`, "m"));
      expect(text).toMatch(/^Action: relayed\r$/m);
    }
  },
);

testWith(EXIM, "Exim: TLS with any certificate, AUTH LOGIN within it", async () => {
  const log = () => exim!.log("/var/log/exim4/mainlog");
  const { tls } = await delivered(["one@exim.test"], contentWith("exim", body), log);
  expect(tls).toMatchObject({ protocol: "TLSv1.3", verified: "none" });
  expect((await came("one@exim.test", "exim", log)).endsWith(`\r\n\r\n${body}`)).toBe(true);
  expect(log()).toMatch(/<= sender@back\.test H=.*gateway\.test.* P=esmtpsa .* A=login:gateway/);
});

testWith(OPENSMTPD, "OpenSMTPD: in clear where it offers no TLS", async () => {
  const log = () => openSmtpd!.log();
  const { tls } = await delivered(["one@opensmtpd.test"], contentWith("opensmtpd", body), log);
  expect(tls).toBeUndefined();
  const text = await came("one@opensmtpd.test", "opensmtpd", log);
  expect(text.endsWith(`\r\n\r\n${body}`)).toBe(true);
});

testWith(
  DOVECOT,
  "Dovecot by LMTP: each mailbox has its copy, an unknown one bounces",
  async () => {
    const to = ["one@dovecot.test", "nobody@dovecot.test", "two@dovecot.test"];
    const id = queueIdOf(await sendMail(port, "lmtp@back.test", to, contentWith("lmtp", body)));
    const shown = await gateway.message(id, "delivered", "bounced").catch((error) => {
      throw new Error(dovecot!.log(), { cause: error });
    });
    expect(shown.recipients.map(({ state }) => state)).toEqual([
      "delivered",
      "bounced",
      "delivered",
    ]);
    expect(shown.recipients[1]?.lastReply).toMatch(/^550 5\.1\.1 .*doesn't exist/);
    for (const user of ["one", "two"]) {
      const [text] = dovecot!.mailbox(user);
      expect(text?.replaceAll("\n", "\r\n").endsWith(`\r\n\r\n${body}`)).toBe(true);
      expect(text).toMatch(/^Return-Path: <lmtp@back\.test>/);
    }
    const report = await eventually(
      "the report comes",
      () => sink.acceptedFor("lmtp@back.test")[0],
    );
    expect(report.content.toString("latin1")).toMatch(/^Status: 5\.1\.1\r$/m);
  },
);
