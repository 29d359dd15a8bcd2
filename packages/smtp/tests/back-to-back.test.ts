/**
 * Client and server core wired back to back: any envelope and any content arrive byte for byte, by
 * DATA and by BDAT, with PIPELINING and without, however the bytes are cut.
 */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type {
  ClientCredentials,
  Envelope,
  EnvelopeRecipient,
  MailParameters,
  Notify,
  RcptParameters,
} from "../src/index.ts";
import { deliverAll, joined, type Sending, type WireOptions } from "./back-to-back.wire.ts";

const encoder = new TextEncoder();

const atom = fc.stringMatching(/^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}$/);
const localPart = fc.oneof(
  atom,
  fc.tuple(atom, atom).map(([a, b]) => `${a}.${b}`),
  fc.stringMatching(/^[ @<>,;:().]{1,8}$/).map((text) => `"${text}"`),
  fc.stringMatching(/^[äöüßéλж]{1,6}$/),
);
const domain = fc.oneof(
  fc.stringMatching(/^[a-z0-9]{1,10}(-[a-z0-9]{1,5})?(\.[a-z]{2,6}){1,2}$/),
  fc.constantFrom("[192.0.2.1]", "[IPv6:2001:db8::1]"),
);
const mailbox = fc.tuple(localPart, domain).map(([local, at]) => `${local}@${at}`);
const printable = fc.stringMatching(/^[!-~]{1,20}$/);

const notify: fc.Arbitrary<Notify> = fc.oneof(
  fc.constant<Notify>("NEVER"),
  fc.subarray(["SUCCESS", "FAILURE", "DELAY"] as const, { minLength: 1 }),
);

/** A record with any of its fields left out, as parameters that were not given are. */
function some<T>(fields: { [name in keyof T]-?: fc.Arbitrary<Exclude<T[name], undefined>> }) {
  return fc.record(fields, { requiredKeys: [] }) as unknown as fc.Arbitrary<T>;
}

const rcptParameters = some<RcptParameters>({
  notify,
  originalRecipient: fc.record({ type: fc.constant("rfc822"), address: printable }),
});
const mailParameters = some<Pick<MailParameters, "deliverBy" | "envelopeId" | "priority" | "ret">>({
  ret: fc.constantFrom("FULL", "HDRS"),
  envelopeId: printable,
  priority: fc.integer({ min: -9, max: 9 }),
  deliverBy: fc.record({
    seconds: fc.integer({ min: 1, max: 999_999 }),
    mode: fc.constantFrom("return", "notify"),
    trace: fc.boolean(),
  }),
});

const envelopes: fc.Arbitrary<Envelope> = fc.record({
  reversePath: fc.oneof({ weight: 4, arbitrary: mailbox }, {
    arbitrary: fc.constant(""),
    weight: 1,
  }),
  parameters: mailParameters,
  recipients: fc.array(
    fc.record({ forwardPath: mailbox, parameters: rcptParameters }),
    { minLength: 1, maxLength: 12 },
  ),
});

/** Lines with CRLF, many dots, no bare CR or LF: what DATA can carry. */
const lines = fc.array(
  fc.oneof(
    fc.constantFrom("", ".", "..", ".x", " .", "\t", "a.b.", "\u00e9"),
    fc.stringMatching(/^[ -~]{0,80}$/),
  ),
  { minLength: 1, maxLength: 30 },
).map((all) => encoder.encode(all.map((line) => `${line}\r\n`).join("")));

const anyBytes = fc.uint8Array({ maxLength: 3000 });
const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 8 });

/** Cuts bytes into pieces of these lengths, over and over. */
function cutter(pieces: readonly number[]) {
  let next = 0;
  return (bytes: Uint8Array) => {
    const cut: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const length = pieces[next++ % pieces.length]!;
      cut.push(bytes.slice(at, at + length));
      at += length;
    }
    return cut;
  };
}

function isAscii(text: string): boolean {
  return [...text].every((character) => character.charCodeAt(0) < 128);
}

/** The envelope as the server must have seen it, for the parameters this test gives. */
function plain({ parameters, recipients, reversePath }: Envelope): unknown {
  const { deliverBy, envelopeId, priority, ret } = parameters;
  return {
    reversePath,
    parameters: { deliverBy, envelopeId, priority, ret },
    recipients: recipients.map(({ forwardPath, parameters }: EnvelopeRecipient) => ({
      forwardPath,
      parameters: { notify: parameters.notify, originalRecipient: parameters.originalRecipient },
    })),
  };
}

