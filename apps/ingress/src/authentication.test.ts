import { Buffer } from "node:buffer";
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { userSchema } from "@postern/config";
import { compile } from "@postern/routing";
import { makeVerifier } from "@postern/secrets";
import { type AuthMechanism, ServerSession } from "@postern/smtp";
import { beforeAll, expect, test } from "vitest";
import { Authentication, mechanismsOf } from "./authentication.ts";
import { Authenticator } from "./authenticator.ts";

const password = "pässword ☃ 12345";
const user = async (more: object, iterations = 4096) =>
  userSchema.parse({
    password: { scram: await makeVerifier(password, { iterations }) },
    ...more,
  });

async function configuration(version: number) {
  return compile({
    version,
    domains: new Map(),
    relays: new Map(),
    clients: new Map(),
    users: new Map([
      ["anna@example.com", await user({})],
      ["slow", await user({}, 400_000)],
      ["gone", await user({ disabled: true })],
      ["tokens-only", userSchema.parse({})],
    ]),
    rules: new Map(),
    settings: new Map(),
  });
}

let snapshot: Awaited<ReturnType<typeof configuration>>;
beforeAll(async () => {
  snapshot = await configuration(1);
});

function setUp(tokens?: (token: string) => Promise<string | undefined>) {
  let time = 0;
  const authenticator = new Authenticator({
    secret: new Uint8Array(32).fill(7),
    now: () => new Date(time),
    ...(tokens === undefined ? {} : { tokens }),
  });
  return { authenticator, pass: (seconds: number) => time += seconds * 1000 };
}

/** A session in TLS; `say` answers what the server says to a line. */
function dialogue(authenticator = setUp().authenticator) {
  const binding = { type: "tls-exporter", data: new Uint8Array(32).fill(1) } as const;
  const session = new ServerSession({
    hostname: "gateway.test",
    tls: "active",
    tlsInformation: { channelBindings: [binding] },
    auth: { mechanisms: mechanismsOf(authenticator) },
  });
  const users: string[] = [];
  const delays: number[] = [];
  const log: Record<string, unknown>[] = [];
  const keep = (_message: string, fields: object = {}) => void log.push({ ...fields });
  const authentication = new Authentication({
    authenticator,
    session,
    log: { debug: keep, info: keep, warning: keep, error: keep } as never,
    snapshot: () => snapshot,
    address: () => "192.0.2.1",
    delay: (seconds) => {
      delays.push(seconds);
      return Promise.resolve();
    },
    onUser: (name) => void users.push(name),
  });
  async function pump(): Promise<string> {
    let said = "";
    for (let action = session.next(); action !== undefined; action = session.next()) {
      switch (action.type) {
        case "send":
          said += Buffer.from(action.bytes).toString();
          break;
        case "auth":
        case "scram":
        case "digest":
          await authentication.answer(action);
          break;
        case "connect":
        case "hello":
          session.accept();
      }
    }
    return said.trimEnd();
  }
  const say = (line: string) => {
    session.receive(Buffer.from(`${line}\r\n`));
    return pump();
  };
  session.start();
  return { say, session, users, delays, log, start: () => say("EHLO client.test") };
}

const base64 = (text: string | Uint8Array) => Buffer.from(text as string).toString("base64");
const plain = (name: string, secret = password, as = "") =>
  `AUTH PLAIN ${base64(`${as}\0${name}\0${secret}`)}`;

