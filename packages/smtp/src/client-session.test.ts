/** What transcripts cannot show: mistakes of the caller, back-pressure, time-outs, and any bytes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ClientAction, Transaction } from "./client/actions.ts";
import type { ClientSessionOptions } from "./client/options.ts";
import { enhancedCodeOf } from "./client/outcome.ts";
import { ClientSession } from "./client-session.ts";

const encoder = new TextEncoder();

const transaction: Transaction = {
  envelope: {
    reversePath: "a@b.example",
    parameters: {},
    recipients: [{ forwardPath: "c@d.example", parameters: {} }],
  },
};

function take(session: ClientSession): ClientAction[] {
  const actions: ClientAction[] = [];
  for (let action = session.next(); action !== undefined; action = session.next()) {
    actions.push(action);
  }
  return actions;
}

/** Says what there is to say, then hears this. */
function hear(session: ClientSession, text: string): void {
  take(session);
  session.receive(encoder.encode(text));
}

function opened(keywords: string[], options: Partial<ClientSessionOptions> = {}): ClientSession {
  const session = new ClientSession({ ehloName: "client.example", ...options });
  hear(session, "220 hop.example\r\n");
  const lines = ["hop.example", ...keywords];
  const reply = lines.map((line, at) => `250${at === keywords.length ? " " : "-"}${line}\r\n`);
  hear(session, reply.join(""));
  take(session);
  return session;
}

function inContent(keywords: string[], options?: Partial<ClientSessionOptions>): ClientSession {
  const session = opened(keywords, options);
  session.deliver(transaction);
  hear(session, "250 ok\r\n");
  hear(session, "250 ok\r\n");
  if (!keywords.includes("CHUNKING")) hear(session, "354 go\r\n");
  expect(take(session).at(-1)?.type).toBe("needContent");
  return session;
}

describe("mistakes of the caller", () => {
  test("a second transaction before the first one's outcome throws", () => {
    const session = opened([]);
    session.deliver(transaction);
    expect(() => session.deliver(transaction)).toThrow();
  });

  test.each(["", "a b", "a\r\nMAIL", "ä.example"])("%j cannot be said in EHLO", (ehloName) => {
    expect(() => new ClientSession({ ehloName })).toThrow(RangeError);
  });

  test("a short nonce throws", () => {
    const credentials = { kind: "password", user: "u", password: "p", nonce: "1" } as const;
    expect(() => new ClientSession({ ehloName: "x", credentials })).toThrow(RangeError);
  });

  test.each(
    [
      { kind: "password", user: "u\0", password: "p", nonce: "rOprNGfwEbeRWgbNEkqO" },
      { kind: "password", user: "u", password: "p\0", nonce: "rOprNGfwEbeRWgbNEkqO" },
      { kind: "token", user: "u\x01", token: "t" },
      { kind: "token", user: "u", token: "a b" },
    ] as const,
  )("%j cannot be said in AUTH", (credentials) => {
    expect(() => new ClientSession({ ehloName: "x", credentials })).toThrow(RangeError);
  });

  test("content that nobody asked for is ignored", () => {
    const session = opened([]);
    expect(session.content(encoder.encode("x"))).toBe(false);
    session.endOfContent();
    session.abortContent();
    session.answerScram({ clientProof: new Uint8Array(), serverSignature: new Uint8Array() });
    session.tlsStarted();
    session.tlsFailed("x");
    expect(take(session)).toEqual([]);
  });
});

describe("doubt begins when the end of the content was handed out", () => {
  test.each(["PIPELINING", "CHUNKING"])("with %s", (keyword) => {
    for (const handedOut of [false, true]) {
      const session = inContent([keyword], { preferChunking: true });
      session.content(encoder.encode("hello"));
      take(session);
      session.endOfContent();
      if (handedOut) take(session);
      session.disconnected();
      const [action] = take(session);
      expect(action).toMatchObject({
        type: "outcome",
        outcome: { recipients: [{ status: handedOut ? "inDoubt" : "transient" }] },
      });
    }
  });

  test("a later transaction on the same session begins without doubt", () => {
    const session = inContent(["PIPELINING"]);
    session.endOfContent();
    take(session);
    hear(session, "250 ok\r\n");
    session.deliver(transaction);
    take(session);
    session.disconnected();
    expect(take(session)[0]).toMatchObject({ outcome: { recipients: [{ status: "transient" }] } });
  });
});

