/**
 * Exim, OpenSMTPD and Postfix as hosts that relay into the gateway: each is handed a message and
 * brings it on, in clear or with STARTTLS and AUTH, and the gateway keeps what came.
 */
import { afterAll, beforeAll, expect } from "vitest";
import { contentWith, Dialogue, sendMail } from "./dialogue.ts";
import { eventually, freePort } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { PeerTree } from "./peer-tree.ts";
import { missing, type Peer, testWith } from "./peers.ts";
import { PrivatePostfix } from "./private-postfix.ts";

const EXIM: readonly Peer[] = ["exim", "root"];
const OPENSMTPD: readonly Peer[] = ["opensmtpd", "root"];
const POSTFIX: readonly Peer[] = ["postfix", "root"];
const PASSWORD = "s3cret word";

const gateway = new Gateway();
const exim = missing(...EXIM).length === 0 ? new PeerTree("exim") : undefined;
const postfix = missing(...POSTFIX).length === 0 ? new PrivatePostfix() : undefined;
const openSmtpd = missing(...OPENSMTPD).length === 0 ? new PeerTree("opensmtpd") : undefined;
let port = 0;
let submission = 0;
let openSmtpdPort = 0;
let postfixPort = 0;

beforeAll(async () => {
  if (exim === undefined && openSmtpd === undefined && postfix === undefined) return;
  await gateway.start({
    "/v1/relays/kept": { kind: "capture" },
    "/v1/domains/kept.test": { relay: "kept" },
    "/v1/relays/default": { kind: "capture" },
    "/v1/users/host": { password: PASSWORD },
  });
  const [ingress] = await Promise.all([
    gateway.startIngress("smtp://127.0.0.1:0 submission://127.0.0.1:0"),
    gateway.startWorker(),
  ]);
  [port = 0, submission = 0] = ingress.ports;
  await exim?.make({ "/etc/exim4/exim4.conf": eximConfiguration(port) });
  if (openSmtpd !== undefined) await startOpenSmtpd(openSmtpd);
  postfixPort = await freePort();
  await postfix?.start([{ port: postfixPort }], [
    `relayhost = [127.0.0.1]:${submission}`,
    "smtp_tls_security_level = secure",
    "smtp_tls_secure_cert_match = gateway.test",
    `smtp_tls_CAfile = ${gateway.dataDir}/tls-certificate.pem`,
    "smtp_sasl_auth_enable = yes",
    "smtp_sasl_security_options = noanonymous",
    `smtp_sasl_password_maps = inline:{ {[127.0.0.1]:${submission} = host:${PASSWORD}} }`,
  ]);
});

afterAll(async () => {
  await exim?.stop();
  await openSmtpd?.stop();
  await postfix?.stop();
  await gateway.stop();
});

/**
 * Every message goes to the gateway, that for away.test with TLS and AUTH; `exim -odf` waits until
 * it is there.
 */
function eximConfiguration(gatewayPort: number): string {
  return `
primary_hostname = exim.test
never_users =
keep_environment =
begin routers
submission:
  driver = manualroute
  domains = away.test
  route_list = * 127.0.0.1
  self = send
  transport = submission
gateway:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = gateway
begin transports
gateway:
  driver = smtp
  port = ${gatewayPort}
submission:
  driver = smtp
  port = ${submission}
  hosts_require_tls = *
  hosts_require_auth = *
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  client_send = ^host^${PASSWORD}
`;
}

async function startOpenSmtpd(tree: PeerTree): Promise<void> {
  openSmtpdPort = await freePort();
  await tree.make({
    "/etc/secrets": `gateway host:${PASSWORD}\n`,
    "/etc/smtpd.conf": `
table secrets file:/etc/secrets
listen on 127.0.0.1 port ${openSmtpdPort} hostname opensmtpd.test
action gateway relay host smtp://127.0.0.1:${port} helo opensmtpd.test
action submission relay host smtp+tls://gateway@127.0.0.1:${submission} tls no-verify auth <secrets> helo opensmtpd.test
match from any for domain away.test action submission
match from any for any action gateway
`,
  });
  await Deno.chmod(`${tree.folder}/etc/secrets`, 0o640);
  tree.startServer("/usr/sbin/smtpd", ["-d"]);
  await eventually("OpenSMTPD answers", async () => {
    const dialogue = new Dialogue(openSmtpdPort);
    try {
      return (await dialogue.greeting).startsWith("220 ");
    } finally {
      dialogue.close();
    }
  }).catch((error) => {
    throw new Error(tree.log(), { cause: error });
  });
}