function sending(envelope: Envelope, content: Uint8Array, piece: number, binary: boolean): Sending {
  const contentForm = binary ? "binary" : content.some((byte) => byte > 127) ? "8bit" : "7bit";
  const pieces = content.length === 0 ? [] : cutter([piece])(content);
  return { transaction: { envelope, contentSize: content.length, contentForm }, content: pieces };
}

describe.each([
  { pipelining: true, chunking: false },
  { pipelining: false, chunking: false },
  { pipelining: true, chunking: true },
  { pipelining: false, chunking: true },
])("pipelining $pipelining, chunking $chunking", ({ pipelining, chunking }) => {
  test("any envelopes and any content arrive byte for byte", () => {
    const messages = fc.array(
      fc.tuple(envelopes, chunking ? anyBytes : lines, fc.integer({ min: 1, max: 500 })),
      { minLength: 1, maxLength: 3 },
    );
    fc.assert(
      fc.property(
        messages,
        lengths,
        fc.integer({ min: 1, max: 400 }),
        fc.integer({ min: 2, max: 6 }),
        (all, pieces, chunkSize, pipelineDepth) => {
          const sendings = all.map(([envelope, content, piece]) =>
            sending(envelope, content, piece, chunking)
          );
          const { outcomes, taken } = deliverAll(sendings, {
            client: { pipelining, preferChunking: chunking, chunkSize, pipelineDepth },
            cut: cutter(pieces),
          });
          expect(outcomes.flatMap(({ recipients }) => recipients.map(({ status }) => status)))
            .toEqual(all.flatMap(([{ recipients }]) => recipients.map(() => "accepted")));
          expect(taken.length).toBe(all.length);
          for (const [at, [envelope, content]] of all.entries()) {
            expect(taken[at]!.verb).toBe(chunking ? "BDAT" : "DATA");
            expect(plain(taken[at]!.envelope)).toEqual(plain(envelope));
            const utf8 = !isAscii(envelope.reversePath) ||
              envelope.recipients.some(({ forwardPath }) => !isAscii(forwardPath));
            expect(taken[at]!.envelope.parameters.smtpUtf8).toBe(utf8 ? true : undefined);
            expect(taken[at]!.content).toEqual(content);
          }
        },
      ),
      { seed: 3030, numRuns: 300 },
    );
  });

  test("refused recipients do not stop the rest", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom("ok", "no", "later"), { minLength: 1, maxLength: 20 }),
        lengths,
        (kinds, pieces) => {
          const recipients = kinds.map((kind, at) => ({
            forwardPath: `${kind}${at}@d.example`,
            parameters: {},
          }));
          const message = sending(
            { reversePath: "", parameters: {}, recipients },
            encoder.encode("Subject: x\r\n\r\n.\r\n"),
            5,
            false,
          );
          const { outcomes, taken } = deliverAll([message], {
            client: { pipelining, preferChunking: chunking, pipelineDepth: 5 },
            server: { limits: { errors: Infinity } },
            cut: cutter(pieces),
            refuse: (question) => {
              if (question.type !== "rcpt") return undefined;
              if (question.forwardPath.address.startsWith("no")) {
                return { code: 550, enhanced: "5.1.1", lines: ["no"] };
              }
              if (question.forwardPath.address.startsWith("later")) {
                return { code: 450, enhanced: "4.2.1", lines: ["later"] };
              }
              return undefined;
            },
          });
          const expected = { ok: "accepted", no: "permanent", later: "transient" };
          expect(outcomes[0]!.recipients.map(({ status }) => status))
            .toEqual(kinds.map((kind) => expected[kind]));
          const accepted = kinds.filter((kind) => kind === "ok").length;
          expect(taken.map(({ envelope }) => envelope.recipients.length))
            .toEqual(accepted === 0 ? [] : [accepted]);
        },
      ),
      { seed: 2920, numRuns: 200 },
    );
  });
});

test("large content crosses in large pieces", () => {
  const line = encoder.encode(`.${"0123456789".repeat(7)}\r\n`);
  const content = joined(Array.from({ length: 30_000 }, () => line));
  const envelope: Envelope = {
    reversePath: "a@b.example",
    parameters: {},
    recipients: [{ forwardPath: "c@d.example", parameters: {} }],
  };
  for (const preferChunking of [false, true]) {
    const message = sending(envelope, content, 65_536, false);
    const { taken } = deliverAll([message], { client: { preferChunking } });
    expect(taken[0]!.content.length).toBe(content.length);
    expect(taken[0]!.content).toEqual(content);
  }
});

