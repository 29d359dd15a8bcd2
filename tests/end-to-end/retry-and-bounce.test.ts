/** What a next hop does not take: tried again while there is hope, reported to the sender when not. */
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { contentWith, queueIdOf, sendMail } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway, type ShownMessage } from "./gateway.ts";
import { NextHop, type Script } from "./next-hop.ts";

const gateway = new Gateway();
const nextHop = new NextHop();
let port = 0;

beforeAll(async () => {
  await nextHop.start();
  const hosts = [{ host: "127.0.0.1", port: nextHop.port }];
  await gateway.start({
    "/v1/relays/patient": { kind: "smtp", hosts, retry: { delays: [1], lifetime: 60 } },
    "/v1/relays/hasty": { kind: "smtp", hosts, retry: { delays: [1], lifetime: 2 } },
    "/v1/domains/relay.test": { relay: "patient" },
    "/v1/domains/hasty.test": { relay: "hasty" },
    "/v1/domains/sender.test": { relay: "patient" },
    "/v1/domains/team.test": {
      relay: "patient",
      aliases: { sales: ["ann@team.test", "bob@hasty.test"] },
    },
  });
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
});

afterEach(() => {
  nextHop.script = () => undefined;
});

afterAll(async () => {
  await gateway.stop();
  await nextHop.stop();
});

async function send(
  recipients: readonly string[],
  { from = "sender@sender.test", subject = "retry" } = {},
): Promise<string> {
  return queueIdOf(await sendMail(port, from, recipients, contentWith(subject)));
}

/** Answers so at a step, as long as the recipient asked about last is this one; counts how often. */
function refusing(at: string, recipient: string, answer: string, times = Infinity) {
  const count = { refused: 0 };
  const script: Script = (step, { recipients }) => {
    if (step !== at || recipients.at(-1) !== recipient || count.refused >= times) return undefined;
    count.refused += 1;
    return answer;
  };
  nextHop.script = script;
  return count;
}

function reportsFor(recipient: string) {
  return nextHop.accepted.filter((message) =>
    message.reversePath === "" && message.recipients.includes(recipient)
  );
}

test("a next hop that is down gets its mail when it is up", async () => {
  await nextHop.stop();
  let id: string;
  try {
    id = await send(["down@relay.test"]);
    const deferred = await gateway.message(id, "deferred");
    expect(deferred.recipients[0]?.lastReply).toMatch(/^4\d\d /);
  } finally {
    await nextHop.start();
  }
  const message = await gateway.message(id, "delivered");
  expect(nextHop.acceptedFor("down@relay.test")).toHaveLength(1);
  const kinds = message.events.map(({ kind }) => kind);
  expect(kinds.slice(0, 4)).toEqual(["received", "routed", "attempted", "deferred"]);
  expect(kinds.slice(-2)).toEqual(["attempted", "delivered"]);
});

for (
  const [step, answer] of [
    ["mail", "451 4.3.2 Not now"],
    ["rcpt", "450 4.2.1 Mailbox busy"],
    ["data", "452 4.3.1 No room"],
    ["message", "451 4.3.0 Try again"],
  ] as const
) {
  test(`4yz at ${step} is tried again`, async () => {
    const recipient = `${step}-4yz@relay.test`;
    if (step === "mail") {
      let refused = 0;
      nextHop.script = (at) => at === "mail" && refused++ < 2 ? answer : undefined;
    } else refusing(step, recipient, answer, 2);
    const id = await send([recipient]);
    const message = await gateway.message(id, "delivered");
    const deferrals = message.events.filter(({ kind }) => kind === "deferred");
    expect(deferrals.map(({ reply }) => reply)).toEqual([answer, answer]);
    expect(nextHop.acceptedFor(recipient)).toHaveLength(1);
    // Growing by at least the delay of the relay from one attempt to the next.
    const times = message.events.filter(({ kind }) => kind === "attempted")
      .map(({ at }) => Date.parse(at));
    expect(times).toHaveLength(3);
    expect(times[1]! - times[0]!).toBeGreaterThanOrEqual(1000);
    expect(times[2]! - times[1]!).toBeGreaterThanOrEqual(1000);
  });
}

for (const step of ["rcpt", "data", "message"] as const) {
  test(`a connection cut at ${step} is tried again`, async () => {
    const recipient = `${step}-cut@relay.test`;
    const cuts = refusing(step, recipient, "cut", 1);
    const message = await gateway.message(await send([recipient]), "delivered");
    expect(cuts.refused).toBe(1);
    expect(message.events.filter(({ kind }) => kind === "deferred")).toHaveLength(1);
    expect(nextHop.acceptedFor(recipient)).toHaveLength(1);
  });
}

test("a next hop that greets with 4yz is tried again", async () => {
  let refused = 0;
  nextHop.script = (step) => step === "connect" && refused++ < 1 ? "421 4.3.2 Busy" : undefined;
  // Sessions that are kept must go first, or nobody connects.
  await nextHop.stop();
  await nextHop.start();
  const message = await gateway.message(await send(["greeted@relay.test"]), "delivered");
  expect(nextHop.acceptedFor("greeted@relay.test")).toHaveLength(1);
  expect(message.recipients[0]?.lastReply).toMatch(/^250 /);
});

