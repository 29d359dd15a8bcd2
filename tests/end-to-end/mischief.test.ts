/**
 * Next hops that refuse, stall, drip, cut and lie at each step of a session. Whatever they do, each
 * recipient ends as it should, the events say truly why, nothing is lost, nobody else waits for it.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentWith, queueIdOf, sendMail, subjectOf } from "./dialogue.ts";
import { eventually } from "./eventually.ts";
import { Gateway, type ShownMessage } from "./gateway.ts";
import { type Answer, NextHop, type Step, type Transaction } from "./next-hop.ts";

/** Seconds; a step that stalls costs one of these. */
const TIMEOUTS = { connect: 2, command: 2, content: 2, final: 2 };

/** What becomes of a recipient. */
type Kind = "delivered" | "deferred" | "bounced";

interface Case {
  readonly name: string;
  readonly step: Step;
  /** What is done there at the first attempt, or at every one. */
  readonly does: Answer | ((transaction: Transaction) => Answer);
  readonly always?: true;
  /** EHLO offers STARTTLS. */
  readonly tls?: true;
  /** What the first event of the recipients `a` and `b` says; of `b` the same where not told. */
  readonly first?: readonly [Kind, RegExp];
  readonly firstOfB?: readonly [Kind, RegExp];
  /** How they end; `delivered` where not told. */
  readonly end?: Kind;
  readonly endOfB?: Kind;
  /** How many final dots the next hop saw; 1 where not told. */
  readonly copies?: number;
  /** Lines of 18 octets in the content. */
  readonly lines?: number;
}

const where: Partial<Record<Step, string>> = {
  connect: "waiting for the greeting",
  ehlo: "in reply to EHLO",
  mail: "in reply to MAIL",
  rcpt: "in reply to RCPT",
  data: "in reply to DATA",
  message: "in reply to the end of the content",
};

/** Ten faults in place of the reply to a step: each is waited out, and the next attempt succeeds. */
function faultsAt(step: Step): Case[] {
  // Behind the final dot nobody knows: it is tried again, and the event says so.
  const doubt = step === "message" ? " (in doubt: it may have been accepted)" : "";
  const copies = step === "message" ? 2 : 1;
  const told = (what: string, place: string, more = "") =>
    ["deferred", exactly(`${what} (${place})${more}${doubt}`)] as const;
  const place = where[step]!;
  const malformed = (problem: string) => told("451 4.5.0 Malformed reply", place, `: ${problem}`);
  const faults: Pick<Case, "name" | "does" | "first">[] = [
    { name: "421", does: "421 4.3.2 Down", first: ["deferred", exactly("421 4.3.2 Down")] },
    { name: "cut", does: "cut", first: told("451 4.4.2 Connection lost", place) },
    {
      name: "stall",
      does: { then: "stall" },
      first: told("451 4.4.2 Connection timed out", place),
    },
    {
      name: "half a reply",
      does: { raw: "250 2.0", then: "end" },
      first: told("451 4.4.2 Connection lost", place),
    },
    { name: "garbage", does: "HTTP/1.1 400 Bad Request", first: malformed("not a reply") },
    { name: "a code that is none", does: "999 Whatever", first: malformed("not a reply") },
    {
      name: "different codes",
      does: "250-One\r\n550 Two",
      first: malformed("its lines have different codes"),
    },
    { name: "a line without end", does: { raw: LONG }, first: malformed("a line is too long") },
    { name: "lines without end", does: { raw: MANY }, first: malformed("too many lines") },
  ];
  return faults.map((fault) => ({ ...fault, step, copies, name: `${step}: ${fault.name}` }));
}

const LONG = `250 ${"x".repeat(100_000)}`;
const MANY = "250-x\r\n".repeat(5000);
const EHLO_WITH_TLS = "250-next-hop.test\r\n250-PIPELINING\r\n250 STARTTLS";