describe("back-pressure", () => {
  test("DATA takes everything: the socket's back-pressure is the adapter's", () => {
    const session = inContent(["PIPELINING"]);
    for (let at = 0; at < 100; at++) expect(session.content(new Uint8Array(1000))).toBe(true);
  });

  test("BDAT without PIPELINING takes one chunk ahead", () => {
    const session = inContent(["CHUNKING"], { preferChunking: true, chunkSize: 10 });
    expect(session.content(new Uint8Array(10))).toBe(true);
    expect(session.content(new Uint8Array(9))).toBe(true);
    expect(session.content(new Uint8Array(1))).toBe(false);
    take(session);
    hear(session, "250 ok\r\n");
    expect(take(session).at(-1)).toEqual({ type: "needContent", form: "asIs", first: false });
  });

  test("content is handed out as views, not copied", () => {
    const chunk = encoder.encode("no dots in here\r\n");
    const data = inContent(["PIPELINING"]);
    data.content(chunk);
    expect(data.next()).toEqual({ type: "send", bytes: chunk });
    const bdat = inContent(["CHUNKING"], { preferChunking: true, chunkSize: 1 });
    bdat.content(chunk);
    bdat.next();
    const action = bdat.next();
    expect(action?.type === "send" && action.bytes.buffer).toBe(chunk.buffer);
  });
});

test("time-outs are those of RFC 5321 §4.5.3.2, or the caller's", () => {
  const session = new ClientSession({ ehloName: "x", timeouts: { hello: 7 } });
  const expected = (name: string, seconds: number) =>
    expect(session.timeout).toEqual({ name, seconds });
  const receive = (text: string) => {
    hear(session, text);
    take(session);
  };
  expected("greeting", 300);
  receive("220 hi\r\n");
  expected("hello", 7);
  receive("250 hi\r\n");
  expect(session.timeout).toBeUndefined();
  session.deliver(transaction);
  expected("mail", 300);
  receive("250 ok\r\n");
  expected("rcpt", 300);
  receive("250 ok\r\n");
  expected("data", 120);
  receive("354 go\r\n");
  expected("content", 180);
  session.endOfContent();
  expected("endOfContent", 600);
  receive("451 later\r\n");
  expected("reset", 20);
  receive("250 ok\r\n");
  session.quit();
  expected("quit", 5);
  receive("221 bye\r\n");
  expect(session.timeout).toBeUndefined();
  expect(session.ended).toBe(true);
});

test("a reply to what was not said yet ends the session: it would shift all that follow", () => {
  for (const early of ["220 hi\r\n220 and welcome\r\n", "220 hi\r\n250 ok\r\n250 ok\r\n"]) {
    const session = new ClientSession({ ehloName: "x" });
    session.deliver(transaction);
    hear(session, early);
    expect(take(session)).toMatchObject([
      { type: "outcome", outcome: { recipients: [{ status: "transient" }] } },
      { type: "close", failure: { kind: "unexpectedReply", command: "EHLO" } },
    ]);
  }
  const session = opened([]);
  session.deliver(transaction);
  hear(session, "250 ok\r\n550 5.1.1 unknown\r\n");
  expect(take(session)[0]).toMatchObject({ outcome: { recipients: [{ status: "transient" }] } });
});

test("replies are counted when they are whole; a session that says QUIT is ending", () => {
  const session = new ClientSession({ ehloName: "x" });
  hear(session, "220-hi\r\n220 the");
  expect(session.replies).toBe(0);
  hear(session, "re\r\n");
  hear(session, "250-x\r\n250 LIMITS MAILMAX=1\r\n");
  expect([session.replies, session.ending]).toEqual([2, false]);
  session.deliver(transaction);
  hear(session, "250 ok\r\n");
  hear(session, "550 no\r\n");
  expect(session.ending).toBe(false);
  hear(session, "250 reset\r\n");
  expect([session.ending, session.ended]).toEqual([true, false]);
});

test.each(["OAUTHBEARER", "XOAUTH2"])(
  "%s acknowledges one challenge, not one after another",
  (name) => {
    const credentials = { kind: "token", user: "u", token: "t" } as const;
    const session = opened([`AUTH ${name}`], { credentials, tlsActive: {} });
    hear(session, "334 e30=\r\n");
    expect(take(session)).toMatchObject([{ type: "send" }]);
    hear(session, "334 e30=\r\n");
    expect(take(session)).toMatchObject([{ type: "close", failure: { kind: "authFailed" } }]);
  },
);

