/**
 * Who exists and which way mail goes: recipient lists that change, source routes, senders that are
 * rewritten and found again, and rules about who sends. From the client's replies to the next hop.
 */
import { Buffer } from "node:buffer";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { contentWith, Dialogue, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway } from "./gateway.ts";
import { NextHop, type TakenMessage } from "./next-hop.ts";

const gateway = new Gateway();
const nextHop = new NextHop();
const PASSWORD = "correct horse";
const open: Dialogue[] = [];
let port = 0;
let submission = 0;

beforeAll(async () => {
  await nextHop.start();
  const relay = {
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: nextHop.port }],
    tls: { policy: "none" },
    retry: { delays: [1], lifetime: 60 },
  };
  const list = { relay: "internal", recipients: { verify: "list" } };
  await gateway.start({
    "/v1/relays/default": relay,
    "/v1/relays/internal": relay,
    "/v1/relays/forwarding": { ...relay, senderRewriting: { domain: "forward.test" } },
    "/v1/domains/strip.test": { relay: "internal" },
    "/v1/domains/honour.test": { relay: "internal", sourceRoutes: "honour" },
    "/v1/domains/refuse.test": { relay: "internal", sourceRoutes: "refuse" },
    "/v1/domains/b.test": { relay: "internal" },
    "/v1/domains/listed.test": { ...list, subAddressing: { separator: "+" } },
    "/v1/domains/stripped.test": { ...list, subAddressing: { separator: "-", strip: true } },
    "/v1/domains/caught.test": { ...list, catchAll: "rest@caught.test" },
    "/v1/domains/forwarded.test": { relay: "forwarding" },
    "/v1/users/anna": { password: PASSWORD },
    "/v1/users/otto": { password: PASSWORD },
    "/v1/rules/a-anna": {
      order: 1,
      match: { all: [{ user: "anna" }, { tls: true }, { authentication: { dkim: ["none"] } }] },
      actions: [{ do: "addHeader", name: "X-Sent-By", value: "anna, in TLS, unsigned" }],
    },
    "/v1/rules/b-clear": {
      order: 2,
      match: { not: { any: [{ tls: true }, { authentication: { dkim: ["pass"] } }] } },
      actions: [{ do: "addHeader", name: "X-Sent-In", value: "clear" }],
    },
    "/v1/rules/c-otto": {
      order: 3,
      match: { all: [{ user: "otto" }, { domain: "strip.test" }] },
      actions: [{ do: "reject", text: "Not for Otto" }],
    },
  });
  await gateway.put("/v1/domains/listed.test/recipients", ["ann", "bob@listed.test"]);
  await gateway.put("/v1/domains/stripped.test/recipients", ["ann"]);
  await gateway.put("/v1/domains/caught.test/recipients", ["ann"]);
  const [ingress] = await Promise.all([
    gateway.startIngress("smtp://127.0.0.1:0 smtps://127.0.0.1:0"),
    gateway.startWorker(),
  ]);
  [port = 0, submission = 0] = ingress.ports;
});