function exactly(text: string): RegExp {
  return new RegExp(`^${text.replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
}

const taken = ["delivered", /^250 2\.0\.0 Taken as \d+$/] as const;
const unexpected = (code: number, place: string) =>
  ["deferred", exactly(`451 4.5.0 Unexpected reply ${code} (${place})`)] as const;
const said = (kind: Kind, text: string) => [kind, exactly(text)] as const;
const forB = (answer: Answer) => ({ recipients }: Transaction) =>
  recipients.at(-1)!.startsWith("b@") ? answer : undefined;
const drip = (raw: string) => ({ raw: `${raw}\r\n`, drip: 10 });

// deno-fmt-ignore
const cases: readonly Case[] = [
  ...(["connect", "ehlo", "mail", "rcpt", "data", "message"] as const).flatMap(faultsAt),
  // Wrong codes.
  { name: "connect: 250", step: "connect", does: "250 Hello", first: taken },
  { name: "connect: 354", step: "connect", does: "354 Go on", first: unexpected(354, "waiting for the greeting") },
  { name: "ehlo: 334", step: "ehlo", does: "334 Go on", first: unexpected(334, "in reply to EHLO") },
  { name: "mail: 354", step: "mail", does: "354 Go on", first: unexpected(354, "in reply to MAIL") },
  { name: "rcpt: 354", step: "rcpt", does: "354 Go on", first: unexpected(354, "in reply to RCPT") },
  { name: "data: 250", step: "data", does: "250 Ok", first: unexpected(250, "in reply to DATA") },
  // RFC 5321 §4.3.2 and §4.2.1: the first digit is what counts.
  { name: "data: 334", step: "data", does: "334 Go on", first: taken },
  { name: "mail: 299", step: "mail", does: "299 Fine", first: taken },
  // Refusals.
  { name: "connect: 450", step: "connect", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now") },
  { name: "connect: 554", step: "connect", does: "554 5.3.2 No mail here", always: true, first: said("bounced", "554 5.3.2 No mail here"), end: "bounced", copies: 0 },
  { name: "ehlo: 450", step: "ehlo", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now") },
  { name: "ehlo: 502", step: "ehlo", does: "502 5.5.1 What?", always: true, first: taken },
  { name: "mail: 450", step: "mail", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now") },
  { name: "mail: 550", step: "mail", does: "550 5.7.1 Not you", first: said("bounced", "550 5.7.1 Not you"), end: "bounced", copies: 0 },
  { name: "rcpt: 450", step: "rcpt", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now") },
  { name: "rcpt: 550", step: "rcpt", does: "550 5.1.1 Nobody", first: said("bounced", "550 5.1.1 Nobody"), end: "bounced", copies: 0 },
  { name: "rcpt: 450 for one of two", step: "rcpt", does: forB("450 4.2.0 Not now"), first: taken, firstOfB: said("deferred", "450 4.2.0 Not now"), copies: 2 },
  { name: "rcpt: 452 for one of two", step: "rcpt", does: forB("452 4.5.3 Too many"), first: taken, firstOfB: taken, copies: 2 },
  { name: "rcpt: 550 for one of two", step: "rcpt", does: forB("550 5.1.1 Nobody"), first: taken, firstOfB: said("bounced", "550 5.1.1 Nobody"), endOfB: "bounced" },
  { name: "rcpt: cut at one of two", step: "rcpt", does: forB("cut"), first: ["deferred", /Connection lost \(in reply to RCPT\)$/] },
  { name: "data: 450", step: "data", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now") },
  { name: "data: 554", step: "data", does: "554 5.6.0 Not this", first: said("bounced", "554 5.6.0 Not this"), end: "bounced", copies: 0 },
  { name: "message: 450", step: "message", does: "450 4.2.0 Not now", first: said("deferred", "450 4.2.0 Not now"), copies: 2 },
  { name: "message: 552", step: "message", does: "552 5.2.2 Full", first: said("bounced", "552 5.2.2 Full"), end: "bounced" },
  // Content.
  { name: "content: cut", step: "content", does: "cut", lines: 50_000, first: ["deferred", /^451 4\.4\.2 Connection lost \(while sending the content\)$/] },
  { name: "content: not read", step: "content", does: { then: "stall" }, lines: 400_000, first: ["deferred", /^451 4\.4\.2 Connection timed out \(while sending the content\)$/] },
  { name: "content: 552 in the midst", step: "content", does: "552 5.3.4 Enough", lines: 400_000, first: said("bounced", "552 5.3.4 Enough"), end: "bounced", copies: 0 },
  { name: "content: 250 in the midst", step: "content", does: "250 2.0.0 Taken", lines: 400_000, first: unexpected(250, "while sending the content") },
  // Slow but in order.
  { name: "connect: drips", step: "connect", does: drip("220 next-hop.test ESMTP"), first: taken },
  { name: "mail: drips", step: "mail", does: drip("250-2.1.0 Fine\r\n250 2.1.0 indeed"), first: taken },
  { name: "data: drips", step: "data", does: drip("354 Go on"), first: taken },
  { name: "message: drips", step: "message", does: drip("250 2.0.0 Taken as 1"), first: taken },
  // Too early: all replies at once, before anything was asked. Nothing was taken, whatever they say.
  { name: "connect: every reply at once", step: "connect", does: { raw: "220 Hi\r\n250 Hi\r\n250 a\r\n250 b\r\n250 c\r\n354 d\r\n250 e\r\n", then: "stall" }, first: ["deferred", /^451 4\.5\.0 Unexpected reply 250/] },
  // Behind the last reply nothing changes what was said.
  { name: "after: cut", step: "after", does: "cut", first: taken },
  { name: "after: 550", step: "after", does: "550 5.0.0 On second thoughts", first: taken },
  { name: "after: 421", step: "after", does: "421 4.3.2 Down", first: taken },
  { name: "quit: stall", step: "quit", does: { then: "stall" }, first: taken },
  // STARTTLS, where it need not be.
  { name: "starttls: 454", step: "starttls", does: "454 4.7.0 No", always: true, tls: true, first: taken },
  { name: "starttls: cut", step: "starttls", does: "cut", tls: true },
  { name: "starttls: stall", step: "starttls", does: { then: "stall" }, tls: true },
  { name: "starttls: garbage", step: "starttls", does: "HTTP/1.1 400 Bad Request", tls: true },
  { name: "starttls: a handshake of garbage", step: "starttls", does: { raw: "220 Go on\r\nThis is no TLS\r\n", then: "end" }, tls: true },
];

const hops = new Map(cases.map((one) => [one.name, new NextHop()]));
const gateway = new Gateway();
const ids = new Map<string, string>();
let port = 0;

const domainOf = (index: number) => `case-${index}.test`;

beforeAll(async () => {
  const configuration: Record<string, unknown> = {
    "/v1/relays/capture": { kind: "capture" },
    "/v1/domains/sender.test": { relay: "capture" },
  };
  for (const [index, one] of cases.entries()) {
    const hop = hops.get(one.name)!;
    await hop.start();
    let transactions = 0;
    hop.script = (step, transaction, session) => {
      if (step === "mail") transactions += 1;
      const first = session === 0 && transactions <= 1;
      if (step === one.step && (first || one.always === true)) {
        return typeof one.does === "function" ? one.does(transaction) : one.does;
      }
      return step === "ehlo" && one.tls === true ? EHLO_WITH_TLS : undefined;
    };
    configuration[`/v1/relays/case-${index}`] = {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: hop.port }],
      retry: { delays: [1], lifetime: 300 },
      timeouts: TIMEOUTS,
    };
    configuration[`/v1/domains/${domainOf(index)}`] = { relay: `case-${index}` };
  }
  await gateway.start(configuration);
  const [ingress] = await Promise.all([gateway.startIngress(), gateway.startWorker()]);
  port = ingress.port;
  await Promise.all(cases.map(async ({ name, lines = 1 }, index) => {
    const recipients = ["a", "b"].map((local) => `${local}@${domainOf(index)}`);
    const content = contentWith(name, "0123456789abcdef\r\n".repeat(lines));
    const reply = await sendMail(port, "s@sender.test", recipients, content);
    ids.set(name, queueIdOf(reply));
  }));
});

afterAll(async () => {
  await Promise.all([...hops.values()].map((hop) => hop.stop()));
  await gateway.stop();
});

describe.concurrent("a next hop that answers", () => {
  test.each(cases)("$name", async (one) => {
    const hop = hops.get(one.name)!;
    const { first, firstOfB = first, end = "delivered", endOfB = end, copies = 1 } = one;
    const message = await gateway.message(ids.get(one.name)!, "delivered", "bounced");
    expect(message.recipients.map(({ state }) => state)).toEqual([end, endOfB]);
    const firsts = firstEvents(message);
    for (const [index, expected] of [first, firstOfB].entries()) {
      if (expected === undefined) continue;
      expect(firsts[index]).toEqual([expected[0], expect.stringMatching(expected[1])]);
    }
    expect(hop.seen.map(({ content }) => subjectOf(content))).toEqual(
      Array.from({ length: copies }, () => one.name),
    );
    // What is said to be delivered was answered 250.
    const accepted = new Set(hop.accepted.flatMap(({ recipients }) => recipients));
    const delivered = message.recipients.filter(({ state }) => state === "delivered");
    expect(accepted).toEqual(new Set(delivered.map(({ forwardPath }) => forwardPath)));
    // It was not beleaguered.
    expect(hop.sessions).toBeLessThanOrEqual(4);
  });
});

test("who sent what bounced is told, once", async () => {
  const bounced = cases.filter(({ end, endOfB }) => end === "bounced" || endOfB === "bounced");
  const reports = await eventually("all reports are there", async () => {
    const { items } = await gateway.get<{ items: ShownMessage[] }>(
      "/v1/messages?recipient=s@sender.test&limit=100",
    );
    return items.length >= bounced.length && items;
  });
  expect(reports).toHaveLength(bounced.length);
  expect(new Set(reports.map(({ reversePath }) => reversePath))).toEqual(new Set([""]));
});

test("nobody waits for a next hop that says nothing", async () => {
  // Its time-outs are those of RFC 5321: it keeps its sessions for minutes.
  const [silent, sound] = [new NextHop(), new NextHop()];
  silent.script = () => ({ then: "stall" });
  for (const [name, hop] of Object.entries({ silent, sound })) {
    await hop.start();
    hops.set(name, hop);
    await gateway.put(`/v1/relays/${name}`, {
      kind: "smtp",
      hosts: [{ host: "127.0.0.1", port: hop.port }],
    });
    await gateway.put(`/v1/domains/${name}.test`, { relay: name });
  }
  const send = (domain: string) =>
    sendMail(port, "s@sender.test", [`u@${domain}`], contentWith(`to ${domain}`));
  await eventually(
    "the new domains are known",
    async () =>
      (await Promise.all([send("silent.test"), send("sound.test")])).every((reply) =>
        reply.startsWith("250 ")
      ),
  );
  const waiting = await Promise.all(Array.from({ length: 50 }, () => send("silent.test")));
  await eventually("the silent one is talked to", () => silent.sessions > 0);
  for (let count = 0; count < 5; count += 1) {
    await gateway.message(queueIdOf(await send("sound.test")), "delivered");
  }
  const stuck = await gateway.message(queueIdOf(waiting[0]!), "queued");
  expect(stuck.events.map(({ kind }) => kind)).toEqual(["received", "routed"]);
});

/** The first thing that was said of each recipient. */
function firstEvents({ events, recipients }: ShownMessage) {
  return recipients.map(({ forwardPath }) => {
    const event = events.find(({ kind, recipient }) =>
      recipient === forwardPath && ["delivered", "deferred", "bounced"].includes(kind)
    );
    return [event?.kind, event?.reply];
  });
}
