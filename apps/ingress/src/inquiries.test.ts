import {
  clientSchema,
  domainSchema,
  relaySchema,
  settingsSchema,
  userSchema,
} from "@postern/config";
import { compile } from "@postern/routing";
import { expect, test } from "vitest";
import { Authenticator } from "./authenticator.ts";
import { expand, startQueue, verify } from "./inquiries.ts";
import { proxied } from "./forwarded-identity.ts";
import type { RecipientChecks } from "./recipient-checks.ts";
import type { SessionFacts } from "./session-facts.ts";
import { listenerOptions, sessionOptions } from "./session-options.ts";

const certificate = "ab".repeat(32);
const snapshot = compile({
  version: 1,
  relays: new Map([
    ["internal", relaySchema.parse({ kind: "smtp", hosts: [{ host: "10.0.0.5" }] })],
    ["lookup", relaySchema.parse({ kind: "mx" })],
  ]),
  domains: new Map([
    [
      "listed.test",
      domainSchema.parse({
        relay: "internal",
        recipients: { verify: "list" },
        aliases: { team: ["anna@listed.test", "bert@elsewhere.test"] },
      }),
    ],
    ["a.mx.test", domainSchema.parse({ relay: "lookup" })],
    ["b.mx.test", domainSchema.parse({ relay: "lookup" })],
    ["*.wild.test", domainSchema.parse({ relay: "lookup" })],
  ]),
  clients: new Map([
    [
      "lan",
      clientSchema.parse({ networks: ["10.0.0.0/8"], trust: ["vrfy", "etrn"] }),
    ],
    [
      "proxy",
      clientSchema.parse({ networks: ["10.1.0.0/16"], trust: ["xclient", "xforward"] }),
    ],
    [
      "shown",
      clientSchema.parse({
        certificates: [certificate],
        trust: ["expn", "auth"],
        limits: { messageSize: 1000, recipients: 7 },
      }),
    ],
  ]),
  users: new Map([["anna", userSchema.parse({ limits: { messageSize: 500 } })]]),
  rules: new Map(),
  settings: new Map([[
    "gateway",
    settingsSchema.parse({
      smtp: {
        messageSize: 100_000,
        lineLength: 2000,
        lineEnds: "normalise",
        errorsPerSession: 5,
        messagesPerSession: 6,
        receivedFields: 30,
        tarpit: { afterErrors: 2, seconds: 3 },
      },
    }),
  ]]),
});

const facts: SessionFacts = {
  address: "10.0.0.1",
  port: 4321,
  listener: "smtp://0.0.0.0:25",
  verb: "EHLO",
  helo: "client.test",
};
const stranger = { ...facts, address: "192.0.2.1" };
const known = new Set(["anna@listed.test"]);
const recipientChecks = {
  ask: (_: unknown, { address }: { address: string }) => Promise.resolve(known.has(address)),
};
const ingress = {
  snapshot,
  hostname: "gateway.test",
  now: () => new Date(0),
  authenticator: new Authenticator({ secret: new Uint8Array(32), now: () => new Date(0) }),
  recipientChecks: recipientChecks as unknown as RecipientChecks,
};

test.each([
  ["anna@listed.test", 250, "<anna@listed.test>"],
  ["<anna@listed.test>", 250, "<anna@listed.test>"],
  ["nobody@listed.test", 550, "<nobody@listed.test>: "],
  ["x@elsewhere.test", 250, "<x@elsewhere.test>"],
  ["anna", 553, "An address is needed"],
  ["@", 553, "An address is needed"],
  ["<a@b.test", 553, "An address is needed"],
])("VRFY %s by a client", async (argument, code, text) => {
  const { code: answered, lines } = await verify(ingress, facts, argument);
  expect([answered, lines[0]!.slice(0, text.length)]).toEqual([code, text]);
});

test("VRFY tells what RCPT would be answered: strangers may not relay", async () => {
  expect(await verify(ingress, stranger, "x@elsewhere.test")).toMatchObject({ code: 550 });
});

test("EXPN tells who is behind an alias", async () => {
  expect(await expand(ingress, facts, "team@listed.test")).toEqual({
    code: 250,
    enhanced: "2.1.5",
    lines: ["<anna@listed.test>", "<bert@elsewhere.test>"],
  });
  expect(await expand(ingress, facts, "nobody@listed.test")).toMatchObject({ code: 550 });
});

