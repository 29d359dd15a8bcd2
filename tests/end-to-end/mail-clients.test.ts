/**
 * Mail clients of others against the real ingress: swaks, msmtp and Python's smtplib with STARTTLS,
 * implicit TLS and each mechanism they know; swaks also for XCLIENT and the PROXY protocol. msmtp and smtplib verify the gateway's own certificate.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf } from "./dialogue.ts";
import { Gateway } from "./gateway.ts";
import { type Peer, runPeer, type Said, testWith } from "./peers.ts";

const USER = "anna@ours.test";
const PASSWORD = "correct horse ☃";
const gateway = new Gateway();
const certificate = `${gateway.dataDir}/tls-certificate.pem`;
let [smtp, submission, smtps, proxied] = [0, 0, 0, 0];
let count = 0;

beforeAll(async () => {
  await gateway.start({
    "/v1/relays/default": { kind: "capture" },
    "/v1/domains/ours.test": { relay: "default" },
    "/v1/users/anna@ours.test": { password: PASSWORD },
    "/v1/users/bert": { password: "plain ascii" },
    "/v1/clients/local": {
      networks: ["127.0.0.0/8"],
      mayRelay: false,
      trust: ["xclient", "vrfy", "expn", "etrn"],
    },
    "/v1/clients/known": { networks: ["192.0.2.0/24", "2001:db8::/32"] },
  });
  const { ports } = await gateway.startIngress([
    "smtp://127.0.0.1:0 submission://127.0.0.1:0 smtps://127.0.0.1:0",
    "smtp://127.0.0.1:0?proxy=127.0.0.0/8",
  ].join(" "));
  [smtp = 0, submission = 0, smtps = 0, proxied = 0] = ports;
});

afterAll(() => gateway.stop());

/** A sender that no message had before. */
function sender(): string {
  count += 1;
  return `sender-${count}@ours.test`;
}

/** The session and the content of the one message of a sender. */
async function cameBy(reversePath: string) {
  const { items } = await gateway.get<{ items: { id: string }[] }>(
    `/v1/messages?sender=${reversePath}`,
  );
  expect(items).toHaveLength(1);
  const { session } = await gateway.get<{ session: Record<string, unknown> }>(
    `/v1/messages/${items[0]!.id}`,
  );
  return { session, text: new TextDecoder().decode(await gateway.raw(items[0]!.id)) };
}

describe("swaks", () => {
  const swaks = (port: number, from: string, ...more: readonly string[]): Promise<Said> =>
    runPeer("swaks", [
      ...["--server", "127.0.0.1", "--port", String(port), "--helo", "client.test"],
      ...["--from", from, "--to", "someone@away.test", ...more],
    ]);
  const user = ["--auth-user", USER, "--auth-password", PASSWORD];
  const SWAKS: readonly Peer[] = ["swaks", "net-ssleay"];

  for (
    const [name, port, options, protocol] of [
      ["STARTTLS and PLAIN", () => submission, ["-tls", "--auth", "PLAIN"], "ESMTPSA"],
      ["STARTTLS and LOGIN", () => smtp, ["-tls", "--auth", "LOGIN"], "ESMTPSA"],
      ["implicit TLS and PLAIN", () => smtps, ["-tlsc", "--auth", "PLAIN"], "ESMTPSA"],
      ["TLS 1.2, pipelined", () => smtp, ["-tls", "-tlsp", "tlsv1_2", "-pipeline"], "ESMTPSA"],
    ] as const
  ) {
    testWith(SWAKS, name, async () => {
      const from = sender();
      const said = await swaks(port(), from, ...options, ...user);
      expect(said.stdout + said.stderr).toMatch(/<~\s+250 2\.0\.0 Ok: queued/);
      expect(said.code).toBe(0);
      const { session, text } = await cameBy(from);
      expect(session).toMatchObject({ user: USER });
      expect(text).toMatch(new RegExp(`^Received: [^]*? with ${protocol}\\s`));
    });
  }

  testWith(SWAKS, "a wrong password is refused", async () => {
    const said = await swaks(submission, sender(), "-tls", "-au", USER, "-ap", "wrong");
    expect(said.stdout + said.stderr).toMatch(/535 5\.7\.8 /);
    expect(said.code).toBe(28);
  });

  for (const version of ["1", "2"]) {
    for (
      const [family, source, dest] of [
        ["TCP4", "192.0.2.7", "192.0.2.1"],
        ["TCP6", "2001:db8::7", "2001:db8::1"],
      ] as const
    ) {
      testWith(["swaks"], `PROXY protocol ${version}, ${family}`, async () => {
        const from = sender();
        const said = await swaks(proxied, from, ...[
          ...[
            "--proxy-version",
            version,
            "--proxy-family",
            version === "1" ? family : `AF_INET${family === "TCP6" ? "6" : ""}`,
          ],
          ...(version === "2" ? ["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"] : []),
          ...["--proxy-source", source, "--proxy-source-port", "4321"],
          ...["--proxy-dest", dest, "--proxy-dest-port", "25"],
        ]);
        expect(said).toMatchObject({ code: 0 });
        const { session, text } = await cameBy(from);
        expect(session).toMatchObject({
          client: { address: source, port: 4321 },
          via: "127.0.0.1",
        });
        expect(text).toContain(source);
      });
    }
  }

  testWith(["swaks"], "XCLIENT: policy decides by whom it names", async () => {
    expect((await swaks(smtp, sender())).code).toBe(24);
    const from = sender();
    const said = await swaks(smtp, from, ...[
      ...["--xclient-addr", "192.0.2.9", "--xclient-name", "host.test"],
      ...["--xclient-helo", "helo.test", "--xclient-proto", "ESMTP"],
    ]);
    expect(said).toMatchObject({ code: 0 });
    expect((await cameBy(from)).session).toMatchObject({
      client: { address: "192.0.2.9" },
      via: "127.0.0.1",
    });
  });
});