test("one recipient of three is deferred: the others have their mail, and get it once", async () => {
  refusing("rcpt", "slow@relay.test", "450 4.2.2 Over quota", 1);
  const id = await send(["quick@relay.test", "slow@relay.test", "swift@relay.test"]);
  await gateway.message(id, "delivered");
  expect(nextHop.acceptedFor("slow@relay.test").map(({ recipients }) => recipients))
    .toEqual([["slow@relay.test"]]);
  expect(nextHop.acceptedFor("quick@relay.test").map(({ recipients }) => recipients))
    .toEqual([["quick@relay.test", "swift@relay.test"]]);
});

test("5yz for one recipient of three: a report names it, the others have their mail", async () => {
  const sender = "bounced-to@sender.test";
  refusing("rcpt", "nobody@relay.test", "550 5.1.1 No such mailbox here");
  const id = await send(["ann@relay.test", "nobody@relay.test", "bob@relay.test"], {
    from: sender,
    subject: "one of three",
  });
  const message = await gateway.message(id, "delivered", "bounced");
  expect(message.recipients.map(({ forwardPath, state }) => [forwardPath, state])).toEqual([
    ["ann@relay.test", "delivered"],
    ["nobody@relay.test", "bounced"],
    ["bob@relay.test", "delivered"],
  ]);
  expect(message.recipients[1]?.lastReply).toBe("550 5.1.1 No such mailbox here");

  const report = await eventually("the report is delivered", () => reportsFor(sender)[0]);
  expect(reportsFor(sender)).toHaveLength(1);
  expect(report.recipients).toEqual([sender]);
  const text = report.content.toString("latin1").replaceAll(/\r\n[ \t]+/g, " ");
  expect(text).toMatch(/^Content-Type: multipart\/report;.*report-type="?delivery-status"?/im);
  expect(text).toMatch(new RegExp(`^To: <?${sender}>?\\r$`, "im"));
  expect(text).toMatch(/^Auto-Submitted: auto-(replied|generated)/im);
  expect(text).toMatch(/^Final-Recipient: rfc822; ?nobody@relay\.test\r$/im);
  expect(text).toMatch(/^Action: failed\r$/im);
  expect(text).toMatch(/^Status: 5\.1\.1\r$/im);
  expect(text).toMatch(/^Diagnostic-Code: smtp; ?550 5\.1\.1 No such mailbox here\r$/im);
  expect(text).not.toMatch(/^Final-Recipient:.*(ann|bob)@/im);
  expect(text).toContain("Subject: one of three");
});

test("5yz for the content bounces all its recipients in one report", async () => {
  const sender = "content-refused@sender.test";
  refusing("message", "two-refused@relay.test", "554 5.6.0 We do not like it");
  const id = await send(["one-refused@relay.test", "two-refused@relay.test"], { from: sender });
  await gateway.message(id, "bounced");
  const report = await eventually("the report is delivered", () => reportsFor(sender)[0]);
  const text = report.content.toString("latin1");
  expect(text.match(/^Final-Recipient:.*$/gim)).toHaveLength(2);
  expect(text).toContain("554 5.6.0 We do not like it");
});

test("a report to an alias comes to each of its mailboxes", async () => {
  refusing("rcpt", "gone@relay.test", "550 5.1.1 No such user");
  await send(["gone@relay.test"], { from: "sales@team.test" });
  for (const mailbox of ["ann@team.test", "bob@hasty.test"]) {
    const report = await eventually(`a report to ${mailbox}`, () => reportsFor(mailbox)[0]);
    expect(report.content.toString()).toContain("Subject: Undelivered mail: gone@relay.test\r\n");
  }
});

test("what stays deferred for its lifetime bounces, with the last reply", async () => {
  const sender = "given-up@sender.test";
  refusing("rcpt", "never@hasty.test", "451 4.7.1 Come back later");
  const message = await gateway.message(
    await send(["never@hasty.test"], { from: sender }),
    "bounced",
  );
  expect(message.recipients[0]?.lastReply).toContain("451 4.7.1 Come back later");
  const report = await eventually("the report is delivered", () => reportsFor(sender)[0]);
  expect(report.content.toString("latin1")).toContain("451 4.7.1 Come back later");
});

test("a null reverse-path gets no report: what failed is a dead letter, held", async () => {
  refusing("rcpt", "nobody-at-all@relay.test", "550 5.1.1 No such mailbox here");
  const id = await send(["nobody-at-all@relay.test"], { from: "" });
  const { recipients } = await gateway.message(id, "held");
  expect(recipients[0]?.lastReply).toBe("550 5.1.1 No such mailbox here");
  // A report would be committed with the outcome: what is newer is not there now or never will be.
  const { items } = await gateway.get<{ items: ShownMessage[] }>("/v1/messages?limit=1");
  expect(items.map((item) => item.id)).toEqual([id]);
});

test("a report that cannot be delivered makes no report of its own", async () => {
  const sender = "gone@sender.test";
  nextHop.script = (step, { recipients }) =>
    step === "rcpt" && ["gone@sender.test", "gone@relay.test"].includes(recipients.at(-1) ?? "")
      ? "550 5.1.1 Gone"
      : undefined;
  const id = await send(["gone@relay.test"], { from: sender });
  await gateway.message(id, "bounced");
  const report = await eventually("the report is there", async () => {
    const query = `/v1/messages?recipient=${sender}`;
    return (await gateway.get<{ items: ShownMessage[] }>(query)).items[0];
  });
  await gateway.message(report.id, "held");
  const { items } = await gateway.get<{ items: ShownMessage[] }>("/v1/messages?limit=1");
  expect(items.map((item) => item.id)).toEqual([report.id]);
});
