import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { reply } from "./reply.ts";
import type { ServerAction, ServerQuestion } from "./server/actions.ts";
import type { ServerSessionOptions } from "./server/options.ts";
import { ServerSession } from "./server-session.ts";

const encode = (text: string) => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
const runs = { seed: 20_261_124, numRuns: 500 };

type Other = Exclude<ServerAction, { type: "send" }>;

/** Performs all that is due; questions are answered by `decide`, which may leave them open. */
function drain(session: ServerSession, decide?: (question: ServerQuestion) => void) {
  const sends: string[] = [];
  const others: Other[] = [];
  for (let action = session.next(); action !== undefined; action = session.next()) {
    if (action.type === "send") sends.push(decode(action.bytes));
    else {
      others.push(action);
      if (action === session.question) decide ? decide(session.question) : session.accept();
    }
  }
  return { sends, others };
}

function begin(options: Partial<ServerSessionOptions> = {}, hello = "EHLO a.example\r\n") {
  const session = new ServerSession({ hostname: "mx.example", ...options });
  session.start();
  session.receive(encode(hello));
  drain(session);
  return session;
}

describe("pipelining (RFC 2920)", () => {
  const group = encode(
    "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nRCPT TO:<e@d.example>\r\nDATA\r\n",
  );

  test("replies to a group leave in one write", () => {
    const session = begin();
    session.receive(group);
    const { sends } = drain(session);
    expect(sends.length).toBe(1);
    expect(sends[0]!.split("\r\n").map((line) => line.slice(0, 3)))
      .toEqual(["250", "250", "250", "354", ""]);
  });

  test("what is ready is there to be sent when an answer takes long", () => {
    const session = begin();
    session.receive(group);
    expect(session.flush()).toBeUndefined();
    drain(session, () => {});
    expect(session.question?.type).toBe("mail");
    expect(session.flush()).toBeUndefined();
    session.accept();
    expect(drain(session, () => {}).sends).toEqual([]);
    expect(session.question?.type).toBe("rcpt");
    expect(decode(session.flush()!.bytes)).toMatch(/^250 2\.1\.0 [^\n]*\n$/);
    expect(session.flush()).toBeUndefined();
    session.accept();
    expect(drain(session).sends.join("").split("\r\n").map((line) => line.slice(0, 3)))
      .toEqual(["250", "250", "354", ""]);
  });

  test("also when each answer comes late", () => {
    const session = begin();
    session.receive(group);
    const sends: string[] = [];
    let questions = 0;
    for (;;) {
      sends.push(...drain(session, () => {}).sends);
      if (session.question === undefined) break;
      questions++;
      session.accept();
    }
    expect(questions).toBe(4);
    // DATA ends the group: while it is decided nothing more can come, so the rest goes out.
    expect(sends.map((text) => text.split("\r\n").length - 1)).toEqual([3, 1]);
  });

  test("nothing is owed for earlier messages while one is committed", () => {
    const session = begin();
    session.receive(encode(
      "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nBDAT 2 LAST\r\nabMAIL FROM:<a@b.example>\r\n" +
        "RCPT TO:<c@d.example>\r\nBDAT 2 LAST\r\nabNOOP\r\n",
    ));
    const first = drain(session, ({ type }) => type === "message" || session.accept());
    expect(session.question?.type).toBe("message");
    expect(first.sends.join("").match(/^250/gm)?.length).toBe(2);
    session.answer(reply(250, "2.0.0", "first"));
    const second = drain(session, ({ type }) => type === "message" || session.accept());
    expect(second.sends.join("")).toContain("first");
  });
});

describe("bounds", () => {
  test("input behind an open question: the socket is paused, then the session ends", () => {
    const session = begin({ limits: { pendingInput: 1000 } });
    session.receive(encode("MAIL FROM:<a@b.example>\r\n"));
    drain(session, () => {});
    expect(session.wantsInput).toBe(true);
    session.receive(encode("NOOP\r\n".repeat(200)));
    expect(session.wantsInput).toBe(false);
    session.receive(encode("NOOP\r\n".repeat(200)));
    expect(session.closed).toBe(false);
    session.receive(encode("NOOP\r\n".repeat(400)));
    expect(session.closed).toBe(true);
    expect(drain(session).sends.join("")).toBe(
      "421 4.7.0 Too much input ahead of the replies\r\n",
    );
    // The answer that still comes finds nobody.
    session.accept();
    expect(session.next()).toBe(undefined);
  });

  test("random bytes never throw, and end in replies or silence", () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
        fc.boolean(),
        (chunks, proxy) => {
          const session = new ServerSession({ hostname: "mx.example", proxy });
          session.start();
          drain(session);
          for (const chunk of chunks) {
            session.receive(chunk);
            for (const text of drain(session).sends) expect(text).toMatch(/^(\d{3}[ -].*\r\n)+$/);
          }
        },
      ),
      runs,
    );
  });

  test("any options and any parameters text: a reply, no throw", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        const session = begin();
        session.receive(encode(`MAIL FROM:<a@b.example> ${text}\r\nRSET\r\n`));
        expect(drain(session).sends.join("")).toMatch(/^\d{3} /);
      }),
      runs,
    );
  });
});

