/** Rules, domains and recipient checks on real mail: from the client's replies to the next hop. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop, type TakenMessage } from "./next-hop.ts";

const gateway = new Gateway();
const nextHop = new NextHop();
let port = 0;

beforeAll(async () => {
  await nextHop.start();
  nextHop.script = (step, { recipients }) =>
    step === "rcpt" && recipients.at(-1)?.startsWith("nobody") ? "550 5.1.1 Nobody" : undefined;
  const subject = (wildcard: string) => ({ header: { name: "Subject", value: { wildcard } } });
  await gateway.start({
    "/v1/relays/internal": {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: nextHop.port }],
      retry: { delays: [1], lifetime: 60 },
    },
    "/v1/domains/relay.test": {
      relay: "internal",
      aliases: { team: ["ann@relay.test", "bob@relay.test"] },
    },
    "/v1/domains/asked.test": { relay: "internal", recipients: { verify: "callout" } },
    "/v1/domains/listed.test": { relay: "internal", recipients: { verify: "list" } },
    "/v1/domains/sender.test": { relay: "internal" },
    "/v1/domains/secret.test": { relay: "internal", tls: "required" },
    "/v1/domains/small.test": { relay: "internal", maximumSize: 1024 },
    "/v1/clients/tenant": {
      networks: ["127.0.0.0/8"],
      mayRelay: false,
      limits: { recipients: 5 },
    },
    "/v1/rules/a-blocked": {
      order: 1,
      match: { forwardPath: "blocked@relay.test" },
      actions: [{ do: "reject", code: 554, enhanced: "5.7.0", text: "Not this one" }],
    },
    "/v1/rules/b-journal": {
      order: 2,
      match: { forwardPath: { wildcard: "watched*@relay.test" } },
      actions: [{ do: "addRecipient", address: "journal@relay.test" }],
    },
    "/v1/rules/c-lottery": {
      order: 3,
      match: subject("*lottery*"),
      actions: [{ do: "hold", reason: "Looks like a lottery" }, { do: "stop" }],
    },
    "/v1/rules/d-one-refused": {
      order: 4,
      match: { all: [{ forwardPath: "strict@relay.test" }, subject("*offer*")] },
      actions: [{ do: "reject", text: "No offers" }],
    },
    "/v1/rules/e-label": {
      order: 5,
      match: { forwardPath: "labelled@relay.test" },
      actions: [
        { do: "addHeader", name: "X-Label", value: "seen" },
        { do: "removeHeader", name: "X-Old" },
        { do: "rewriteSender", replacement: "gateway@relay.test" },
      ],
    },
    "/v1/rules/f-moved": {
      order: 6,
      match: { forwardPath: "moved@relay.test" },
      actions: [{ do: "redirect", address: "new@relay.test" }],
    },
  });
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

const sender = "s@sender.test";
const send = (to: readonly string[], subject: string, body?: string) =>
  sendMail(port, sender, to, contentWith(subject, body));

function takenFor(recipient: string, count = 1): Promise<readonly TakenMessage[]> {
  return eventually(`the next hop has mail for ${recipient}`, () => {
    const taken = nextHop.acceptedFor(recipient);
    return taken.length >= count && taken;
  });
}

describe("at RCPT", () => {
  test("a rule refuses a recipient, and the others go on", async () => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    await dialogue.say(`MAIL FROM:<${sender}>`);
    expect(await dialogue.say("RCPT TO:<Blocked@relay.test>"))
      .toBe("554 5.7.0 <Blocked@relay.test>: Not this one");
    expect(await dialogue.say("RCPT TO:<ann@secret.test>")).toMatch(/^550 5\.7\.10 /);
    expect(await dialogue.say("RCPT TO:<who@listed.test>")).toMatch(/^550 5\.1\.1 /);
    expect(await dialogue.say("RCPT TO:<ann@elsewhere.test>")).toMatch(/^550 5\.7\.1 /);
    expect(await dialogue.say("RCPT TO:<@far.test:ann@relay.test>")).toMatch(/^250 /);
    expect(await dialogue.say("RCPT TO:<postmaster>")).toMatch(/^250 /);
    dialogue.close();
  });

  test("a declared size above the domain's is refused, and so is the limit of recipients", async () => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    await dialogue.say(`MAIL FROM:<${sender}> SIZE=2000`);
    expect(await dialogue.say("RCPT TO:<ann@small.test>")).toMatch(/^552 5\.3\.4 /);
    for (const name of "abcde") await dialogue.say(`RCPT TO:<${name}@relay.test>`);
    expect(await dialogue.say("RCPT TO:<f@relay.test>")).toMatch(/^452 4\.5\.3 /);
    dialogue.close();
  });

  test("a callout asks the host that would get the mail", async () => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    await dialogue.say(`MAIL FROM:<${sender}>`);
    expect(await dialogue.say("RCPT TO:<nobody@asked.test>")).toMatch(/^550 5\.1\.1 /);
    expect(await dialogue.say("RCPT TO:<ann@asked.test>")).toMatch(/^250 /);
    dialogue.close();
  });
});

test("a rate of messages holds for all sessions of a client", async () => {
  await gateway.put("/v1/clients/tenant", {
    networks: ["127.0.0.0/8"],
    mayRelay: false,
    limits: { messages: { perHour: 1 } },
  });
  await eventually("the second message in an hour is refused", async () => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    const replies = [1, 2, 3].map(() => dialogue.say(`MAIL FROM:<${sender}>`));
    const [reply] = (await Promise.all(replies)).filter((one) => one.startsWith("450"));
    dialogue.close();
    return reply;
  });
  await gateway.put("/v1/clients/tenant", { networks: ["127.0.0.0/8"], mayRelay: false });
  await eventually("the rate is gone", async () => {
    const dialogue = new Dialogue(port);
    await dialogue.say("EHLO client.test");
    const reply = await dialogue.say(`MAIL FROM:<${sender}>`);
    dialogue.close();
    return reply.startsWith("250");
  });
});

describe("after the content", () => {
  test("what a header rule holds stays, with its reason", async () => {
    const id = queueIdOf(await send(["ann@relay.test"], "The great lottery"));
    const message = await gateway.message(id, "held");
    expect(message.events).toContainEqual(expect.objectContaining({ kind: "held" }));
    expect(nextHop.seen.some(({ content }) => content.includes("great lottery"))).toBe(false);
  });

  test("content larger than the domain takes is refused", async () => {
    expect(await send(["ann@small.test"], "large", "x".repeat(70).concat("\r\n").repeat(20)))
      .toMatch(/^552 5\.3\.4 /);
  });

  test("all refused alike: so is the message", async () => {
    expect(await send(["strict@relay.test"], "An offer")).toBe("550 5.7.1 No offers");
  });

  test("one of two refused: the other has it, and the sender a report", async () => {
    const id = queueIdOf(await send(["strict@relay.test", "easy@relay.test"], "An offer for you"));
    await takenFor("easy@relay.test");
    const message = await gateway.message(id, "delivered", "bounced");
    expect(message.recipients).toMatchObject([
      { forwardPath: "strict@relay.test", state: "bounced", lastReply: "550 5.7.1 No offers" },
      { forwardPath: "easy@relay.test", state: "delivered" },
    ]);
    const [report] = await takenFor(sender);
    expect(report!.reversePath).toBe("");
    expect(report!.content.toString()).toContain("In detail: No offers\r\n");
  });
});

describe("on the way", () => {
  test("an alias becomes its mailboxes, in one transaction", async () => {
    await send(["team@relay.test", "bob@relay.test"], "To the team");
    const [taken] = await takenFor("ann@relay.test");
    expect(taken!.recipients).toEqual(["ann@relay.test", "bob@relay.test"]);
  });

  test("a redirected recipient, and a journal's one copy for two", async () => {
    await send(["moved@relay.test"], "Moved");
    await takenFor("new@relay.test");
    expect(nextHop.acceptedFor("moved@relay.test")).toEqual([]);
    await send(["watched1@relay.test", "watched2@relay.test"], "Watched");
    const [taken] = await takenFor("journal@relay.test");
    expect([...taken!.recipients].sort())
      .toEqual(["journal@relay.test", "watched1@relay.test", "watched2@relay.test"]);
  });

  test("header edits and a new sender are the one recipient's only", async () => {
    const content = `X-Old: 1\r\n${contentWith("Labelled")}`;
    await sendMail(port, sender, ["labelled@relay.test", "plain@relay.test"], content);
    const [labelled] = await takenFor("labelled@relay.test");
    const [plain] = await takenFor("plain@relay.test");
    expect(labelled!.reversePath).toBe("gateway@relay.test");
    expect(labelled!.content.toString()).toMatch(/^X-Label: seen\r\n/);
    expect(labelled!.content.toString()).not.toContain("X-Old");
    expect(plain!.reversePath).toBe(sender);
    expect(plain!.content.toString()).toContain("X-Old: 1\r\n");
    expect(plain!.content.toString()).not.toContain("X-Label");
  });
});