/** The content of the message that came from this sender. */
async function kept(sender: string, log: () => string): Promise<string> {
  const item = await eventually(`mail of ${sender} is kept`, async () => {
    const { items } = await gateway.get<{ items: { id: string }[] }>(
      `/v1/messages?sender=${sender}`,
    );
    return items[0];
  }).catch((error) => {
    throw new Error(log(), { cause: error });
  });
  const message = await gateway.message(item.id, "delivered");
  expect(message.recipients.map(({ forwardPath }) => forwardPath).sort()).toEqual([
    "one@kept.test",
    "two@kept.test",
  ]);
  return new TextDecoder().decode(await gateway.raw(item.id));
}

const recipients = ["one@kept.test", "two@kept.test"];

testWith(EXIM, "Exim relays into the gateway", async () => {
  const content = contentWith("by Exim", ".\r\n..\r\n8-bit: \u00e9\r\n").replaceAll("\r\n", "\n");
  const sent = await exim!.run(
    "/usr/sbin/exim4",
    ["-odf", "-i", "-f", "exim@sender.test", ...recipients],
    content,
  );
  const log = () => `${sent.stderr}\n${exim!.log("/var/log/exim4/mainlog")}`;
  const text = await kept("exim@sender.test", log);
  expect(text).toMatch(/^Received: from exim\.test \(\[127\.0\.0\.1\]\)\s+by gateway\.test\s/);
  expect(text.endsWith("\r\n\r\n.\r\n..\r\n8-bit: \u00e9\r\n")).toBe(true);
  expect(log()).toMatch(/=> one@kept\.test .* C="250.* queued as \S+"/);
});

testWith(OPENSMTPD, "OpenSMTPD relays into the gateway", async () => {
  const content = contentWith("by OpenSMTPD", ".\r\n..\r\n8-bit: \u00e9\r\n");
  expect(await sendMail(openSmtpdPort, "opensmtpd@sender.test", recipients, content))
    .toMatch(/^250 /);
  const text = await kept("opensmtpd@sender.test", () => openSmtpd!.log());
  expect(text).toMatch(/^Received: from opensmtpd\.test \(\[127\.0\.0\.1\]\)\s+by gateway\.test\s/);
  expect(text.endsWith("\r\n\r\n.\r\n..\r\n8-bit: \u00e9\r\n")).toBe(true);
});

/** A message of this sender came with TLS and AUTH. */
async function submitted(reversePath: string, log: () => string): Promise<void> {
  const item = await eventually(`mail of ${reversePath} is submitted`, async () => {
    const { items } = await gateway.get<{ items: { id: string }[] }>(
      `/v1/messages?sender=${reversePath}`,
    );
    return items[0];
  }).catch((error) => {
    throw new Error(log(), { cause: error });
  });
  const { session } = await gateway.get<{ session: object }>(`/v1/messages/${item.id}`);
  expect(session).toMatchObject({ user: "host", tls: { protocol: "TLSv1.3" } });
  const text = new TextDecoder().decode(await gateway.raw(item.id));
  expect(text).toMatch(/^Received: [^]*? with ESMTPSA\s/);
  expect(text.endsWith("\r\n\r\n.\r\nHello\r\n")).toBe(true);
}

const submission7bit = ".\r\nHello\r\n";

testWith(EXIM, "Exim submits with STARTTLS and AUTH PLAIN", async () => {
  const content = contentWith("by Exim", submission7bit).replaceAll("\r\n", "\n");
  const args = ["-odf", "-i", "-f", "exim-user@sender.test", "someone@away.test"];
  const sent = await exim!.run("/usr/sbin/exim4", args, content);
  await submitted(
    "exim-user@sender.test",
    () => `${sent.stderr}\n${exim!.log("/var/log/exim4/mainlog")}`,
  );
});

testWith(OPENSMTPD, "OpenSMTPD submits with STARTTLS and AUTH", async () => {
  const content = contentWith("by OpenSMTPD", submission7bit);
  await sendMail(openSmtpdPort, "smtpd-user@sender.test", ["someone@away.test"], content);
  await submitted("smtpd-user@sender.test", () => openSmtpd!.log());
});

testWith(POSTFIX, "Postfix submits with verified TLS and AUTH", async () => {
  const content = contentWith("by Postfix", submission7bit);
  await sendMail(postfixPort, "postfix-user@sender.test", ["someone@away.test"], content);
  await submitted("postfix-user@sender.test", () => postfix!.log());
});