test("a long token goes in a line of its own (RFC 4954 §4)", () => {
  const credentials = { kind: "token", user: "u", token: "t".repeat(2000) } as const;
  const session = opened(["AUTH OAUTHBEARER"], { credentials, tlsActive: {} });
  hear(session, "334 \r\n");
  const [action] = take(session);
  expect(action?.type === "send" && action.bytes.length).toBeGreaterThan(2000);
  hear(session, "235 ok\r\n");
  expect(take(session)).toMatchObject([{ type: "ready" }]);
});

test("an outcome has an enhanced code even where the reply has none", () => {
  const session = opened([]);
  session.deliver(transaction);
  hear(session, "554 no\r\n");
  const outcome = take(session).find((action) => action.type === "outcome");
  expect(enhancedCodeOf(outcome!.outcome.recipients[0]!)).toBe("5.0.0");
});

/** An adapter that does something sensible for each action, and never stops. */
function perform(session: ClientSession, actions: ClientAction[]): string[] {
  const seen: string[] = [];
  for (const action of actions) {
    seen.push(action.type);
    if (action.type === "ready") session.deliver(transaction);
    if (action.type === "startTls") session.tlsStarted({ verified: true });
    if (action.type === "needContent") {
      session.content(encoder.encode("Subject: x\r\n\r\n.\r\n"));
      session.endOfContent();
    }
    if (action.type === "scramProof") {
      const bytes = new Uint8Array(32);
      session.answerScram({ clientProof: bytes, serverSignature: bytes });
    }
  }
  return seen;
}

describe("any peer", () => {
  const line = fc.tuple(
    fc.constantFrom("220", "250", "354", "421", "451", "550", "334", "235", "452", "221", "999"),
    fc.constantFrom(" ", " ", " ", "-", ""),
    fc.constantFrom(
      "ok",
      "PIPELINING",
      "CHUNKING",
      "STARTTLS",
      "AUTH PLAIN LOGIN SCRAM-SHA-256",
      "SIZE 10",
      "LIMITS RCPTMAX=1 MAILMAX=2",
      "2.0.0 x",
      "5.5.3 many",
      "VXNlcm5hbWU6",
    ),
    fc.constantFrom("\r\n", "\r\n", "\r\n", "\n", "\r", ""),
  ).map((parts) => encoder.encode(parts.join("")));
  const piece = fc.oneof({ weight: 9, arbitrary: line }, fc.uint8Array({ maxLength: 20 }));
  const options = fc.record({
    ehloName: fc.constant("client.example"),
    flavour: fc.constantFrom("smtp", "lmtp"),
    tls: fc.constantFrom("none", "may", "ifOffered", "require"),
    pipelining: fc.boolean(),
    preferChunking: fc.boolean(),
    chunkSize: fc.constantFrom(1, 100),
    credentials: fc.constantFrom(undefined, {
      kind: "password" as const,
      user: "u",
      password: "p",
      nonce: "rOprNGfwEbeRWgbNEkqO",
    }),
  }).map(({ credentials, ...others }) =>
    (credentials === undefined ? others : { ...others, credentials }) as ClientSessionOptions
  );
  const event = fc.constantFrom("disconnected", "timedOut", "quit", "abortContent", "none");

  test("never makes the session throw, and each transaction has one outcome", () => {
    fc.assert(
      fc.property(options, fc.array(piece, { maxLength: 40 }), event, (given, pieces, last) => {
        const session = new ClientSession(given);
        const seen: string[] = [];
        let delivered = 0;
        const deliver = session.deliver.bind(session);
        session.deliver = (wanted) => {
          delivered++;
          deliver(wanted);
        };
        const run = () => {
          for (let actions = take(session); actions.length > 0; actions = take(session)) {
            seen.push(...perform(session, actions));
          }
        };
        for (const bytes of pieces) {
          session.receive(bytes);
          run();
        }
        if (last !== "none") session[last as "quit"]();
        run();
        session.disconnected();
        run();
        expect(seen.filter((type) => type === "outcome").length).toBe(delivered);
        expect(seen.filter((type) => type === "close").length).toBe(1);
        expect(session.ended).toBe(true);
      }),
      { seed: 821, numRuns: 5000 },
    );
  });
});