describe("content", () => {
  test("binary chunks of any size arrive byte for byte", () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 2000 }),
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }),
        fc.integer({ min: 1, max: 300 }),
        (content, sizes, cut) => {
          const session = begin();
          const wire: number[] = [
            ...encode("MAIL FROM:<a@b.example> BODY=BINARYMIME\r\nRCPT TO:<c@d.example>\r\n"),
          ];
          for (let at = 0, turn = 0; at < content.length; turn++) {
            const size = Math.min(sizes[turn % sizes.length]!, content.length - at);
            wire.push(...encode(`BDAT ${size}\r\n`), ...content.subarray(at, at + size));
            at += size;
          }
          wire.push(...encode("BDAT 0 LAST\r\n"));
          const got: number[] = [];
          const bytes = Uint8Array.from(wire);
          for (let at = 0; at < bytes.length; at += cut) {
            session.receive(bytes.subarray(at, at + cut));
            for (const action of drain(session).others) {
              if (action.type === "content") got.push(...action.bytes);
              if (action.type === "message") expect(action.size).toBe(content.length);
            }
          }
          expect(Uint8Array.from(got)).toEqual(content);
        },
      ),
      runs,
    );
  });

  test("is handed out as views on what was received, one for a plain chunk", () => {
    const session = begin();
    session.receive(encode("MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n"));
    drain(session);
    const chunk = encode("a line of text\r\n".repeat(4000));
    session.receive(chunk);
    const { others } = drain(session);
    expect(others.length).toBe(1);
    expect(others[0]).toMatchObject({ type: "content" });
    expect(others[0]!.type === "content" && others[0].bytes.buffer).toBe(chunk.buffer);
  });
});

describe("time-outs", () => {
  test("follow what the session waits for", () => {
    const session = new ServerSession({
      hostname: "mx.example",
      proxy: true,
      tls: "available",
      auth: { mechanisms: ["PLAIN"], inClear: true },
    });
    expect(session.timeout).toBe("none");
    session.start();
    expect(session.timeout).toBe("proxy");
    const feed = (text: string, decide?: () => void) => {
      session.receive(encode(text));
      drain(session, decide);
      return session.timeout;
    };
    expect(feed("PROXY UNKNOWN\r\n")).toBe("command");
    expect(feed("EHLO a.example\r\nAUTH PLAIN\r\n")).toBe("auth");
    expect(feed("*\r\nMAIL FROM:<a@b.example>\r\n")).toBe("command");
    expect(feed("RCPT TO:<c@d.example>\r\n", () => {})).toBe("none");
    session.accept();
    drain(session);
    expect(feed("BDAT 100\r\nabc")).toBe("data");
    expect(feed("x".repeat(97))).toBe("command");
    expect(feed("RSET\r\nBDAT 10\r\nabc")).toBe("data");
    expect(feed("x".repeat(7))).toBe("command");
    expect(feed("STARTTLS\r\n")).toBe("tls");
    session.tlsStarted();
    expect(session.timeout).toBe("command");
    session.timedOut();
    expect(session.timeout).toBe("none");
  });
});

describe("misuse by the adapter is a bug", () => {
  test.each<[string, (session: ServerSession) => void]>([
    ["an answer without a question", (session) => session.accept()],
    ["a verifier without a question", (session) => session.answerScram(undefined)],
    ["a digest without a question", (session) => session.answerDigest(new Uint8Array(32))],
    ["replies to recipients without a question", (session) => session.answerEach([])],
    ["a second start", (session) => session.start()],
  ])("%s", (_name, misuse) => expect(() => misuse(begin())).toThrow());
});

test("a reply cannot carry line ends or more than a line may hold", () => {
  const session = begin();
  session.receive(encode("MAIL FROM:<a@b.example>\r\n"));
  const { sends } = drain(
    session,
    () => session.refuse(reply(550, "5.7.1", "a\r\n250 b", `ü${"x".repeat(600)}`)),
  );
  expect(sends.join("")).toBe(`550-5.7.1 a  250 b\r\n550 5.7.1 ?${"x".repeat(495)}\r\n`);
});
