/** Messages, the queue and destinations from the command line, over mail that was really accepted. */
import {
  type AcceptedRecipient,
  type DestinationOutcome,
  newQueueId,
  openQueue,
  openSpool,
  registerProcess,
  removeProcess,
} from "@postern/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CommandLine, openCommandLine } from "./command-line.ts";

let line: CommandLine;
let postern: CommandLine["postern"];
let worker: number;

beforeAll(async () => {
  line = await openCommandLine();
  ({ postern } = line);
  worker = await registerProcess(line.api.database, { kind: "worker", host: "here", pid: 1 });
  await postern(["relays", "set", "internal", "kind=smtp", "hosts.0.host=10.0.0.5"]);
});
afterAll(async () => {
  await removeProcess(line.api.database, worker);
  await line.close();
});

/** Accepts a message as ingress does; answers its queue id. */
async function accept(
  minute: number,
  content: string | Uint8Array,
  recipients: readonly (Partial<AcceptedRecipient> & { readonly forwardPath: string })[],
  about: { readonly reversePath?: string; readonly messageId?: string } = {},
) {
  const receivedAt = new Date(Date.UTC(2026, 0, 31, 12, minute));
  const id = newQueueId(receivedAt);
  const incoming = openSpool(line.api.database).receive(id);
  await incoming.add(typeof content === "string" ? new TextEncoder().encode(content) : content);
  await incoming.commit({
    receivedAt,
    reversePath: about.reversePath ?? "sender@example.org",
    parameters: {},
    session: { client: { address: "203.0.113.9", port: 1 }, helo: "client.test" },
    messageId: about.messageId,
    configurationVersion: 1,
    recipients: recipients.map((recipient) => ({
      parameters: {},
      destination: {
        relay: "default",
        nextHop: recipient.forwardPath.split("@")[1]!,
      },
      decision: { relay: "default" },
      ...recipient,
    })),
  });
  return id;
}

/** Plays a worker's attempt at a message: all its recipients are deferred, with this reply. */
async function attempt(id: string, reply: string, destination?: DestinationOutcome) {
  const queue = openQueue(line.api.database);
  const claimed = await queue.claim({ workerId: worker, limit: 1000 });
  await queue.release(worker, claimed.filter(({ messageId }) => messageId !== id));
  const mine = claimed.filter(({ messageId }) => messageId === id);
  expect(mine).not.toHaveLength(0);
  await queue.record(
    worker,
    mine.map(({ messageId, destinationId, recipients }) => ({
      messageId,
      destinationId,
      at: new Date(Date.UTC(2026, 0, 31, 13)),
      recipients: recipients.map(({ ordinal }) => ({ ordinal, state: "deferred", reply })),
      dueAt: new Date(Date.now() + 3_600_000),
      ...(destination && { destination }),
      attempt: { host: "mx.example.com" },
    })),
  );
}

const CONTENT = "Subject: hello\r\n\r\nGr\u00fc\u00dfe\r\n";
const LONG =
  "450 4.2.1 mailbox busy, an explanation that goes on until nobody reads it any more, " +
  "see https://mail.example.com/help/busy";

/** The lines of an output, without white space at their ends. */
const linesOf = (text: string) => text.trimEnd().split("\n").map((one) => one.trimEnd());
/** What the table of a message's recipients says: recipient, state, relay. */
const rowsOf = ({ out }: { out: string }) =>
  linesOf(out).slice(1).map((row) => row.split(/ {2,}/).slice(0, 3).join(" "));

test("messages are listed by what is asked, newest first, and as many as wanted", async () => {
  const first = await accept(1, CONTENT, [
    { forwardPath: "a@list.test" },
    { forwardPath: "b@list.test" },
  ], { messageId: "one@example.org" });
  const second = await accept(2, CONTENT, [{ forwardPath: "a@list.test", hold: "looks odd" }], {
    reversePath: "",
  });
  const idsOf = async (...args: string[]) =>
    linesOf((await postern(["messages", "list", ...args])).out).slice(1).map((row) =>
      row.slice(0, 36)
    );
  expect(linesOf((await postern(["messages", "list"])).out)).toEqual([
    "ID                                    RECEIVED              STATE     FROM                TO              SIZE",
    `${second}  2026-01-31 12:02:00Z  held      <>                  a@list.test     27 B`,
    `${first}  2026-01-31 12:01:00Z  2 queued  sender@example.org  a@list.test +1  27 B`,
  ]);
  expect(await idsOf("--limit", "1")).toEqual([second]);
  expect(await idsOf("--sender", "<>")).toEqual([second]);
  expect(await idsOf("--recipient", "b@list.test")).toEqual([first]);
  expect(await idsOf("--message-id", "<one@example.org>")).toEqual([first]);
  expect(await idsOf("--state", "held")).toEqual([second]);
  expect(await idsOf("--since", "2026-01-31T12:02:00Z")).toEqual([second]);
  expect(await idsOf("--until", "2026-01-31T12:02:00Z")).toEqual([first]);
  expect(JSON.parse((await postern(["--json", "messages", "list"])).out))
    .toMatchObject([{ id: second }, { id: first, recipients: [{ state: "queued" }, {}] }]);

  // An id that is cut is of no use.
  const narrow = linesOf((await postern(["messages", "list"], { columns: 80 })).out);
  expect(narrow[1]).toEqual(expect.stringContaining(`${second}  held `));
  await postern(["messages", "cancel", first]);
  await postern(["messages", "cancel", second]);
});