describe("msmtp", () => {
  const msmtp = (port: number, from: string, ...more: readonly string[]): Promise<Said> =>
    runPeer(
      "msmtp",
      [
        ...["--host=127.0.0.1", `--port=${port}`, "--domain=client.test", `--from=${from}`],
        ...["--tls=on", `--tls-trust-file=${certificate}`, "--tls-host-override=gateway.test"],
        ...[`--user=${USER}`, `--passwordeval=printf %s '${PASSWORD}'`],
        ...[...more, "someone@away.test"],
      ],
      contentWith("by msmtp").replaceAll("\r\n", "\n"),
    );

  for (const mechanism of ["plain", "login", "scram-sha-256"]) {
    for (const [way, starttls] of [["STARTTLS", "on"], ["implicit TLS", "off"]] as const) {
      testWith(["msmtp"], `${mechanism} in ${way}`, async () => {
        const from = sender();
        const port = starttls === "on" ? submission : smtps;
        const said = await msmtp(port, from, `--auth=${mechanism}`, `--tls-starttls=${starttls}`);
        expect(said).toMatchObject({ code: 0, stderr: "" });
        const { session } = await cameBy(from);
        expect(session).toMatchObject({ user: USER, tls: { protocol: "TLSv1.3" } });
      });
    }
  }

  testWith(["msmtp"], "another name than the certificate's is not trusted", async () => {
    const said = await msmtp(
      submission,
      sender(),
      "--tls-host-override=other.test",
      "--auth=plain",
    );
    expect(said.code).not.toBe(0);
    expect(said.stderr).toMatch(/certificate/i);
  });
});

describe("Python's smtplib", () => {
  // smtplib takes the name to verify from the host it connects to, and knows no other characters
  // in a password than those of ASCII.
  const script = (port: number, implicit: boolean, from: string) => `
import smtplib, ssl
context = ssl.create_default_context(cafile=${JSON.stringify(certificate)})
class Named(smtplib.${implicit ? "SMTP_SSL" : "SMTP"}):
    def _get_socket(self, host, port, timeout):
        self._host = "gateway.test"
        return super()._get_socket(host, port, timeout)
options = dict(local_hostname="client.test", timeout=20)
server = Named("127.0.0.1", ${port}, **options${implicit ? ", context=context" : ""})
${implicit ? "" : "server.starttls(context=context)"}
server.login("bert", "plain ascii")
server.sendmail("${from}", ["someone@away.test"], "Subject: by smtplib\\r\\n\\r\\nHello\\r\\n")
server.quit()
`;

  for (const implicit of [false, true]) {
    testWith(["python3"], implicit ? "implicit TLS" : "STARTTLS", async () => {
      const from = sender();
      const source = script(implicit ? smtps : submission, implicit, from);
      expect(await runPeer("python3", ["-c", source])).toMatchObject({ code: 0, stderr: "" });
      expect((await cameBy(from)).session).toMatchObject({ user: "bert" });
    });
  }
});

test("VRFY, EXPN and ETRN by a trusted client", async () => {
  const session = new Dialogue(smtp);
  try {
    await session.say("EHLO client.test");
    expect(await session.say("VRFY x@ours.test")).toBe("250 2.1.5 <x@ours.test>");
    expect(await session.say("VRFY x@away.test")).toMatch(/^550 5\.1\.1 <x@away\.test>: /);
    expect(await session.say("EXPN x@ours.test")).toBe("250 2.1.5 <x@ours.test>");
    expect(await session.say("ETRN ours.test")).toMatch(/^251 2\.0\.0 /);
    expect(await session.say("ETRN away.test")).toMatch(/^459 /);
    const reply = await session.mail("", ["x@ours.test"], contentWith("after all that"));
    expect(queueIdOf(reply)).not.toBe("");
  } finally {
    session.close();
  }
});

test("the certificate and its key are their owner's alone", () => {
  expect(Deno.statSync(certificate).mode! & 0o777).toBe(0o600);
});