/** The client's side of SCRAM; answers the server's replies. */
async function scram(
  { say }: Pick<ReturnType<typeof dialogue>, "say">,
  name: string,
  { secret = password, plus = false, binding = new Uint8Array(32).fill(1) } = {},
): Promise<string[]> {
  const header = plus ? "p=tls-exporter,," : "n,,";
  const bare = `n=${name},r=clientnonce`;
  const mechanism: AuthMechanism = plus ? "SCRAM-SHA-256-PLUS" : "SCRAM-SHA-256";
  const first = await say(`AUTH ${mechanism} ${base64(header + bare)}`);
  if (!first.startsWith("334 ")) return [first];
  const challenge = Buffer.from(first.slice(4), "base64").toString();
  const [, nonce = "", salt = "", iterations = ""] =
    /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(challenge) ?? [];
  const bound = Buffer.concat([Buffer.from(header), plus ? binding : new Uint8Array()]);
  const without = `c=${base64(bound)},r=${nonce}`;
  const salted = pbkdf2Sync(
    secret.normalize("NFKC"),
    Buffer.from(salt, "base64"),
    Number(iterations),
    32,
    "sha256",
  );
  const hmac = (key: Uint8Array, data: string) => createHmac("sha256", key).update(data).digest();
  const clientKey = hmac(salted, "Client Key");
  const authMessage = `${bare},${challenge},${without}`;
  const signature = hmac(createHash("sha256").update(clientKey).digest(), authMessage);
  const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
  const second = await say(base64(`${without},p=${base64(proof)}`));
  if (!second.startsWith("334 ")) return [challenge, second];
  const server = `v=${base64(hmac(hmac(salted, "Server Key"), authMessage))}`;
  expect(Buffer.from(second.slice(4), "base64").toString()).toBe(server);
  return [challenge, await say("")];
}

test("what is offered: tokens only where they can be checked", async () => {
  expect(await dialogue().start()).toMatch(
    /^250-AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 PLAIN LOGIN\r$/m,
  );
  const tokens = setUp(() => Promise.resolve("anna@example.com")).authenticator;
  expect(await dialogue(tokens).start()).toMatch(/ OAUTHBEARER XOAUTH2\r$/m);
});

test("PLAIN and LOGIN: the right password lets in, however the name is written", async () => {
  for (const name of ["anna@example.com", "Anna@Example.COM"]) {
    const one = dialogue();
    await one.start();
    expect(await one.say(plain(name))).toMatch(/^235 2\.7\.0 /);
    expect(one.users).toEqual(["anna@example.com"]);
    const two = dialogue();
    await two.start();
    expect(await two.say("AUTH LOGIN")).toBe("334 VXNlcm5hbWU6");
    expect(await two.say(base64(name))).toBe("334 UGFzc3dvcmQ6");
    expect(await two.say(base64(password))).toMatch(/^235 /);
    expect(two.users).toEqual(["anna@example.com"]);
  }
});

test.each([
  ["a wrong password", plain("anna@example.com", "wrong password")],
  ["an unknown user", plain("nobody@example.com")],
  ["an unknown user, unicode", plain("jürgen☃@example.com")],
  ["a disabled user", plain("gone")],
  ["a user without password", plain("tokens-only")],
  ["somebody who acts for another", plain("anna@example.com", password, "slow")],
])("%s gets 535 after a delay, and is logged", async (_what, line) => {
  const { start, say, delays, log, users } = dialogue();
  await start();
  expect(await say(line)).toBe("535 5.7.8 Authentication credentials invalid");
  expect(users).toEqual([]);
  expect(delays).toEqual([1]);
  expect(log).toMatchObject([{ client: "192.0.2.1", mechanism: "PLAIN", failures: 1 }]);
  expect(JSON.stringify(log)).not.toContain("assword");
});

test("SCRAM, with and without channel binding", async () => {
  for (const plus of [false, true]) {
    const one = dialogue();
    await one.start();
    expect((await scram(one, "Anna@example.com", { plus }))[1]).toMatch(/^235 2\.7\.0 /);
    expect(one.users).toEqual(["anna@example.com"]);
  }
});