test("show tells the way with every reply, and raw the content byte for byte", async () => {
  const bytes = new Uint8Array([...new TextEncoder().encode(CONTENT), 0xff, 0x00, 0x0d, 0x0a]);
  const id = await accept(3, bytes, [{ forwardPath: "a@show.test" }], {
    messageId: "x@y\u001b[2J",
  });
  await attempt(id, LONG);
  const { out } = await postern(["messages", "show", id], { columns: 80 });
  const shown = out.replace(id, "ID");
  expect(shown).toMatchInlineSnapshot(`
    "id:          ID
    from:        sender@example.org
    Message-ID:  x@y\\x1b[2J
    received:    2026-01-31 12:03:00Z
    size:        31 B
    decided by:  version 1 of the configuration

    RECIPIENT    STATE     RELAY    NEXT HOP   LAST REPLY
    a@show.test  deferred  default  show.test  450 4.2.1 mailbox busy, an explanati…

    2026-01-31 12:03:00Z  received
        helo: client.test
        client: port 1, address 203.0.113.9
        size: 31
    2026-01-31 12:03:00Z  routed
        recipient: a@show.test
        destination: relay default, nextHop show.test
        decision: relay default
    2026-01-31 13:00:00Z  attempted
        host: mx.example.com
    2026-01-31 13:00:00Z  deferred
        recipient: a@show.test
        reply: 450 4.2.1 mailbox busy, an explanation that goes on until nobody reads it any more, see https://mail.example.com/help/busy
    "
  `);
  expect((await postern(["messages", "raw", id])).bytes).toEqual(bytes);
  await line.api.database.sql`delete from contents where message_id = ${id}`;
  expect((await postern(["messages", "show", id])).out)
    .toMatch(/^content: +no longer kept: its retention is over$/m);
  expect((await postern(["messages", "raw", id])).error).toContain("no longer kept");
  await postern(["messages", "cancel", id]);
});

test("hold, release, retry, cancel and reroute, whole and for one recipient", async () => {
  const id = await accept(4, CONTENT, [
    { forwardPath: "a@act.test" },
    { forwardPath: "b@act.test" },
  ]);
  const act = async (action: string, ...args: string[]) => {
    const said = await postern(["messages", action, id, ...args]);
    return said.code === 0 ? rowsOf(said) : said.error;
  };
  expect(await act("hold", "--recipient", "a@act.test"))
    .toEqual(["a@act.test held default", "b@act.test queued default"]);
  expect(await act("hold")).toEqual(["a@act.test held default", "b@act.test held default"]);
  expect(await act("hold")).toMatch(/^postern: .*\n/);
  expect(await act("release")).toEqual(["a@act.test queued default", "b@act.test queued default"]);
  await attempt(id, "450 later");
  expect(await act("retry"))
    .toEqual(["a@act.test deferred default", "b@act.test deferred default"]);
  expect(await act("reroute", "--relay", "internal", "--recipient", "b@act.test"))
    .toEqual(["a@act.test deferred default", "b@act.test queued internal"]);
  expect(await act("reroute", "--relay", "nowhere")).toMatch(/nowhere/);
  expect(await act("cancel", "--recipient", "a@act.test", "b@act.test"))
    .toEqual(["a@act.test deleted default", "b@act.test deleted internal"]);
  expect(await act("cancel", "--recipient", "c@act.test"))
    .toContain("the message has no recipient c@act.test");
  expect(await act("cancel")).toMatch(/^postern: /);
});

