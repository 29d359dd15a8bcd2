import { expect, test } from "vitest";
import { createLog, type LogOptions } from "./log.ts";

function logged(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    process: "ingress",
    level: "debug",
    format: "json",
    colors: false,
    write: (line) => lines.push(line),
    ...options,
  });
  return { log, lines, last: () => JSON.parse(lines.at(-1)!) };
}

test("what JSON has no words for is said all the same, and nothing can break the line", () => {
  const { log, lines, last } = logged();
  const circular: Record<string, unknown> = {};
  circular.itself = circular;
  log.info("all sorts", {
    error: new Error("no room", { cause: new TypeError("of {that} kind") }),
    big: 10n,
    set: new Set([1]),
    map: new Map([["a", 1]]),
    bytes: new Uint8Array(3),
    date: new Date(0),
    foreign: "a\nb\u0000{c}",
    circular,
    nothing: undefined,
  });
  expect(lines).toHaveLength(1);
  expect(lines[0]!.indexOf("\n")).toBe(lines[0]!.length - 1);
  expect(last()).toMatchObject({
    level: "info",
    process: "ingress",
    message: "all sorts",
    error: { name: "Error", message: "no room", cause: { message: "of {that} kind" } },
    big: "10",
    set: [1],
    map: { a: 1 },
    bytes: "3 bytes",
    date: "1970-01-01T00:00:00.000Z",
    foreign: "a\nb\u0000{c}",
  });
});

test.each(["json", "pretty"] as const)(
  "what the database was given is not logged (%s)",
  (format) => {
    const { log, lines } = logged({ format });
    const params = [`[{"box":"SCRAM-SHA-256$4096:c2FsdA==$\n    at nowhere"}]`];
    const refused = Object.assign(new Error("canceling statement due to lock timeout"), {
      code: "55P03",
      detail: `Failing row contains (users, ${params[0]}).`,
      parameters: params,
    });
    // As Drizzle makes it.
    const error = Object.assign(
      new Error(`Failed query: select box from t where a = $1\nparams: ${params}`, {
        cause: refused,
      }),
      { query: "select box from t where a = $1", params },
    );
    log.error("request failed", { error });
    log.error("request failed", { error: new TypeError("outside", { cause: error }) });
    const text = lines.join("");
    expect(text).toContain("lock timeout");
    expect(text).toContain("55P03");
    expect(text).toContain("outside");
    expect(text).toContain("log.test.ts");
    expect(text).not.toContain("SCRAM");
    expect(text).not.toContain("select box");
  },
);

test("fields that cannot be read are told of, not thrown at who logs", () => {
  const { log, last } = logged();
  const fields = {
    get broken(): string {
      throw new Error("not now");
    },
  };
  log.with({ part: "spool" }).warning("odd", { nested: fields });
  expect(last()).toMatchObject({ message: "odd", unloggable: "Error: not now" });
});

test("fields given once are in every line, and later ones win", () => {
  const { log, last } = logged();
  const child = log.with({ relay: "default", attempt: 1 }).with({ attempt: 2 });
  child.error("failed", { host: "mx.example.test" });
  expect(last()).toMatchObject({ relay: "default", attempt: 2, host: "mx.example.test" });
  child.debug("without more");
  expect(last()).toMatchObject({ level: "debug", relay: "default", attempt: 2 });
});

test("what is below the level is not written", () => {
  const { log, lines } = logged({ level: "warning" });
  log.debug("no");
  log.info("no");
  log.with({}).info("no");
  log.warning("yes");
  log.error("yes");
  expect(lines).toHaveLength(2);
});

test("for people: time, level, process, words and fields", () => {
  const { log, lines } = logged({ format: "pretty" });
  log.info("message {received}", { id: "0199", size: 4096 });
  expect(lines[0]).toMatch(
    /\d\d:\d\d:\d\d.*info.*ingress.*message \{received\}\n.*id: '?0199'?\n.*size: 4096\n/,
  );
});
