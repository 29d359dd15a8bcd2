/** TLS and AUTH on the wire: STARTTLS and what must not survive it, submission, certificates. */
import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { connect } from "node:net";
import postgres from "postgres";
import { afterAll, beforeAll, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { runPeer, testWith } from "./peers.ts";
import type { RunningProcess } from "./processes.ts";

const PASSWORD = "pässword ☃ 12345";
const gateway = new Gateway();
let ingress: RunningProcess;
let [smtp, submission, smtps] = [0, 0, 0];
const open: Dialogue[] = [];

beforeAll(async () => {
  await gateway.start({
    "/v1/relays/default": { kind: "capture" },
    "/v1/domains/ours.test": { relay: "default" },
    "/v1/users/anna@ours.test": { password: PASSWORD },
    "/v1/users/gone": { password: PASSWORD, disabled: true },
  });
  const started = await gateway.startIngress(
    "smtp://127.0.0.1:0 submission://127.0.0.1:0 smtps://127.0.0.1:0",
  );
  ingress = started;
  [smtp = 0, submission = 0, smtps = 0] = started.ports;
});

afterAll(async () => {
  for (const dialogue of open) dialogue.close();
  await gateway.stop();
});

function dialogue(port: number, options: { tls?: boolean } = {}): Dialogue {
  const made = new Dialogue(port, options);
  open.push(made);
  return made;
}

function plain(user: string, password = PASSWORD): string {
  return `AUTH PLAIN ${Buffer.from(`\0${user}\0${password}`).toString("base64")}`;
}

/** The session that a message came by, and its Received field. */
async function cameBy(reply: string): Promise<{ session: object; received: string }> {
  const id = queueIdOf(reply);
  const { session } = await gateway.get<{ session: object }>(`/v1/messages/${id}`);
  const text = new TextDecoder().decode(await gateway.raw(id));
  return { session, received: /^Received: (?:.*\r\n[ \t])*.*/.exec(text)![0] };
}

test("STARTTLS: the session begins anew, and Received says ESMTPS", async () => {
  const session = dialogue(smtp);
  expect(await session.say("EHLO client.test")).toMatch(/^250[- ]STARTTLS\r?$/m);
  await session.startTls();
  expect(await session.say("MAIL FROM:<a@sender.test>")).toMatch(/^503 /);
  const offer = await session.say("EHLO client.test");
  expect(offer).not.toMatch(/STARTTLS/);
  expect(offer).toMatch(/^250[- ]AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r?$/m);
  const reply = await session.mail("a@sender.test", ["b@ours.test"], contentWith("by TLS"));
  const { session: stored, received } = await cameBy(reply);
  expect(received).toMatch(/\bwith ESMTPS\b/);
  expect(stored).toMatchObject({ tls: { protocol: "TLSv1.3", serverName: "gateway.test" } });
});

test("submission wants TLS, then AUTH; a user may send anywhere", async () => {
  const session = dialogue(submission);
  expect(await session.say("EHLO client.test")).not.toMatch(/AUTH/);
  expect(await session.say("MAIL FROM:<a@sender.test>")).toMatch(/^530 5\.7\.0 /);
  expect(await session.say(plain("anna@ours.test"))).toMatch(/^530 5\.7\.0 /);
  await session.startTls();
  await session.say("EHLO client.test");
  expect(await session.say("MAIL FROM:<a@sender.test>")).toMatch(/^530 5\.7\.0 /);
  expect(await session.say(plain("Anna@ours.test"))).toMatch(/^235 2\.7\.0 /);
  const reply = await session.mail("anna@ours.test", ["b@away.test"], contentWith("submitted"));
  const { session: stored, received } = await cameBy(reply);
  expect(received).toMatch(/\bwith ESMTPSA\b/);
  expect(stored).toMatchObject({ user: "anna@ours.test" });
});

test("SCRAM-SHA-256-PLUS holds for the certificate that was shown, and for no other", async () => {
  const session = dialogue(submission);
  await session.say("EHLO client.test");
  const fingerprint = await session.startTls();
  await session.say("EHLO client.test");
  // RFC 5929 §4.1: for a signature by SHA-256 the binding is the certificate's SHA-256.
  const shown = Buffer.from(fingerprint.replaceAll(":", ""), "hex");
  expect(await scramPlus(session, Buffer.alloc(32))).toMatch(/^535 5\.7\.8 /);
  expect(await scramPlus(session, shown)).toMatch(/^235 2\.7\.0 /);
});

/** The client's side of SCRAM-SHA-256-PLUS (RFC 5802 §3); answers the last reply. */
async function scramPlus(session: Dialogue, binding: Buffer): Promise<string> {
  const base64 = (text: string | Uint8Array) => Buffer.from(text as string).toString("base64");
  const header = "p=tls-server-end-point,,";
  const bare = "n=anna@ours.test,r=fyko+d2lbbFgONRv9qkxdawL";
  const first = await session.say(`AUTH SCRAM-SHA-256-PLUS ${base64(header + bare)}`);
  const challenge = Buffer.from(first.slice("334 ".length), "base64").toString();
  const [, nonce = "", salt = "", rounds = ""] = /^r=(.+),s=(.+),i=(\d+)$/.exec(challenge)!;
  const hmac = (key: Uint8Array, data: string) => createHmac("sha256", key).update(data).digest();
  const salted = pbkdf2Sync(PASSWORD, Buffer.from(salt, "base64"), Number(rounds), 32, "sha256");
  const clientKey = hmac(salted, "Client Key");
  const without = `c=${base64(Buffer.concat([Buffer.from(header), binding]))},r=${nonce}`;
  const storedKey = createHash("sha256").update(clientKey).digest();
  const signature = hmac(storedKey, `${bare},${challenge},${without}`);
  const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
  const second = await session.say(base64(`${without},p=${base64(proof)}`));
  return second.startsWith("334 ") ? await session.say("") : second;
}

test("implicit TLS", async () => {
  const session = dialogue(smtps, { tls: true });
  expect(await session.say("EHLO client.test")).toMatch(/^250[- ]AUTH /m);
  expect(await session.say("STARTTLS")).toMatch(/^50[23] /);
  expect(await session.say(plain("anna@ours.test"))).toMatch(/^235 /);
  const reply = await session.mail("anna@ours.test", ["b@away.test"], contentWith("by smtps"));
  expect((await cameBy(reply)).received).toMatch(/\bwith ESMTPSA\b/);
});

test("what delivery honours is offered, and kept with the message", async () => {
  const session = dialogue(smtps, { tls: true });
  const offer = await session.say("EHLO client.test");
  for (
    const one of ["BINARYMIME", "DELIVERBY", "MT-PRIORITY", "REQUIRETLS", "FUTURERELEASE 604800"]
  ) {
    expect(offer).toContain(`250-${one}`);
  }
  await session.say(plain("anna@ours.test"));
  const parameters = "REQUIRETLS MT-PRIORITY=3 BY=7200;R HOLDFOR=3600";
  expect(await session.say(`MAIL FROM:<later@ours.test> ${parameters}`)).toMatch(/^250 /);
  await session.say("RCPT TO:<b@ours.test>");
  await session.say("DATA");
  const id = queueIdOf(await session.say(`${contentWith("later")}.`));
  const sql = postgres(gateway.databaseUrl, { max: 1 });
  try {
    const [due] = await sql`
      select extract(epoch from min(due_at) - now())::float8 as seconds, min(priority)::int as priority
      from deliveries where message_id = ${id}`;
    expect(due?.["priority"]).toBe(3);
    expect(due?.["seconds"]).toBeGreaterThan(3500);
  } finally {
    await sql.end();
  }
});

test("the password is shown to nobody in clear", async () => {
  const session = dialogue(smtp);
  expect(await session.say("EHLO client.test")).toMatch(/^250[- ]AUTH SCRAM-SHA-256\r?$/m);
  expect(await session.say(plain("anna@ours.test"))).toMatch(/^5\d\d /);
});

test("nothing that is pipelined behind STARTTLS survives it", async () => {
  const session = dialogue(smtp);
  await session.say("EHLO client.test");
  session.write("STARTTLS\r\nMAIL FROM:<injected@sender.test>\r\n");
  expect(await session.reply()).toMatch(/^554 5\.5\.[01] /);
  await expect(session.reply()).rejects.toThrow(/connection lost/);
});

test("what was said before STARTTLS is forgotten", async () => {
  const session = dialogue(smtp);
  await session.say("EHLO client.test");
  await session.say("MAIL FROM:<before@sender.test>");
  const refused = await session.say("STARTTLS").catch(String);
  if (refused.startsWith("220")) throw new Error("STARTTLS within a transaction");
  await session.say("RSET");
  await session.startTls();
  expect(await session.say("RCPT TO:<b@ours.test>")).toMatch(/^503 /);
});

test("a wrong password and an unknown or disabled user are told alike", async () => {
  const session = dialogue(smtps, { tls: true });
  await session.say("EHLO client.test");
  for (const [user, password] of [["anna@ours.test", "wrong"], ["gone"]] as const) {
    expect(await session.say(plain(user, password)))
      .toBe("535 5.7.8 Authentication credentials invalid");
  }
  expect(await session.say(plain("nobody"))).toMatch(/^421 4\.7\.0 /);
  expect(ingress.log()).toMatch(/"authentication failed".*"client":"127\.0\.0\.1".*"user":"gone"/);
  expect(ingress.log()).not.toContain("wrong");
}, 60_000);

test("what is no handshake harms nobody else, nor does a client that dies in the midst", async () => {
  for (const port of [smtps, smtp]) {
    for (const bytes of ["EHLO client.test\r\n", "\x16\x03\x01\x02\x00\x01\x00", ""]) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, "127.0.0.1", () => {
          socket.write(port === smtp ? `EHLO a.test\r\nSTARTTLS\r\n` : bytes, () => {
            if (port !== smtp) return void socket.destroy();
            socket.once("data", () => socket.write(bytes, () => socket.destroy()));
          });
        });
        socket.on("error", () => {});
        socket.on("close", () => resolve());
      });
    }
  }
  const bad = dialogue(smtp);
  await bad.say("EHLO client.test");
  await bad.say("STARTTLS");
  bad.write("EHLO client.test\r\nMAIL FROM:<a@b.test>\r\n");
  await expect(bad.reply()).rejects.toThrow(/connection lost/);
  const good = dialogue(smtps, { tls: true });
  expect(await good.greeting).toMatch(/^220 gateway\.test /);
});

