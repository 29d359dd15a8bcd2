/**
 * The environment variables of every Postern process: one zod schema for what they may be, and
 * one sentence for each that is wrong. Reads nothing by itself: the variables and the machine are
 * handed in. Knows no log, no signal and no database.
 */
import { isIP, isIPv6 } from "node:net";
import { z } from "zod";

/** One address that the ingress listens on. */
export interface SmtpListener {
  /** `smtp` is for mail hosts (MX), `submission` wants AUTH, `smtps` is submission in implicit TLS. */
  readonly kind: "smtp" | "submission" | "smtps";
  /** A name or an address; IPv6 without brackets. */
  readonly host: string;
  /** 0 leaves the choice to the operating system. */
  readonly port: number;
  /**
   * Networks in CIDR notation whose connections begin with a PROXY protocol preamble; absent where
   * none does.
   */
  readonly proxies?: readonly string[];
  /** As it was written, without its proxies: `smtp://0.0.0.0:2525`. */
  readonly url: string;
}

/** What the environment variables say, parsed. */
export interface Environment {
  /** Unset: the gateway runs an embedded Postgres. */
  readonly databaseUrl: string | undefined;
  readonly dataDir: string;
  /** The name in the greeting, in EHLO and in Received. */
  readonly hostname: string;
  readonly smtpListen: readonly SmtpListener[];
  readonly adminListen: { readonly host: string; readonly port: number };
  readonly adminToken: string | undefined;
  /** The 32 bytes that seal the secrets of the configuration. */
  readonly secretKey: Uint8Array<ArrayBuffer> | undefined;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly logLevel: "debug" | "info" | "warning" | "error";
  readonly logFormat: "pretty" | "json";
}

/** What the defaults depend on. */
export interface Machine {
  hostname(): string;
  /** Whether somebody reads the log on a terminal. */
  readonly terminal: boolean;
}

/** The environment, or every problem with it, each a sentence that names its variable. */
export type EnvironmentResult =
  | { readonly ok: true; readonly environment: Environment }
  | { readonly ok: false; readonly problems: string[] };

/** The bytes of POSTERN_SECRET_KEY. */
export const SECRET_KEY_BYTES = 32;

const LOG_LEVELS = ["debug", "info", "warning", "error"] as const;
const LOG_FORMATS = ["pretty", "json"] as const;
const LISTEN_EXPECTED = "a space-separated list of smtp://HOST:PORT, submission://HOST:PORT and " +
  "smtps://HOST:PORT, with an IPv6 address in brackets, the first two perhaps with ?proxy=NETWORK,… behind";
