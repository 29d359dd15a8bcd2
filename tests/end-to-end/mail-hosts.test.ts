/**
 * Exim and OpenSMTPD as hosts that relay into the gateway: each is handed a message and brings it
 * on, and the gateway keeps what came.
 */
import { afterAll, beforeAll, expect } from "vitest";
import { contentWith, Dialogue, sendMail } from "./dialogue.ts";
import { eventually, freePort } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { PeerTree } from "./peer-tree.ts";
import { missing, type Peer, testWith } from "./peers.ts";

const EXIM: readonly Peer[] = ["exim", "root"];
const OPENSMTPD: readonly Peer[] = ["opensmtpd", "root"];

const gateway = new Gateway();
const exim = missing(...EXIM).length === 0 ? new PeerTree("exim") : undefined;
const openSmtpd = missing(...OPENSMTPD).length === 0 ? new PeerTree("opensmtpd") : undefined;
let port = 0;
let openSmtpdPort = 0;

beforeAll(async () => {
  if (exim === undefined && openSmtpd === undefined) return;
  await gateway.start({
    "/v1/relays/kept": { kind: "capture" },
    "/v1/domains/kept.test": { relay: "kept" },
  });
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
  await exim?.make({ "/etc/exim4/exim4.conf": eximConfiguration(port) });
  if (openSmtpd !== undefined) await startOpenSmtpd(openSmtpd);
});

afterAll(async () => {
  await exim?.stop();
  await openSmtpd?.stop();
  await gateway.stop();
});

/** Every message goes to the gateway; `exim -odf` waits until it is there. */
function eximConfiguration(gatewayPort: number): string {
  return `
primary_hostname = exim.test
never_users =
keep_environment =
begin routers
gateway:
  driver = manualroute
  route_list = * 127.0.0.1
  self = send
  transport = gateway
begin transports
gateway:
  driver = smtp
  port = ${gatewayPort}
`;
}

async function startOpenSmtpd(tree: PeerTree): Promise<void> {
  openSmtpdPort = await freePort();
  await tree.make({
    "/etc/smtpd.conf": `
listen on 127.0.0.1 port ${openSmtpdPort} hostname opensmtpd.test
action gateway relay host smtp://127.0.0.1:${port} helo opensmtpd.test
match from any for any action gateway
`,
  });
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
  expect(message.recipients.map(({ forwardPath }) => forwardPath)).toEqual([
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
