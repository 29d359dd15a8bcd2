/** What deliveries need, for tests without a database: a clock that stands, names that are given. */
import { domainSchema, type Relay, relaySchema, settingsSchema } from "@postern/config";
import type { Resolver } from "@postern/dns";
import { compile } from "@postern/routing";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import { createHmac } from "node:crypto";
import { AccessTokens } from "../access-tokens.ts";
import type { Delivering } from "../delivering.ts";
import { HostMemory } from "../host-memory.ts";

/** A `Delivering` whose clock a test moves. */
export interface TestDelivering extends Delivering {
  time: number;
  /** What was logged. */
  readonly logged: string[];
  /** Contents that are too large to travel with their delivery. */
  readonly stored: Map<string, readonly Uint8Array[]>;
}

/** Makes one; `hosts` are the names that can be found. */
export function testDelivering(
  { hosts = {}, domains = [], relays = {}, postmaster }: {
    readonly hosts?: Readonly<Record<string, readonly string[]>>;
    /** Their names, or names with more. */
    readonly domains?: readonly (string | readonly [name: string, domain: object])[];
    readonly relays?: Readonly<Record<string, Relay>>;
    readonly postmaster?: string;
  } = {},
): TestDelivering {
  const logged: string[] = [];
  const stored = new Map<string, readonly Uint8Array[]>();
  const log = (text: string) => void logged.push(text);
  const openSecret = (secret: unknown) => Promise.resolve(String(secret));
  const now = () => new Date(delivering.time);
  const snapshot = compile({
    version: 1,
    relays: new Map(Object.entries(relays)),
    clients: new Map(),
    users: new Map(),
    rules: new Map(),
    settings: new Map(
      postmaster === undefined ? [] : [["gateway", settingsSchema.parse({ postmaster })]],
    ),
    domains: new Map(domains.map((one) => {
      const [name, domain] = typeof one === "string" ? [one, {}] : one;
      return [name, domainSchema.parse({ relay: "default", ...domain })];
    })),
  } as never);
  const resolver: Resolver = {
    query: () => Promise.resolve({ status: "noName" } as never),
  } as never;
  const delivering: TestDelivering = {
    time: Date.parse("2026-01-01T00:00:00Z"),
    logged,
    stored,
    hostname: "gateway.test",
    queue: {
      async *readContent(id: string) {
        // As the store does: each reader gets pieces of its own.
        for (const piece of stored.get(id) ?? []) yield piece.slice();
      },
    } as never,
    recorder: undefined as never,
    lease: { holds: () => true, confirmed: () => Promise.resolve(true) },
    snapshot: () => snapshot,
    resolver,
    hosts: new Map(Object.entries(hosts)),
    log: { debug: log, info: log, warning: log, error: log } as never,
    now,
    random: () => 0,
    newQueueId: () => crypto.randomUUID(),
    memory: new HostMemory(now),
    openSecret,
    tokens: new AccessTokens({ now, openSecret }),
    signSender: (text) => createHmac("sha256", "key").update(text).digest(),
  };
  return delivering;
}

/** A relay as the configuration has it. */
export function relayOf<K extends Relay["kind"]>(
  definition: { kind: K } & Record<string, unknown>,
): Extract<Relay, { kind: K }> {
  return relaySchema.parse(definition) as Extract<Relay, { kind: K }>;
}

/** A delivery with these recipients: addresses, or addresses with more. */
export function deliveryOf(
  recipients: readonly (string | Partial<ClaimedRecipient>)[],
  { text = "Subject: test\r\n\r\nHello\r\n", ...more }: Partial<ClaimedDelivery> & {
    readonly text?: string;
  } = {},
): ClaimedDelivery {
  const content = new TextEncoder().encode(text);
  const receivedAt = new Date("2026-01-01T00:00:00Z");
  return {
    messageId: "01a20000-0000-7000-8000-000000000000",
    destinationId: 1,
    destination: { relay: "relay", nextHop: "" },
    attempts: 0,
    receivedAt,
    lifetimeFrom: receivedAt,
    reversePath: "sender@example.org",
    parameters: {},
    size: content.length,
    configurationVersion: 1,
    content,
    ...more,
    recipients: recipients.map((recipient, ordinal) => ({
      ordinal,
      forwardPath: "nobody@example.com",
      parameters: {},
      acceptedAs: null,
      treatment: {},
      delayReported: false,
      lastReply: null,
      ...(typeof recipient === "string" ? { forwardPath: recipient } : recipient),
    })),
  };
}