const DOMAIN =
  /^(?=.{1,255}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$/i;

/** The start of each problem; the value of a secret is never repeated. */
function wrong(name: string, value: unknown, expected: string): string {
  return `${name} is ${JSON.stringify(value)}, expected ${expected}`;
}

/** Splits `host:port`; undefined if it is not that. */
function parseHostPort(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^\s:/[\]@?#]+)):(\d{1,5})$/.exec(text);
  if (match === null) return undefined;
  const [, bracketed, plain, digits] = match;
  const host = bracketed ?? plain ?? "";
  const port = Number(digits);
  if (port > 65535 || (bracketed !== undefined && !isIPv6(bracketed))) return undefined;
  return { host, port };
}

function parseListener(text: string): SmtpListener | undefined {
  const match = /^((smtp|submission|smtps):\/\/([^?]+))(?:\?proxy=([^&]+))?$/.exec(text);
  const [, url = "", kind, hostPort = "", proxy] = match ?? [];
  const address = parseHostPort(hostPort);
  const proxies = proxy?.split(",").map(parseNetwork);
  if (address === undefined || proxies?.includes(undefined)) return undefined;
  // The preamble comes in clear, before the handshake that nobody could begin then.
  if (kind === "smtps" && proxies !== undefined) return undefined;
  return {
    kind: kind as SmtpListener["kind"],
    ...address,
    ...(proxies === undefined ? {} : { proxies: proxies as string[] }),
    url,
  };
}

/** An address or a network, in CIDR notation; undefined for anything else. */
function parseNetwork(text: string): string | undefined {
  const match = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(text);
  const bits = { 0: -1, 4: 32, 6: 128 }[isIP(match?.[1] ?? "")] ?? -1;
  const length = match?.[2] === undefined ? bits : Number(match[2]);
  return length < 0 || length > bits ? undefined : `${match![1]}/${length}`;
}

const listeners = z.string().default("smtp://0.0.0.0:2525").transform((value, context) => {
  const parsed: SmtpListener[] = [];
  const seen = new Set<string>();
  for (const url of value.split(/\s+/).filter((part) => part !== "")) {
    const listener = parseListener(url);
    if (listener === undefined) {
      context.addIssue(wrong("POSTERN_SMTP_LISTEN", url, LISTEN_EXPECTED));
      continue;
    }
    const address = `${listener.host} ${listener.port}`;
    if (listener.port !== 0 && seen.has(address)) {
      context.addIssue(wrong("POSTERN_SMTP_LISTEN", value, "each host and port only once"));
    }
    seen.add(address);
    parsed.push(listener);
  }
  if (parsed.length === 0 && context.issues.length === 0) {
    context.addIssue(wrong("POSTERN_SMTP_LISTEN", value, LISTEN_EXPECTED));
  }
  return parsed;
});

const adminAddress = z.string().default("127.0.0.1:8025").transform((value, context) => {
  const address = parseHostPort(value);
  if (address !== undefined) return address;
  context.addIssue(
    wrong("POSTERN_ADMIN_LISTEN", value, "HOST:PORT, with an IPv6 address in brackets"),
  );
  return z.NEVER;
});

/** Whether the driver can read it; it takes several hosts, which are no URL, and says a bad one in full. */
function isDatabaseUrl(value: string): boolean {
  const withOneHost = value.replace(/(\/\/(?:[^@/?]*@)?[^@/?,]*),[^@/?]*/, "$1");
  return /^postgres(ql)?:\/\/\S+$/.test(value) && URL.canParse(withOneHost);
}

/** A path that goes into a list of Deno's permissions, where a comma cannot be written. */
function path(name: string) {
  return z.string().refine((value) => !value.includes(","), {
    error: (issue) => wrong(name, issue.input, "a path without a comma"),
  });
}

const schema = z.object({
  DATABASE_URL: z.string().refine(isDatabaseUrl, {
    error: "DATABASE_URL is not the address of a Postgres database, expected " +
      "postgres://USER:PASSWORD@HOST:PORT/DATABASE, in a password / as %2F, # as %23 and so on " +
      "(its value is not shown: it may hold a password)",
  }).optional(),
  POSTERN_DATA_DIR: path("POSTERN_DATA_DIR").default("./.postern"),
  POSTERN_HOSTNAME: z.string().regex(DOMAIN, {
    error: (issue) =>
      wrong("POSTERN_HOSTNAME", issue.input, "a domain name, such as mail.example.com"),
  }).optional(),
  POSTERN_SMTP_LISTEN: listeners,
  POSTERN_ADMIN_LISTEN: adminAddress,
  POSTERN_ADMIN_TOKEN: z.string().regex(/^[A-Za-z0-9._~+/-]+=*$/, {
    error: "POSTERN_ADMIN_TOKEN holds a character that a bearer token cannot have, expected " +
      "letters, digits and . _ ~ + / - = (its value is not shown)",
  }).optional(),
  POSTERN_SECRET_KEY: z.string().regex(/^[A-Za-z0-9+/]{43}=$/, {
    error: `POSTERN_SECRET_KEY is not ${SECRET_KEY_BYTES} bytes in Base64, such as ` +
      "`openssl rand -base64 32` makes (its value is not shown)",
  }).transform((text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0)))
    .optional(),
  POSTERN_TLS_CERT_FILE: path("POSTERN_TLS_CERT_FILE").optional(),
  POSTERN_TLS_KEY_FILE: path("POSTERN_TLS_KEY_FILE").optional(),
  POSTERN_LOG_LEVEL: z.enum(LOG_LEVELS, {
    error: (issue) => wrong("POSTERN_LOG_LEVEL", issue.input, `one of ${LOG_LEVELS.join(", ")}`),
  }).default("info"),
  POSTERN_LOG_FORMAT: z.enum(LOG_FORMATS, {
    error: (issue) => wrong("POSTERN_LOG_FORMAT", issue.input, `one of ${LOG_FORMATS.join(", ")}`),
  }).optional(),
});

