import { createServer, type Server, type Socket } from "node:net";
import { domainSchema, relaySchema } from "@postern/config";
import type { Resolver } from "@postern/dns";
import { compile, type Question } from "@postern/routing";
import { afterEach, expect, test } from "vitest";
import { eventually } from "../../../tests/end-to-end/eventually.ts";
import { Callouts, type Patience } from "./callouts.ts";

const servers: Server[] = [];
const sockets: Socket[] = [];

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const server of servers.splice(0)) server.close();
});

/** A host that answers by the first word of each command; what it has no answer for it ignores. */
async function host(answers: Readonly<Record<string, string>>, heard: string[] = []) {
  const server = createServer((socket: Socket) => {
    sockets.push(socket.on("error", () => {}));
    const greeting = answers.connect ?? "220 host.test\r\n";
    if (greeting !== "") socket.write(greeting);
    socket.on("data", (bytes) => {
      for (const line of bytes.toString().split("\r\n").filter((one) => one !== "")) {
        heard.push(line);
        const answer = answers[line.split(/[ :]/)[0]!];
        if (answer === "cut") socket.destroy();
        else if (answer !== undefined) socket.write(`${answer}\r\n`);
      }
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as { port: number }).port;
}

/** A clock that goes only when it is told to. */
class Clock {
  #milliseconds = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  readonly now = () => new Date(this.#milliseconds);

  readonly after = (milliseconds: number, run: () => void) => {
    const timer = { at: this.#milliseconds + milliseconds, run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  pass(seconds: number) {
    this.#milliseconds += seconds * 1000;
    for (const timer of [...this.#timers].sort((a, b) => a.at - b.at)) {
      if (timer.at <= this.#milliseconds && this.#timers.delete(timer)) timer.run();
    }
  }
}

const polite = { EHLO: "250-host.test\r\n250 PIPELINING", MAIL: "250 Ok", RCPT: "250 Ok" };

/** Callouts for domains whose relays have these ports each: `d0.test`, `d1.test` and so on. */
function asking(...relays: readonly (readonly number[])[]) {
  const clock = new Clock();
  const recipients = { verify: "callout", cache: 600 } as const;
  const named = relays.map((ports, index) => {
    const hosts = ports.map((port) => ({ host: "127.0.0.1", port }));
    return [`r${index}`, relaySchema.parse({ kind: "smtp", hosts })] as const;
  });
  const snapshot = compile({
    version: 1,
    relays: new Map(named),
    domains: new Map(
      named.map(([relay], index) => [`d${index}.test`, domainSchema.parse({ relay, recipients })]),
    ),
    clients: new Map(),
    users: new Map(),
    rules: new Map(),
    settings: new Map(),
  });
  const callouts = new Callouts({
    hostname: "mx.test",
    resolver: {} as Resolver,
    hosts: new Map(),
    now: clock.now,
    after: clock.after,
    random: () => 0,
  });
  const question = (address: string): Question => {
    const [, domain = ""] = address.split("@");
    return { kind: "callout", domain, address, relay: `r${domain.slice(1, 2)}`, nextHop: "" };
  };
  return {
    ask: (address: string, patience?: Patience) =>
      callouts.ask(snapshot, question(address), patience),
    pass: (seconds: number) => clock.pass(seconds),
  };
}

test.each<[Readonly<Record<string, string>>, boolean]>([
  [polite, true],
  [{ ...polite, RCPT: "550 5.1.1 Nobody" }, false],
  [{ ...polite, RCPT: "450 4.2.0 Greylisted" }, true],
  [{ ...polite, RCPT: "cut" }, true],
  [{ ...polite, MAIL: "550 No null senders" }, true],
  [{ ...polite, connect: "554 Not you\r\n" }, true],
  [{ ...polite, connect: "hello?\r\n" }, true],
  [{ EHLO: "502 What?", HELO: "250 host.test", MAIL: "250 Ok", RCPT: "550 Nobody" }, false],
  ...[
    // What is said of us, of the sender, the session or the content is not said of the mailbox.
    "550 5.7.1 Blocked",
    "554 5.7.1 Relay access denied",
    "530 5.7.0 Must issue a STARTTLS command first",
    "550 5.1.8 Sender's domain does not exist",
    "553 5.6.7 SMTPUTF8 required",
    "503 5.5.1 Bad sequence of commands",
    "552 5.2.2 Mailbox full",
    "554 Transaction failed",
    "521 Does not accept mail",
  ].map((RCPT) => [{ ...polite, RCPT }, true] as [Record<string, string>, boolean]),
  ...[
    "550 Nobody",
    "550 5.0.0 Nobody",
    "550 #5.1.0 Address rejected",
    "550 5.1.10 Recipient not found",
    "554 5.1.1 Nobody",
    "550 5.2.1 Disabled",
    "550 5.4.1 Recipient address rejected: Access denied",
    "551 5.1.6 Moved",
    "553 No such name",
  ].map((RCPT) => [{ ...polite, RCPT }, false] as [Record<string, string>, boolean]),
])("a host that says %j: known is %s", async (answers, known) => {
  const { ask } = asking([await host(answers)]);
  expect(await ask("u@d0.test")).toBe(known);
});

test("the dialogue goes as far as RCPT, with the null reverse-path", async () => {
  const heard: string[] = [];
  await asking([await host(polite, heard)]).ask("u@d0.test");
  expect(heard.slice(0, 3)).toEqual(["EHLO mx.test", "MAIL FROM:<>", "RCPT TO:<u@d0.test>"]);
  expect(heard).not.toContain("DATA");
});

test("a host that is away is passed over for the next", async () => {
  const gone = await host(polite);
  servers.pop()!.close();
  const { ask } = asking([gone, await host({ ...polite, RCPT: "550 Nobody" })]);
  expect(await ask("u@d0.test")).toBe(false);
});

test("answers are believed for the domain's time, and asked once however many wait", async () => {
  const heard: string[] = [];
  const { ask, pass } = asking([await host({ ...polite, RCPT: "550 Nobody" }, heard)]);
  const rcpts = () => heard.filter((line) => line.startsWith("RCPT")).length;
  expect(await Promise.all([ask("u@d0.test"), ask("u@d0.test")])).toEqual([false, false]);
  pass(599);
  await ask("u@d0.test");
  expect(rcpts()).toBe(1);
  pass(2);
  await ask("u@d0.test");
  expect(rcpts()).toBe(2);
});

const internationalised = { ...polite, EHLO: "250-host.test\r\n250 SMTPUTF8" };

test.each<[Readonly<Record<string, string>>, boolean, string | undefined]>([
  [internationalised, true, "MAIL FROM:<> SMTPUTF8"],
  [{ ...internationalised, RCPT: "550 5.1.1 Nobody" }, false, "MAIL FROM:<> SMTPUTF8"],
  // Whoever is not told cannot say that there is nobody.
  [{ ...polite, RCPT: "550 5.1.1 Nobody" }, true, undefined],
])(
  "a host that says %j of an internationalised address: known is %s",
  async (answers, known, mail) => {
    const heard: string[] = [];
    expect(await asking([await host(answers, heard)]).ask("jürgen@d0.test")).toBe(known);
    expect(heard.find((line) => line.startsWith("MAIL"))).toBe(mail);
  },
);

/** A host that takes connections and says nothing; `hangs` waits until so many came. */
async function muteHost() {
  let connections = 0;
  const port = await host({ connect: "" });
  servers.at(-1)!.on("connection", () => connections += 1);
  return {
    port,
    hangs: (count: number) => eventually(`${count} wait`, () => connections === count),
    get connections() {
      return connections;
    },
  };
}

/** The time that one host has. */
const HOST_SECONDS = 10;

test("a host that hangs is not waited for again, whoever is asked for", async () => {
  const heard: string[] = [];
  const mute = await muteHost();
  const { ask, pass } = asking([mute.port, await host({ ...polite, RCPT: "550 Nobody" }, heard)]);
  const first = ask("u@d0.test");
  await mute.hangs(1);
  pass(HOST_SECONDS);
  // The second host is asked while there is time.
  expect(await first).toBe(false);
  expect(await ask("v@d0.test")).toBe(false);
  expect(heard.filter((line) => line.startsWith("RCPT"))).toHaveLength(2);
  expect(mute.connections).toBe(1);
});

test("where all hosts hang, other recipients are taken at once, for a minute", async () => {
  const mute = await muteHost();
  const { ask, pass } = asking([mute.port]);
  const first = ask("u@d0.test");
  await mute.hangs(1);
  pass(HOST_SECONDS);
  expect(await first).toBe(true);
  expect(await ask("v@d0.test")).toBe(true);
  expect(mute.connections).toBe(1);
  pass(61);
  const again = ask("w@d0.test");
  await mute.hangs(2);
  pass(HOST_SECONDS);
  expect(await again).toBe(true);
});

test("a transaction waits no longer in all than its patience", async () => {
  const mutes = [await muteHost(), await muteHost()];
  const { ask, pass } = asking(...mutes.map(({ port }) => [port]), [await host(polite)]);
  const patience = { milliseconds: 12_000 };
  for (const [index, mute] of mutes.entries()) {
    const asked = ask(`u@d${index}.test`, patience);
    await mute.hangs(1);
    pass(index === 0 ? HOST_SECONDS : 2);
    expect(await asked).toBe(true);
  }
  expect(patience.milliseconds).toBe(0);
  expect(await ask("u@d2.test", patience)).toBe(true);
});

test("a destination that hangs does not hold up the others, nor its own for long", async () => {
  const mute = await muteHost();
  const { ask, pass } = asking([mute.port], [await host({ ...polite, RCPT: "550 Nobody" })]);
  const hanging = Array.from({ length: 100 }, (_, index) => ask(`u${index}@d0.test`));
  expect(await ask("u@d1.test")).toBe(false);
  await mute.hangs(10);
  pass(HOST_SECONDS);
  expect(await Promise.all(hanging)).toEqual(hanging.map(() => true));
  expect(mute.connections).toBe(10);
});

test("a host that is busy once is asked for the next recipient", async () => {
  const answers: Record<string, string> = { ...polite, RCPT: "550 5.1.1 Nobody" };
  const port = await host(answers);
  const { ask } = asking([port]);
  for (
    const [busy, reply] of [["connect", "421 Busy\r\n"], ["EHLO", "421 Busy"], ["MAIL", "452 Busy"]]
  ) {
    const usual = answers[busy!];
    answers[busy!] = reply!;
    expect(await ask(`first-${busy}@d0.test`)).toBe(true);
    if (usual === undefined) delete answers[busy!];
    else answers[busy!] = usual;
    expect(await ask(`second-${busy}@d0.test`)).toBe(false);
  }
});