afterEach(() => {
  for (const dialogue of open.splice(0)) dialogue.close();
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

async function session(to = port, { tls = false } = {}): Promise<Dialogue> {
  const dialogue = new Dialogue(to, { tls });
  open.push(dialogue);
  await dialogue.say("EHLO client.test");
  return dialogue;
}

/** Sends to one recipient; answers what came to the next hop of it. */
async function through(from: string, to: string, subject: string): Promise<TakenMessage> {
  const id = queueIdOf(await sendMail(port, from, [to], contentWith(subject)));
  await gateway.message(id, "delivered");
  return nextHop.accepted.find(({ content }) => content.includes(`Subject: ${subject}\r\n`))!;
}

describe("source routes", () => {
  test("strip: to the final mailbox", async () => {
    const { commands } = await through("x@y.test", "@gateway.test,@b.test:c@strip.test", "strip");
    expect(commands[0]).toMatch(/^MAIL FROM:<x@y\.test>/);
    expect(commands[1]).toBe("RCPT TO:<c@strip.test>");
  });

  test("honour: our name moves from the way there to the way back", async () => {
    const { commands } = await through("x@y.test", "@gateway.test,@b.test:c@honour.test", "moved");
    expect(commands[0]).toMatch(/^MAIL FROM:<@gateway\.test:x@y\.test>/);
    expect(commands[1]).toBe("RCPT TO:<@b.test:c@honour.test>");
  });

  test("honour: a route that does not name us goes to its first host as it is", async () => {
    const { commands } = await through("x@y.test", "@b.test:c@honour.test", "as it is");
    expect(commands[0]).toMatch(/^MAIL FROM:<x@y\.test>/);
    expect(commands[1]).toBe("RCPT TO:<@b.test:c@honour.test>");
  });

  test("honour: a route that ends with us is at its end", async () => {
    const { commands } = await through("x@y.test", "@gateway.test:c@honour.test", "at its end");
    expect(commands[0]).toMatch(/^MAIL FROM:<@gateway\.test:x@y\.test>/);
    expect(commands[1]).toBe("RCPT TO:<c@honour.test>");
  });

  test("honour makes no open relay of us; refuse is 553", async () => {
    const dialogue = await session();
    await dialogue.say("MAIL FROM:<x@y.test>");
    expect(await dialogue.say("RCPT TO:<@gateway.test,@far.test:c@honour.test>"))
      .toMatch(/^550 5\.7\.1 /);
    expect(await dialogue.say("RCPT TO:<@b.test:c@refuse.test>")).toMatch(/^553 5\.1\.3 /);
    expect(await dialogue.say("RCPT TO:<c@refuse.test>")).toMatch(/^250 /);
  });

  test("a report about mail that went by a route goes to the sender himself", async () => {
    const { script } = nextHop;
    nextHop.script = (step, { recipients }) =>
      step === "rcpt" && recipients.at(-1) === "@b.test:gone@honour.test"
        ? "550 5.1.1 Gone"
        : undefined;
    try {
      const to = "@gateway.test,@b.test:gone@honour.test";
      queueIdOf(await sendMail(port, "back@y.test", [to], contentWith("returned")));
      const report = await eventually(
        "the report is there",
        () => nextHop.acceptedFor("back@y.test")[0],
      );
      expect(report.reversePath).toBe("");
      expect(report.content.toString()).toMatch(/^Final-Recipient: rfc822; ?gone@honour\.test\r$/m);
    } finally {
      nextHop.script = script;
    }
  });
});

describe("recipient lists", () => {
  async function rcpt(address: string): Promise<string> {
    const dialogue = await session();
    await dialogue.say("MAIL FROM:<x@y.test>");
    const reply = await dialogue.say(`RCPT TO:<${address}>`);
    dialogue.close();
    return reply;
  }

  /** Milliseconds until RCPT is answered so, after a change that the API has answered. */
  async function until(address: string, expected: RegExp): Promise<number> {
    const began = performance.now();
    await eventually(`${address} is ${expected}`, async () => expected.test(await rcpt(address)));
    return performance.now() - began;
  }

  test("who is on the list is taken, whatever the case and the detail", async () => {
    for (const name of ["ann", "ANN", "bob", "ann+news", "postmaster"]) {
      expect(await rcpt(`${name}@listed.test`), name).toMatch(/^250 2\.1\.5 /);
    }
    for (const name of ["nobody", "nobody+ann", "ann-news"]) {
      expect(await rcpt(`${name}@listed.test`), name).toMatch(/^550 5\.1\.1 /);
    }
  });

  test("a change takes effect within a second, in a session that is open, too", async () => {
    const dialogue = await session();
    await dialogue.say("MAIL FROM:<x@y.test>");
    expect(await dialogue.say("RCPT TO:<carol@listed.test>")).toMatch(/^550 5\.1\.1 /);
    await gateway.put("/v1/domains/listed.test/recipients/carol", undefined);
    expect(await until("carol@listed.test", /^250 /)).toBeLessThan(1000);
    expect(await dialogue.say("RCPT TO:<carol@listed.test>")).toMatch(/^250 /);
    const gone = await gateway.request("DELETE", "/v1/domains/listed.test/recipients/bob");
    expect(gone.status).toBe(204);
    expect(await until("bob@listed.test", /^550 5\.1\.1 /)).toBeLessThan(1000);
    await gateway.put("/v1/domains/listed.test/recipients", ["dora"]);
    expect(await until("dora@listed.test", /^250 /)).toBeLessThan(1000);
    expect(await until("ann@listed.test", /^550 5\.1\.1 /)).toBeLessThan(1000);
  });

  test("the detail goes on, or is taken off where the domain wants it", async () => {
    await gateway.put("/v1/domains/listed.test/recipients", ["ann"]);
    await until("ann@listed.test", /^250 /);
    expect((await through("x@y.test", "ann+news@listed.test", "detail")).recipients)
      .toEqual(["ann+news@listed.test"]);
    expect((await through("x@y.test", "ann-news@stripped.test", "no detail")).recipients)
      .toEqual(["ann@stripped.test"]);
  });

  test("unknown recipients go to the catch-all, known ones do not", async () => {
    expect((await through("x@y.test", "whoever@caught.test", "caught")).recipients)
      .toEqual(["rest@caught.test"]);
    expect((await through("x@y.test", "ann@caught.test", "not caught")).recipients)
      .toEqual(["ann@caught.test"]);
  });
});

describe("rewritten senders", () => {
  const short = "friend@stranger.test";
  const long = `${"a.rather.long.local.part.of.a.stranger".padEnd(60, "x")}@` +
    `${"in-a-domain".padEnd(50, "y")}.stranger.test`;

  for (const [kind, original] of [["short", short], ["long", long]] as const) {
    test(`a ${kind} one goes out as ours, and a report to it comes back to the stranger`, async () => {
      const { reversePath } = await through(original, "ann@forwarded.test", `forward ${kind}`);
      const [local, domain] = original.split("@") as [string, string];
      expect(reversePath).toMatch(/^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=/);
      expect(reversePath.endsWith(`=${domain}=${local}@forward.test`)).toBe(true);
      expect(reversePath.split("@")[0]!.length > 64).toBe(kind === "long");

      // Mail hosts change the case of what they keep.
      const report = await through("", reversePath.toLowerCase(), `report ${kind}`);
      expect(report.reversePath).toBe("");
      expect(report.recipients.map((one) => one.toLowerCase())).toEqual([original]);
    });
  }

  test("our own senders stay as they are", async () => {
    const { reversePath } = await through("me@strip.test", "ann@forwarded.test", "our own");
    expect(reversePath).toBe("me@strip.test");
  });

  test("on a source route the rewritten address takes the place of the way back", async () => {
    const to = "@gateway.test,@forwarded.test:c@honour.test";
    const { commands, reversePath } = await through(short, to, "forward by route");
    expect(commands[1]).toBe("RCPT TO:<@forwarded.test:c@honour.test>");
    expect(reversePath).toMatch(
      /^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=stranger\.test=friend@forward\.test$/,
    );
  });

  test("what another forwarder has rewritten is taken and rewritten again", async () => {
    const first = `SRS0=HHHH=TT=${"x".repeat(60)}.example.org=user@other-forwarder.test`;
    const { reversePath } = await through(first, "ann@forwarded.test", "twice");
    expect(reversePath).toMatch(/^SRS1=[A-Z2-7]{8}=other-forwarder\.test==HHHH=TT=/);
    const report = await through("", reversePath, "report twice");
    expect(report.recipients).toEqual([first]);
  });

  test("what we did not make is nobody's", async () => {
    const dialogue = await session();
    await dialogue.say("MAIL FROM:<>");
    expect(await dialogue.say("RCPT TO:<SRS0=AAAAAAAA=AA=victim.test=user@forward.test>"))
      .toMatch(/^550 5\.1\.1 /);
    expect(await dialogue.say("RCPT TO:<user@forward.test>")).toMatch(/^550 5\.7\.1 /);
  });
});

describe("rules about who sends", () => {
  async function submit(user: string, to: string, subject: string): Promise<string> {
    const dialogue = await session(submission, { tls: true });
    const secret = Buffer.from(`\0${user}\0${PASSWORD}`).toString("base64");
    expect(await dialogue.say(`AUTH PLAIN ${secret}`)).toMatch(/^235 /);
    return await dialogue.mail(`${user}@strip.test`, [to], contentWith(subject));
  }

  const came = (subject: string) =>
    eventually(
      `${subject} is there`,
      () =>
        nextHop.accepted.find(({ content }) => content.includes(`Subject: ${subject}\r\n`))
          ?.content.toString(),
    );

  test("user, TLS and authentication results", async () => {
    queueIdOf(await submit("anna", "friend@far.test", "from Anna"));
    const text = await came("from Anna");
    expect(text).toContain("X-Sent-By: anna, in TLS, unsigned\r\n");
    expect(text).not.toContain("X-Sent-In");
    expect(text).toMatch(/^Authentication-Results: gateway\.test;/m);
  });

  test("another user, and nobody at all", async () => {
    expect(await submit("otto", "c@strip.test", "refused")).toBe(
      "550 5.7.1 <c@strip.test>: Not for Otto",
    );
    queueIdOf(await submit("otto", "friend@far.test", "from Otto"));
    expect(await came("from Otto")).not.toMatch(/^X-Sent-/m);
    const { content } = await through("anna@y.test", "c@strip.test", "in clear");
    expect(content.toString()).toContain("X-Sent-In: clear\r\n");
    expect(content.toString()).not.toContain("X-Sent-By");
  });
});