test(
  "200 idle sessions in TLS, and all of them go on after the configuration has changed",
  async () => {
    const memory = () =>
      Number(/^VmRSS:\s+(\d+)/m.exec(Deno.readTextFileSync(`/proc/${ingress.pid}/status`))![1]);
    const before = memory();
    const sessions: Dialogue[] = [];
    for (let batch = 0; batch < 10; batch += 1) {
      const some = Array.from({ length: 20 }, () => dialogue(smtps, { tls: true }));
      await Promise.all(some.map((session) => session.say("EHLO client.test")));
      sessions.push(...some);
    }
    expect((memory() - before) / sessions.length).toBeLessThan(300);
    await gateway.put("/v1/settings", { smtp: { messageSize: 70_000 } });
    await eventually("the change is in force", async () => {
      return /^250[- ]SIZE 70000\r?$/m.test(await sessions[0]!.say("EHLO client.test"));
    });
    const replies = await Promise.all(sessions.map((session) => session.say("NOOP")));
    expect(replies.every((reply) => reply.startsWith("250 "))).toBe(true);
    for (const session of sessions) session.close();
  },
  60_000,
);

testWith(["openssl"], "a client is known by its certificate", async () => {
  const folder = gateway.dataDir;
  const made = await runPeer("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"],
    ...["-subj", "/CN=client.test", "-keyout", `${folder}/client.key`],
    ...["-out", `${folder}/client.pem`],
  ]);
  expect(made.code).toBe(0);
  const { stdout } = await runPeer("openssl", [
    ...["x509", "-in", `${folder}/client.pem`, "-noout", "-fingerprint", "-sha256"],
  ]);
  const fingerprint = stdout.trim().replace(/^.*=/, "");
  await gateway.put("/v1/clients/shown", { certificates: [fingerprint] });
  const lines = [
    "EHLO client.test",
    "MAIL FROM:<a@sender.test>",
    "RCPT TO:<b@away.test>",
    "QUIT",
    "",
  ];
  await eventually("the client may relay", async () => {
    const said = await runPeer("openssl", [
      ...["s_client", "-connect", `127.0.0.1:${smtp}`, "-starttls", "smtp", "-quiet"],
      ...["-cert", `${folder}/client.pem`, "-key", `${folder}/client.key`, "-ign_eof"],
    ], lines.join("\r\n"));
    return /^250 2\.1\.5 /m.test(said.stdout);
  });
});