describe("LMTP", () => {
  test("each accepted recipient has its own reply", () => {
    const message = sending(
      {
        reversePath: "a@b.example",
        parameters: {},
        recipients: ["a", "b", "c"].map((name) => ({
          forwardPath: `${name}@d.example`,
          parameters: {},
        })),
      },
      encoder.encode("hi\r\n"),
      9,
      false,
    );
    const { outcomes } = deliverAll([message], {
      client: { flavour: "lmtp" },
      server: { flavour: "lmtp" },
    });
    expect(outcomes[0]!.recipients.map(({ status }) => status)).toEqual(
      ["accepted", "accepted", "accepted"],
    );
  });
});

describe("AUTH", () => {
  const bytes = (buffer: Uint8Array) => new Uint8Array(buffer);
  const hmac = (key: Uint8Array, data: Uint8Array | string) =>
    bytes(createHmac("sha256", key).update(data).digest());
  const sha256 = (data: Uint8Array) => bytes(createHash("sha256").update(data).digest());
  const salt = encoder.encode("a salt");
  const iterations = 4096;
  const keysOf = (password: string) => {
    const salted = bytes(pbkdf2Sync(password, salt, iterations, 32, "sha256"));
    return { clientKey: hmac(salted, "Client Key"), serverKey: hmac(salted, "Server Key") };
  };
  const scram: WireOptions["scram"] = {
    proof: ({ authMessage, password }) => {
      const { clientKey, serverKey } = keysOf(password);
      const signature = hmac(sha256(clientKey), authMessage);
      const clientProof = clientKey.map((byte, at) => byte ^ signature[at]!);
      return { clientProof, serverSignature: hmac(serverKey, authMessage) };
    },
    verifier: () => {
      const { clientKey, serverKey } = keysOf("right");
      const nonce = "the+server+nonce+0123";
      return { nonce, salt, iterations, storedKey: sha256(clientKey), serverKey };
    },
    digest: (question) =>
      question.algorithm === "SHA-256" ? sha256(question.data) : hmac(question.key, question.data),
  };
  const nonce = "rOprNGfwEbeRWgbNEkqO";
  const given = (mechanism: "SCRAM-SHA-256" | "PLAIN" | "LOGIN", password: string) => ({
    kind: "password" as const,
    user: "user@example.com",
    password,
    nonce,
    mechanisms: [mechanism],
  });
  const token = (mechanism: "OAUTHBEARER" | "XOAUTH2") => ({
    kind: "token" as const,
    user: "user@example.com",
    token: "t".repeat(700),
    mechanisms: [mechanism],
  });
  const message = sending(
    {
      reversePath: "a@b.example",
      parameters: { auth: "a+b@c.example" },
      recipients: [{ forwardPath: "c@d.example", parameters: {} }],
    },
    encoder.encode("hi\r\n"),
    9,
    false,
  );
  const all = ["PLAIN", "LOGIN", "SCRAM-SHA-256", "OAUTHBEARER", "XOAUTH2"] as const;
  const deliver = (credentials: ClientCredentials) =>
    deliverAll([message], {
      client: { credentials, tlsActive: {} },
      server: {
        flavour: "submission",
        tls: "active",
        auth: { mechanisms: all },
        trust: { authParameter: true },
      },
      scram,
      refuse: (question) => {
        if (question.type !== "auth" || question.credentials.kind !== "password") return undefined;
        return question.credentials.password === "right"
          ? undefined
          : { code: 535, enhanced: "5.7.8", lines: ["wrong"] };
      },
    });

  test.each([
    given("SCRAM-SHA-256", "right"),
    given("PLAIN", "right"),
    given("LOGIN", "right"),
    token("OAUTHBEARER"),
    token("XOAUTH2"),
  ])("$mechanisms lets mail through", (credentials) => {
    const { asked, failure, taken } = deliver(credentials);
    expect(failure).toBeUndefined();
    expect(asked).toContain("auth");
    expect(taken[0]!.envelope.parameters.auth).toBe("a+b@c.example");
  });

  test.each([given("SCRAM-SHA-256", "wrong"), given("PLAIN", "wrong"), given("LOGIN", "wrong")])(
    "$mechanisms with a wrong password lets nothing through",
    (credentials) => {
      const { failure, taken } = deliver(credentials);
      expect(failure).toMatchObject({ kind: "refused", command: "AUTH", reply: { code: 535 } });
      expect(taken).toEqual([]);
    },
  );
});

test("STARTTLS between them", () => {
  const message = sending(
    {
      reversePath: "a@b.example",
      parameters: { requireTls: true },
      recipients: [{ forwardPath: "c@d.example", parameters: {} }],
    },
    encoder.encode("hi\r\n"),
    9,
    false,
  );
  const { outcomes, taken } = deliverAll([message], {
    client: { tls: "require" },
    server: { tls: "available" },
  });
  expect(outcomes[0]!.recipients[0]!.status).toBe("accepted");
  expect(taken[0]!.envelope.parameters.requireTls).toBe(true);
});