const KNOWN = Object.keys(schema.shape);

/** Set by the gateway for the processes that it starts; not for people. */
export const SUPERVISED_VARIABLE = "POSTERN_SUPERVISED";

/** What is no setting of a process: set by the gateway, or for the command line in the same shell. */
const OTHERS = [SUPERVISED_VARIABLE, "POSTERN_URL", "POSTERN_TOKEN"];

/** The number of single-character edits between two names (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The variable that was probably meant: the last word counts most, then the spelling. */
function closestKnown(name: string): string {
  const lastWord = name.slice(name.lastIndexOf("_"));
  const ranked = KNOWN.filter((known) => known.startsWith("POSTERN_"))
    .map((known) => ({
      known,
      distance: editDistance(name, known) - (known.endsWith(lastWord) ? name.length : 0),
    }))
    .sort((a, b) => a.distance - b.distance);
  return ranked[0]?.known ?? "";
}

/**
 * Reads the environment variables; an empty one counts as unset. All problems are reported at
 * once, so that nobody has to start a process five times to find five mistakes.
 */
export function readEnvironment(
  env: Record<string, string | undefined>,
  machine: Machine,
): EnvironmentResult {
  const set = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ""),
  );
  const problems = Object.keys(set)
    .filter((name) => name.startsWith("POSTERN_"))
    .filter((name) => !KNOWN.includes(name) && !OTHERS.includes(name))
    .map((name) =>
      `${name} is set, but there is no such variable (its value is not shown): ` +
      `is ${closestKnown(name)} meant?`
    );
  const parsed = schema.safeParse(set);
  if (!parsed.success) problems.push(...parsed.error.issues.map((issue) => issue.message));

  const certFile = set["POSTERN_TLS_CERT_FILE"];
  const keyFile = set["POSTERN_TLS_KEY_FILE"];
  if (certFile !== undefined && keyFile === undefined) {
    problems.push(
      wrong("POSTERN_TLS_CERT_FILE", certFile, "POSTERN_TLS_KEY_FILE beside it, which is unset"),
    );
  }
  if (keyFile !== undefined && certFile === undefined) {
    problems.push(
      wrong("POSTERN_TLS_KEY_FILE", keyFile, "POSTERN_TLS_CERT_FILE beside it, which is unset"),
    );
  }
  const hostname = set["POSTERN_HOSTNAME"] ?? machine.hostname();
  if (set["POSTERN_HOSTNAME"] === undefined && !DOMAIN.test(hostname)) {
    problems.push(
      `POSTERN_HOSTNAME is unset and the machine's name is ${JSON.stringify(hostname)}, ` +
        `expected a domain name, such as mail.example.com`,
    );
  }
  if (!parsed.success || problems.length > 0) return { ok: false, problems };

  const values = parsed.data;
  return {
    ok: true,
    environment: {
      databaseUrl: values.DATABASE_URL,
      dataDir: values.POSTERN_DATA_DIR,
      hostname,
      smtpListen: values.POSTERN_SMTP_LISTEN,
      adminListen: values.POSTERN_ADMIN_LISTEN,
      adminToken: values.POSTERN_ADMIN_TOKEN,
      secretKey: values.POSTERN_SECRET_KEY,
      tls: certFile !== undefined && keyFile !== undefined ? { certFile, keyFile } : undefined,
      logLevel: values.POSTERN_LOG_LEVEL,
      logFormat: values.POSTERN_LOG_FORMAT ?? (machine.terminal ? "pretty" : "json"),
    },
  };
}
