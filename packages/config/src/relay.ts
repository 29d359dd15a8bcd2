/**
 * A relay: a named definition of where deliveries go next. Its kind says how the next hop is
 * found and spoken to.
 */
import { z } from "zod";
import { destinationLimitsSchema } from "./limits.ts";
import {
  domainName,
  host,
  plainText,
  port,
  resourceName,
  seconds,
  sha256InHex,
  webAddress,
} from "./names.ts";
import { secretSchema } from "./secret.ts";

/** When a deferred recipient is tried again, and when it is given up. */
export const retrySchedule = z
  .strictObject({
    delays: z
      .array(seconds)
      .min(1)
      .max(100)
      .meta({
        description:
          "Seconds to wait after the first, second, … failed attempt; the last one repeats",
      }),
    lifetime: seconds.meta({
      description: "Seconds after which a recipient still deferred bounces",
    }),
    delayNotice: z.union([seconds, z.literal(false)]).optional().meta({
      description: "Seconds after which the sender hears of the delay, once; 4 hours when absent",
    }),
  })
  .meta({ id: "RetrySchedule" });

/** @see retrySchedule */
export type RetrySchedule = z.output<typeof retrySchedule>;

/** Retries of RFC 5321 §4.5.4.1: soon at first, then hourly, given up after five days. */
export const defaultRetrySchedule: RetrySchedule = {
  delays: [60, 300, 900, 1800, 3600],
  lifetime: 5 * 24 * 3600,
  delayNotice: 4 * 3600,
};

const fingerprint = sha256InHex("expected a SHA-256 fingerprint in hex").meta({
  type: "string",
  description: "SHA-256 of the certificate (DER), in hex",
});

/** How a next hop is spoken to in TLS. */
export const tlsPolicySchema = z
  .discriminatedUnion("policy", [
    z.strictObject({ policy: z.literal("none") }),
    z.strictObject({ policy: z.literal("may") }),
    z.strictObject({ policy: z.literal("encrypt"), implicit: z.boolean().default(false) }),
    z.strictObject({
      policy: z.literal("verify"),
      implicit: z.boolean().default(false),
      serverName: domainName.optional().meta({
        description: "The name its certificate must have; its host name when absent",
      }),
      certificateAuthority: plainText.max(1_000_000).optional().meta({
        description: "Certificates to trust in PEM; the system's when absent",
      }),
    }),
    z.strictObject({
      policy: z.literal("fingerprint"),
      implicit: z.boolean().default(false),
      fingerprints: z.array(fingerprint).min(1).max(100),
    }),
  ])
  .meta({
    id: "TlsPolicy",
    description: "none: never; may: where offered, in clear after a failed handshake; encrypt: " +
      "always, whatever the certificate; verify and fingerprint: always, with that certificate. " +
      "implicit: TLS from the first byte, without STARTTLS",
  });

/** @see tlsPolicySchema */
export type TlsPolicy = z.output<typeof tlsPolicySchema>;

/** A secret that a next hop is told; a line end comes from the file that it was read from. */
const credential = secretSchema.refine(
  (secret) => typeof secret !== "string" || !/[\r\n]/.test(secret),
  { error: "expected one line" },
);

/** How the gateway shows a next hop who it is. */
export const credentialsSchema = z
  .union([
    z.strictObject({
      username: plainText.min(1).max(255),
      password: credential,
    }),
    z.strictObject({
      username: plainText.min(1).max(255),
      oauth2: z.strictObject({
        tokenUrl: webAddress,
        clientId: plainText.min(1).max(255),
        clientSecret: credential,
        scope: plainText.max(1000).optional(),
        refreshToken: credential.optional().meta({
          description: "Given: the refresh token grant; else the client credentials grant",
        }),
      }),
    }),
  ], { error: "expected username with password, or username with oauth2" })
  .meta({ id: "Credentials" });

/** @see credentialsSchema */
export type Credentials = z.output<typeof credentialsSchema>;

const common = {
  limits: destinationLimitsSchema.optional(),
  retry: retrySchedule.optional(),
};

/** How long a next hop may take over its answers. */
export const timeoutsSchema = z
  .strictObject({
    connect: seconds.default(30).meta({ description: "For the connection to come about" }),
    command: seconds.default(300).meta({
      description: "For the greeting, the TLS handshake and the reply to each command",
    }),
    content: seconds.default(180).meta({ description: "For a piece of content to be taken" }),
    final: seconds.default(600).meta({
      description: "For the reply to the end of the content. Too short, and mail arrives twice",
    }),
  })
  .meta({ id: "Timeouts", description: "Seconds; the defaults are those of RFC 5321 §4.5.3.2" });