test("SCRAM refuses another channel, a wrong password, who is not there and who is disabled", async () => {
  const wrong = dialogue();
  await wrong.start();
  const options = { plus: true, binding: new Uint8Array(32).fill(2) };
  expect((await scram(wrong, "anna@example.com", options))[1]).toMatch(/^535 /);
  for (
    const [name, secret] of [["anna@example.com", "wrong"], ["nobody", password], [
      "gone",
      password,
    ]] as const
  ) {
    const one = dialogue();
    await one.start();
    expect((await scram(one, name, { secret }))[1]).toMatch(/^535 5\.7\.8 /);
    expect(one.delays).toEqual([1]);
    expect(one.log).toMatchObject([{ user: name, mechanism: "SCRAM-SHA-256" }]);
  }
});

test("an unknown user always gets the same salt, and ingresses with one secret the same", async () => {
  const salts = [];
  for (let session = 0; session < 2; session += 1) {
    const one = dialogue();
    await one.start();
    const [challenge = ""] = await scram(one, "nobody");
    expect(challenge).toMatch(/,i=4096$/);
    salts.push(/s=([^,]+)/.exec(challenge)![1]);
  }
  expect(salts[0]).toBe(salts[1]);
  expect(Buffer.from(salts[0]!, "base64")).toHaveLength(16);
});

test("the third failure of a session is its last, by PLAIN and by SCRAM", async () => {
  const { start, say, delays } = dialogue();
  await start();
  for (let failure = 0; failure < 2; failure += 1) {
    expect(await say(plain("anna@example.com", "wrong"))).toMatch(/^535 /);
  }
  expect(await say(plain("anna@example.com", "wrong"))).toMatch(/^421 4\.7\.0 /);
  expect(delays).toEqual([1, 2, 3]);
  const other = dialogue();
  await other.start();
  for (let failure = 0; failure < 3; failure += 1) {
    expect((await scram(other, "anna@example.com", { secret: "wrong" }))[1]).toMatch(/^535 /);
  }
  expect(await other.say("NOOP")).toMatch(/^421 4\.7\.0 /);
  expect(other.session.closed).toBe(true);
});

test("failures from one address add up over sessions, and are forgotten after ten minutes", () => {
  const { authenticator, pass } = setUp();
  expect([1, 2, 3].map(() => authenticator.failed("192.0.2.1"))).toEqual([1, 2, 3]);
  expect(authenticator.failed("192.0.2.2")).toBe(1);
  pass(601);
  expect(authenticator.failed("192.0.2.1")).toBe(1);
});

test("a password that was right costs nothing again for five minutes; a new one counts at once", async () => {
  const { authenticator, pass } = setUp();
  const cost = async () => {
    const start = performance.now();
    expect(await authenticator.byPassword(snapshot, "slow", password)).toBe("slow");
    return performance.now() - start;
  };
  const first = await cost();
  expect(await cost()).toBeLessThan(first / 5);
  expect(await authenticator.byPassword(snapshot, "slow", "wrong")).toBeUndefined();
  pass(301);
  expect(await cost()).toBeGreaterThan(first / 5);
  // The verifier of the new configuration has another salt.
  const changed = await configuration(2);
  const start = performance.now();
  expect(await authenticator.byPassword(changed, "slow", password)).toBe("slow");
  expect(performance.now() - start).toBeGreaterThan(first / 5);
});

test("a token lets in whom it belongs to, if he is a user", async () => {
  const owners: Record<string, string> = { good: "tokens-only", old: "gone", other: "nobody" };
  const { authenticator } = setUp((token) => Promise.resolve(owners[token]));
  const xoauth2 = (token: string) =>
    `AUTH XOAUTH2 ${base64(`user=tokens-only\x01auth=Bearer ${token}\x01\x01`)}`;
  const good = dialogue(authenticator);
  await good.start();
  expect(await good.say(xoauth2("good"))).toMatch(/^235 /);
  expect(good.users).toEqual(["tokens-only"]);
  for (const token of ["old", "other", "unknown"]) {
    const one = dialogue(authenticator);
    await one.start();
    const challenge = await one.say(xoauth2(token));
    expect(challenge.startsWith("334 ") ? await one.say("") : challenge).toMatch(/^535 /);
  }
});