test("a new certificate is shown after SIGHUP, a bad one is not", async () => {
  const other = new Gateway();
  const files = other.dataDir;
  try {
    await Deno.copyFile(`${gateway.dataDir}/tls-certificate.pem`, `${files}/cert.pem`);
    await other.start({});
    const started = await other.startIngress("smtp://127.0.0.1:0", {
      POSTERN_TLS_CERT_FILE: `${files}/cert.pem`,
      POSTERN_TLS_KEY_FILE: `${files}/cert.pem`,
    });
    const shown = async () => {
      const session = dialogue(started.port);
      await session.say("EHLO client.test");
      return await session.startTls();
    };
    const first = await shown();
    const kept = dialogue(started.port);
    await kept.say("EHLO client.test");
    await kept.startTls();
    // Another ingress makes another certificate.
    const folder = `${files}/second`;
    await Deno.mkdir(folder);
    const second = await other.startIngress("smtp://127.0.0.1:0", { POSTERN_DATA_DIR: folder });
    await second.stop();
    await Deno.writeTextFile(`${files}/cert.pem`, "garbage");
    Deno.kill(started.pid, "SIGHUP");
    await eventually("it is refused", () => /the new certificate is not used/.test(started.log()));
    expect(await shown()).toBe(first);
    await Deno.copyFile(`${folder}/tls-certificate.pem`, `${files}/cert.pem`);
    Deno.kill(started.pid, "SIGHUP");
    await eventually("it is shown", async () => await shown() !== first);
    expect(await kept.say("NOOP")).toMatch(/^503|^250 /);
  } finally {
    await other.stop();
  }
}, 60_000);
