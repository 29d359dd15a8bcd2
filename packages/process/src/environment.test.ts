/** The environment as a table: what is set, what comes out, what is said. */
import { describe, expect, test } from "vitest";
import { readEnvironment } from "./environment.ts";

const machine = { hostname: () => "gate.example.com", terminal: false };
const read = (env: Record<string, string | undefined>) => readEnvironment(env, machine);

describe("environment", () => {
  test("nothing set: the documented defaults", () => {
    expect(read({ HOME: "/root", POSTERN_SUPERVISED: "1" })).toEqual({
      ok: true,
      environment: {
        databaseUrl: undefined,
        dataDir: "./.postern",
        hostname: "gate.example.com",
        smtpListen: [{ kind: "smtp", host: "0.0.0.0", port: 2525, url: "smtp://0.0.0.0:2525" }],
        adminListen: { host: "127.0.0.1", port: 8025 },
        adminToken: undefined,
        secretKey: undefined,
        tls: undefined,
        logLevel: "info",
        logFormat: "json",
      },
    });
  });

  test("listeners behind proxies", () => {
    const result = read({
      POSTERN_SMTP_LISTEN: "smtp://[::]:25?proxy=10.0.0.0/8,192.0.2.1,2001:db8::/32,::1",
    });
    expect(result.ok && result.environment.smtpListen).toEqual([{
      kind: "smtp",
      host: "::",
      port: 25,
      proxies: ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "::1/128"],
      url: "smtp://[::]:25",
    }]);
  });

  test("a terminal gets the pretty log", () => {
    const result = readEnvironment({}, { ...machine, terminal: true });
    expect(result.ok && result.environment.logFormat).toBe("pretty");
  });

  test("the machine's name is not asked for when it is not needed", () => {
    const hostname = () => {
      throw new Error("asked");
    };
    expect(readEnvironment({ POSTERN_HOSTNAME: "a.test" }, { hostname, terminal: false }).ok)
      .toBe(true);
  });

  test("everything set", () => {
    expect(read({
      DATABASE_URL: "postgres://u:p@db:5432/postern",
      POSTERN_DATA_DIR: "/var/lib/postern",
      POSTERN_HOSTNAME: "mx.example.org",
      POSTERN_SMTP_LISTEN: "smtp://[::]:25  submission://localhost:0 smtps://10.0.0.1:465",
      POSTERN_ADMIN_LISTEN: "[::1]:0",
      POSTERN_ADMIN_TOKEN: "s3cret",
      POSTERN_SECRET_KEY: "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
      POSTERN_TLS_CERT_FILE: "c.pem",
      POSTERN_TLS_KEY_FILE: "k.pem",
      POSTERN_LOG_LEVEL: "debug",
      POSTERN_LOG_FORMAT: "pretty",
    })).toEqual({
      ok: true,
      environment: {
        databaseUrl: "postgres://u:p@db:5432/postern",
        dataDir: "/var/lib/postern",
        hostname: "mx.example.org",
        smtpListen: [
          { kind: "smtp", host: "::", port: 25, url: "smtp://[::]:25" },
          { kind: "submission", host: "localhost", port: 0, url: "submission://localhost:0" },
          { kind: "smtps", host: "10.0.0.1", port: 465, url: "smtps://10.0.0.1:465" },
        ],
        adminListen: { host: "::1", port: 0 },
        adminToken: "s3cret",
        secretKey: new Uint8Array(32).fill(7),
        tls: { certFile: "c.pem", keyFile: "k.pem" },
        logLevel: "debug",
        logFormat: "pretty",
      },
    });
  });

  test.each([
    "postgres://u:p%2Fw@a:5432,b:5433/d",
    "postgres://a:5432,b:5433/d",
    "postgres://u:p,w@a:5432/d",
    "postgres://%2Frun%2Fpostgresql/d",
    "postgresql:///d?host=/run/postgresql",
  ])("DATABASE_URL %s", (url) => {
    expect(read({ DATABASE_URL: url })).toMatchObject({
      ok: true,
      environment: { databaseUrl: url },
    });
  });

  test("an empty variable is an unset one", () => {
    expect(read({ DATABASE_URL: "", POSTERN_LOG_LEVEL: "", POSTERN_TLS_KEY_FILE: "" }))
      .toEqual(read({}));
  });

  const refused: [name: string, value: string, says: string][] = [
    ["DATABASE_URL", "mysql://u:hunter2@h/d", "expected postgres://"],
    ["DATABASE_URL", "postgres://u:hunter2/3@h/d", "in a password / as %2F"],
    ["DATABASE_URL", "postgres://u:hunter2#3@h/d", "in a password / as %2F"],
    ["DATABASE_URL", "postgres://u:hunter2@/d?host=/run/postgresql", "expected postgres://"],
    ["POSTERN_HOSTNAME", "not a name", '"not a name", expected a domain name'],
    ["POSTERN_SMTP_LISTEN", "2525", '"2525", expected a space-separated list'],
    ["POSTERN_SMTP_LISTEN", " ", '" ", expected a space-separated list'],
    ["POSTERN_SMTP_LISTEN", "smtp://0.0.0.0", '"smtp://0.0.0.0", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://::1:25", '"smtp://::1:25", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://[1.2.3.4]:25", '"smtp://[1.2.3.4]:25", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://h:65536", '"smtp://h:65536", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?proxy", '"smtp://h:25?proxy", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?proxy=h", '"smtp://h:25?proxy=h", expected'],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?proxy=10.0.0.0/33", "expected"],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?proxy=10.0.0.1,", "expected"],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?tls=no", "expected"],
    ["POSTERN_SMTP_LISTEN", "smtps://h:25?proxy=10.0.0.0/8", "expected"],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25?proxy=::1 smtps://h:25", "each host and port only once"],
    ["POSTERN_SMTP_LISTEN", "smtp://h:25 smtps://h:25", "each host and port only once"],
    ["POSTERN_ADMIN_LISTEN", "8025", '"8025", expected HOST:PORT'],
    ["POSTERN_ADMIN_LISTEN", "http://h:1", '"http://h:1", expected HOST:PORT'],
    ["POSTERN_ADMIN_TOKEN", "two hunter2", "bearer token"],
    ["POSTERN_TLS_CERT_FILE", "c.pem", '"c.pem", expected POSTERN_TLS_KEY_FILE beside it'],
    ["POSTERN_TLS_KEY_FILE", "k.pem", '"k.pem", expected POSTERN_TLS_CERT_FILE beside it'],
    ["POSTERN_LOG_LEVEL", "loud", '"loud", expected one of debug, info, warning, error'],
    ["POSTERN_LOG_FORMAT", "xml", '"xml", expected one of pretty, json'],
    ["POSTERN_SMTP_LISTENER", "x", "is POSTERN_SMTP_LISTEN meant?"],
    ["POSTERN_API_TOKEN", "x", "is POSTERN_ADMIN_TOKEN meant?"],
  ];
  test("a comma in a path is refused", () => {
    const names = ["POSTERN_DATA_DIR", "POSTERN_TLS_CERT_FILE", "POSTERN_TLS_KEY_FILE"];
    expect(read(Object.fromEntries(names.map((name) => [name, "/a,b"])))).toEqual({
      ok: false,
      problems: names.map((name) => `${name} is "/a,b", expected a path without a comma`),
    });
  });

  test.each(refused)("%s=%s is refused", (name, value, says) => {
    const result = read({ [name]: value });
    expect(result.ok).toBe(false);
    const problems = result.ok ? [] : result.problems;
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(name);
    expect(problems[0]).toContain(says);
    expect(problems[0]).not.toContain("hunter2");
  });

  test("what is set for the command line is let pass", () => {
    expect(read({ POSTERN_URL: "http://gateway.test:8025", POSTERN_TOKEN: "x" }).ok).toBe(true);
  });

  test("a machine's name that is no domain name is refused", () => {
    const result = readEnvironment({}, { hostname: () => "my_box", terminal: false });
    expect(!result.ok && result.problems[0]).toContain('the machine\'s name is "my_box"');
  });

  test("all problems at once", () => {
    const result = read({
      POSTERN_LOG_LEVEL: "x",
      POSTERN_ADMIN_LISTEN: "y",
      POSTERN_SMTP_LISTEN: "a b",
      POSTERN_FOO: "z",
    });
    expect(result.ok ? 0 : result.problems.length).toBe(5);
  });
});
