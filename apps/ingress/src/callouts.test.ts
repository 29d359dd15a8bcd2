import { createServer, type Server, type Socket } from "node:net";
import { domainSchema, relaySchema } from "@postern/config";
import type { Resolver } from "@postern/dns";
import { compile, type Question } from "@postern/routing";
import { afterEach, expect, test } from "vitest";
import { Callouts } from "./callouts.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** A host that answers by the first word of each command; what it has no answer for it ignores. */
async function host(answers: Readonly<Record<string, string>>, heard: string[] = []) {
  const server = createServer((socket: Socket) => {
    socket.on("error", () => {});
    socket.write(answers.connect ?? "220 host.test\r\n");
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

const polite = { EHLO: "250-host.test\r\n250 PIPELINING", MAIL: "250 Ok", RCPT: "250 Ok" };

function asking(ports: readonly number[]) {
  let milliseconds = 0;
  const hosts = ports.map((port) => ({ host: "127.0.0.1", port }));
  const recipients = { verify: "callout", cache: 600 } as const;
  const snapshot = compile({
    version: 1,
    relays: new Map([["internal", relaySchema.parse({ kind: "smtp", hosts })]]),
    domains: new Map([["d.test", domainSchema.parse({ relay: "internal", recipients })]]),
    clients: new Map(),
    users: new Map(),
    rules: new Map(),
    settings: new Map(),
  });
  const callouts = new Callouts({
    hostname: "mx.test",
    resolver: {} as Resolver,
    hosts: new Map(),
    now: () => new Date(milliseconds),
    random: () => 0,
  });
  const question = (address: string): Question => ({
    kind: "callout",
    domain: "d.test",
    address,
    relay: "internal",
    nextHop: "",
  });
  return {
    ask: (address: string) => callouts.ask(snapshot, question(address)),
    pass: (seconds: number) => void (milliseconds += seconds * 1000),
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
])("a host that says %j: known is %s", async (answers, known) => {
  const { ask } = asking([await host(answers)]);
  expect(await ask("u@d.test")).toBe(known);
});

test("the dialogue goes as far as RCPT, with the null reverse-path", async () => {
  const heard: string[] = [];
  await asking([await host(polite, heard)]).ask("u@d.test");
  expect(heard.slice(0, 3)).toEqual(["EHLO mx.test", "MAIL FROM:<>", "RCPT TO:<u@d.test>"]);
  expect(heard).not.toContain("DATA");
});

test("a host that is away is passed over for the next", async () => {
  const gone = await host(polite);
  servers.pop()!.close();
  const { ask } = asking([gone, await host({ ...polite, RCPT: "550 Nobody" })]);
  expect(await ask("u@d.test")).toBe(false);
});

test("answers are believed for the domain's time, and asked once however many wait", async () => {
  const heard: string[] = [];
  const { ask, pass } = asking([await host({ ...polite, RCPT: "550 Nobody" }, heard)]);
  const rcpts = () => heard.filter((line) => line.startsWith("RCPT")).length;
  expect(await Promise.all([ask("u@d.test"), ask("u@d.test")])).toEqual([false, false]);
  pass(599);
  await ask("u@d.test");
  expect(rcpts()).toBe(1);
  pass(2);
  await ask("u@d.test");
  expect(rcpts()).toBe(2);
});