/** @see timeoutsSchema */
export type Timeouts = z.output<typeof timeoutsSchema>;

const smtpCommon = {
  tls: tlsPolicySchema.default({ policy: "may" }),
  ehloName: domainName.optional().meta({ description: "The gateway's host name when absent" }),
  sourceAddress: z.union([z.ipv4(), z.ipv6()]).optional().meta({
    description: "The local address to connect from",
  }),
  timeouts: timeoutsSchema.optional(),
  senderRewriting: z
    .strictObject({
      domain: domainName.meta({ description: "The domain of rewritten reverse-paths (SRS)" }),
    })
    .optional()
    .meta({ description: "Rewrite reverse-paths of domains that are not ours (SRS)" }),
  ...common,
};

const hosts = z
  .array(z.strictObject({
    host,
    port: port.default(25),
    priority: z.int().min(0).max(65535).optional().meta({
      description: "Lower is tried first; the place in the list when absent",
    }),
    weight: z.int().min(1).max(65535).default(1).meta({
      description: "The share among hosts of the same priority",
    }),
  }))
  .min(1)
  .max(100)
  .meta({ description: "Tried by priority, then at random by weight, until one takes it" });

const mxRelay = z.strictObject({
  kind: z.literal("mx"),
  port: port.default(25).meta({ description: "The port of every mail host found by MX lookup" }),
  ...smtpCommon,
});

const smtpRelay = z.strictObject({
  kind: z.literal("smtp"),
  hosts,
  credentials: credentialsSchema.optional(),
  ...smtpCommon,
});

const lmtpRelay = z.strictObject({
  kind: z.literal("lmtp"),
  hosts,
  credentials: credentialsSchema.optional(),
  ...smtpCommon,
});

const httpRelay = z.strictObject({
  kind: z.literal("http"),
  url: webAddress,
  secret: secretSchema.optional().meta({ description: "The key that requests are signed with" }),
  timeout: seconds.default(60),
  ...common,
});

const captureRelay = z.strictObject({ kind: z.literal("capture") });

const discardRelay = z.strictObject({ kind: z.literal("discard") });

/** The reply of a relay or a rule that refuses. */
export const refusalSchema = {
  code: z.int().min(500).max(599).default(550),
  enhanced: z.string().regex(/^5\.\d{1,3}\.\d{1,3}$/, { error: "expected 5.y.z" }).default("5.7.1"),
  // deno-lint-ignore no-control-regex
  text: plainText.min(1).max(400).regex(/^[^\x00-\x1f\x7f]*$/, { error: "expected one line" })
    .default("Refused by policy"),
};

const rejectRelay = z.strictObject({ kind: z.literal("reject"), ...refusalSchema });

const splitRelay = z.strictObject({
  kind: z.literal("split"),
  relays: z
    .array(z.strictObject({ relay: resourceName, percent: z.number().min(0).max(100) }))
    .min(2)
    .max(2)
    .refine(
      (parts) => Math.abs(parts.reduce((sum, { percent }) => sum + percent, 0) - 100) < 1e-6,
      {
        error: "the percentages do not add up to 100",
      },
    )
    .meta({ description: "A recipient always goes to the same one of the two" }),
});

/**
 * The definition of a relay: `mx` (the mail hosts of each recipient's domain), `smtp` (these
 * hosts), `lmtp` (these hosts, by LMTP), `http` (a POST for each message), `capture` (kept in
 * Postgres for looking at), `discard` (accepted and dropped), `reject` (refused), `split` (a share
 * of the recipients to each of two relays).
 */
export const relaySchema = z
  .discriminatedUnion("kind", [
    mxRelay,
    smtpRelay,
    lmtpRelay,
    httpRelay,
    captureRelay,
    discardRelay,
    rejectRelay,
    splitRelay,
  ])
  .meta({
    id: "Relay",
    examples: [{ kind: "smtp", hosts: [{ host: "10.0.0.5", port: 25 }] }],
  });

/** @see relaySchema */
export type Relay = z.output<typeof relaySchema>;

/** The relay for what has no domain of ours. */
export const DEFAULT_RELAY = "default";