test("queue and destinations: what waits where; pause, resume and flush", async () => {
  const far = "a-very-long-domain-name-of-somebody.example.com";
  const one = await accept(5, CONTENT, [{ forwardPath: "a@queue.test" }]);
  await accept(6, CONTENT, [{ forwardPath: "b@queue.test" }]);
  const failing = await accept(7, CONTENT, [{ forwardPath: `c@${far}` }]);
  await accept(8, CONTENT, [{
    forwardPath: "d@ours.test",
    destination: { relay: "internal", nextHop: "" },
  }]);
  await attempt(one, LONG);
  await attempt(failing, LONG, { status: "failed", delays: [600], reply: LONG });
  // Ids depend on what other tests left, and the next attempt on the clock.
  const withoutIds = ({ out }: { out: string }) =>
    out.replaceAll(/^ *(ID|\d+) {2}/gm, "").replaceAll(/ {2}\d\d:\d\d:\d\dZ/g, "  HH:MM:SSZ");
  expect(withoutIds(await postern(["queue"], { columns: 80 }))).toMatchInlineSnapshot(`
    "RELAY     NEXT HOP     QUEUED  OLDEST                STATE      LAST REPLY
    default   queue.test        2  2026-01-31 12:05:00Z  ok         -
    internal  -                 1  2026-01-31 12:08:00Z  ok         -
    default   a-very-lon…       1  2026-01-31 12:07:00Z  failed 1×  450 4.2.1 m…

    4 in the queue, at 3 destinations
    "
  `);
  expect(withoutIds(await postern(["queue"], { columns: 120 }))).toMatchInlineSnapshot(`
    "RELAY     NEXT HOP              QUEUED  OLDEST                IN FLIGHT  STATE      NEXT TRY   LAST REPLY
    default   queue.test                 2  2026-01-31 12:05:00Z          0  ok         -          -
    internal  -                          1  2026-01-31 12:08:00Z          0  ok         -          -
    default   a-very-long-domain-…       1  2026-01-31 12:07:00Z          0  failed 1×  HH:MM:SSZ  450 4.2.1 mailbox bu…

    4 in the queue, at 3 destinations
    "
  `);

  const act = async (action: string, which: string) => {
    const { code, out, error } = await postern(["--json", "destinations", action, which]);
    return code === 0 ? JSON.parse(out) : error;
  };
  const paused = await act("pause", "queue.test");
  expect(paused).toMatchObject({ nextHop: "queue.test", pausedAt: expect.any(String) });
  const pausedOnes = await postern(["destinations", "list", "--state", "paused"]);
  expect(linesOf(pausedOnes.out)).toHaveLength(2);
  expect(pausedOnes.out).toMatch(/queue\.test .* paused /);
  const failingOnes = await postern(["destinations", "list", "--state", "failing"]);
  expect(linesOf(failingOnes.out)).toHaveLength(2);
  expect(failingOnes.out).toMatch(new RegExp(`${far} .* failed 1× .*${LONG.slice(-20)}`));
  expect(await act("resume", String(paused.id))).toMatchObject({ pausedAt: null });
  expect(await act("flush", `default/${far}`)).toMatchObject({ nextHop: far, depth: 1 });
  expect(await act("flush", "internal/")).toMatchObject({ relay: "internal", nextHop: "" });
  expect(await act("flush", "internal")).toMatchObject({ relay: "internal", nextHop: "" });
  expect(await act("pause", "nowhere.test"))
    .toBe("postern: There is no destination nowhere.test\n");
  await accept(9, CONTENT, [{
    forwardPath: "e@queue.test",
    destination: { relay: "internal", nextHop: "queue.test" },
  }]);
  expect(await act("pause", "queue.test")).toBe(
    "postern: queue.test is several destinations: default/queue.test, internal/queue.test\n",
  );
  expect(await act("pause", "internal"))
    .toBe("postern: internal is several destinations: internal/, internal/queue.test\n");
  expect(JSON.parse((await postern(["--json", "destinations", "list", "--relay", "internal"])).out))
    .toHaveLength(2);
});

test("replay tells what a document would decide differently about this mail", async () => {
  await accept(10, CONTENT, [{
    forwardPath: "a@replay.test",
    decision: { recipient: "a@replay.test" },
  }]);
  const files = {
    "same.yaml": (await postern(["config", "export"])).out,
    "new.yaml": "relays: {bin: {kind: discard}}\ndomains: {replay.test: {relay: bin}}\n",
    "bad.yaml": "domains: {replay.test: {relay: 5}}\n",
  };
  const replay = (file: string, ...args: string[]) =>
    postern(["config", "replay", "-f", file, ...args], { files });
  expect((await replay("same.yaml")).out).toMatch(
    /^0 of \d+ recipients would be decided differently, of the last \d+ messages\n$/,
  );
  const found = linesOf((await replay("new.yaml", "--messages", "1")).out);
  expect(found.map((row) => row.replace(/^[0-9a-f-]{36}/, "ID"))).toEqual([
    "MESSAGE                               RECEIVED              RECIPIENT      NOW     THEN",
    "ID  2026-01-31 12:10:00Z  a@replay.test  reject  deliver to a@replay.test by bin",
    "",
    "1 of 1 recipients would be decided differently, of the last 1 messages",
  ]);
  expect((await replay("bad.yaml")).error).toContain("/configuration/domains/replay.test/relay");
  expect((await replay("new.yaml", "--messages", "many")).code).toBe(2);
});

test("audit tells who did what", async () => {
  await postern(["relays", "set", "audited", "kind=discard"]);
  const { out } = await postern(["audit", "--target", "relays/audited"]);
  const [head = "", entry = "", ...others] = linesOf(out);
  expect(head).toMatch(/^AT +ACTOR +ADDRESS +ACTION +TARGET +DETAIL$/);
  expect(entry).toMatch(/Z +admin +192\.0\.2\.1 +config\.change +relays\/audited +\{.*"version":/);
  expect(others).toEqual([]);
  expect(linesOf((await postern(["audit", "--limit", "2"])).out)).toHaveLength(3);
  expect((await postern(["audit", "--since", "lately"])).error).toMatch(
    /^ {2}since: expected a time/m,
  );
});