test("ETRN makes due what waits for domains of ours", async () => {
  const flushed: unknown[] = [];
  const flush = (destination: object) => Promise.resolve(flushed.push(destination));
  const etrn = (scope: "domain" | "subtree" | "queue", name: string) =>
    startQueue({ snapshot, flush }, { scope, name });
  expect(await etrn("domain", "listed.test")).toMatchObject({
    code: 253,
    lines: ["1 pending messages for <listed.test> started"],
  });
  expect(flushed).toEqual([{ relay: "internal", nextHop: "" }]);
  flushed.length = 0;
  expect(await etrn("subtree", "MX.test")).toMatchObject({ code: 253 });
  expect(flushed).toEqual([{ relay: "lookup", nextHop: "a.mx.test" }, {
    relay: "lookup",
    nextHop: "b.mx.test",
  }]);
  expect(await etrn("domain", "one.wild.test")).toMatchObject({ code: 253 });
  expect(await etrn("domain", "elsewhere.test")).toMatchObject({ code: 459 });
  expect(await etrn("queue", "x")).toMatchObject({ code: 459 });
  const none = { snapshot, flush: () => Promise.resolve(undefined) };
  expect(await startQueue(none, { scope: "domain", name: "listed.test" })).toMatchObject({
    code: 251,
  });
  const away = { snapshot, flush: () => Promise.reject(new Error("away")) };
  expect(await startQueue(away, { scope: "domain", name: "listed.test" })).toMatchObject({
    code: 458,
  });
});

test("settings, client and user make a session's limits", () => {
  expect(sessionOptions(ingress, stranger)).toMatchObject({
    limits: {
      messageSize: 100_000,
      recipients: 1000,
      contentLine: 2000,
      errors: 5,
      transactions: 6,
      receivedFields: 30,
    },
    lineEnds: "normalise",
    tarpit: { afterErrors: 2, seconds: 3 },
    sourceRoutes: "honour",
    localNames: [],
  });
  const tls = { protocol: "TLSv1.3", cipher: "", peerFingerprint: certificate };
  expect(sessionOptions(ingress, { ...stranger, tls }).limits)
    .toMatchObject({ messageSize: 1000, recipients: 7 });
  expect(sessionOptions(ingress, { ...stranger, tls, user: "anna" }).limits)
    .toMatchObject({ messageSize: 500, recipients: 7 });
});

test("only who submits has mail held, or has it go before that of others", () => {
  const extensions = (of: SessionFacts) => sessionOptions(ingress, of).extensions;
  expect(extensions(stranger)).toEqual({
    futureRelease: false,
    mtPriority: { profile: "", highest: 0 },
  });
  for (
    const one of [
      facts,
      { ...stranger, user: "anna" },
      { ...stranger, listener: "submission://0.0.0.0:587", user: "anna" },
    ]
  ) {
    expect(extensions(one)).toEqual({
      futureRelease: { maximumSeconds: 604_800, latest: "1970-01-08T00:00:00Z" },
      mtPriority: { profile: "" },
    });
  }
});

test("trust is the client's; who speaks by XCLIENT stays the same", () => {
  const no = {
    vrfy: false,
    expn: false,
    etrn: false,
    xclient: false,
    xforward: false,
    authParameter: false,
  };
  expect(sessionOptions(ingress, stranger).trust).toEqual(no);
  expect(sessionOptions(ingress, facts).trust).toEqual({ ...no, vrfy: true, etrn: true });
  const tls = { protocol: "TLSv1.3", cipher: "", peerFingerprint: certificate };
  expect(sessionOptions(ingress, { ...stranger, tls }).trust)
    .toEqual({ ...no, expn: true, authParameter: true });
  expect(sessionOptions(ingress, { ...stranger, speaker: "10.1.0.1" }).trust)
    .toEqual({ ...no, xclient: true, xforward: true });
  expect(sessionOptions(ingress, { ...facts, address: "10.1.0.1", speaker: "192.0.2.1" }).trust)
    .toEqual(no);
});

test("whoever comes through a proxy has nothing of its trust", () => {
  const source = { address: stranger.address, port: 25 };
  const { trust } = sessionOptions(
    ingress,
    proxied({ ...facts, address: "10.1.0.1" }, { type: "proxied", source }),
  );
  expect(trust).toEqual(sessionOptions(ingress, stranger).trust);
  expect(trust).toMatchObject({ xclient: false, xforward: false });
});

test("users submit by TLS and AUTH, unless XCLIENT names them", () => {
  expect(listenerOptions("smtp")).toEqual({});
  for (const kind of ["submission", "smtps"] as const) {
    expect(listenerOptions(kind)).toEqual({
      flavour: "submission",
      tlsRequired: true,
      authRequired: true,
    });
  }
  const submitting = { ...stranger, listener: "submission://0.0.0.0:587" };
  const named = { ...submitting, speaker: "10.1.0.1", user: "anna" };
  expect(sessionOptions(ingress, named)).toMatchObject({ authRequired: false });
  const { user: _, ...takenBack } = named;
  for (const one of [takenBack, submitting, { ...submitting, via: "10.1.0.1", user: "anna" }]) {
    expect(sessionOptions(ingress, one)).toMatchObject({ authRequired: true });
  }
  expect(sessionOptions(ingress, stranger)).toMatchObject({ authRequired: false });
});
