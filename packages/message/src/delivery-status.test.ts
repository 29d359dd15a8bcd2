import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { buildDsn, dsnFrame } from "./delivery-status.ts";
import type { Dsn, DsnRecipient } from "./dsn.ts";
import { MAIL, NOTIFICATIONS } from "./golden/notifications.ts";
import { Header } from "./header.ts";
import { toSevenBit } from "./seven-bit.ts";
import { ContentSurvey } from "./survey.ts";

const octets = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const [FAILED] = NOTIFICATIONS.failed.recipients as [DsnRecipient];

function withRecipient(recipient: Partial<DsnRecipient>): Dsn {
  return { ...NOTIFICATIONS.failed, recipients: [{ ...FAILED, ...recipient }] };
}

describe("buildDsn", () => {
  test.each(Object.entries(NOTIFICATIONS))("writes golden/%s.eml", (name, dsn) => {
    const golden = readFileSync(new URL(`./golden/${name}.eml`, import.meta.url));
    expect(text(buildDsn(dsn).content)).toBe(text(golden));
  });

  test("declares what its way must offer", () => {
    const needs = (dsn: Dsn) => {
      const { body, smtpUtf8, content } = buildDsn(dsn);
      const found = new ContentSurvey().push(content).end().encoding;
      expect(found).toBe(body === "7BIT" ? "7bit" : "8bit");
      return [body, smtpUtf8];
    };
    expect(needs(NOTIFICATIONS.failed)).toEqual(["7BIT", false]);
    expect(needs(NOTIFICATIONS.delayed)).toEqual(["7BIT", false]);
    expect(needs(NOTIFICATIONS.international)).toEqual(["8BITMIME", true]);
    const eightBit = octets("Subject: x\r\n\r\nGrüße\r\n");
    expect(needs({ ...MAIL, returnContent: { kind: "full", content: eightBit } })).toEqual([
      "8BITMIME",
      false,
    ]);
  });

  test("returns the header only where mail cannot carry the whole", () => {
    for (const body of ["x".repeat(999), "a\nb", "a\rb", "a\0b"]) {
      const content = octets(`Subject: x\r\n\r\n${body}\r\n`);
      const dsn = text(buildDsn({ ...MAIL, returnContent: { kind: "full", content } }).content);
      expect(dsn).toContain("Content-Type: text/rfc822-headers\r\n");
      expect(dsn).toMatch(
        /not\s+returned\s+because\s+not\s+every\s+mail\s+system\s+could\s+carry\s+it/,
      );
      expect(dsn).toContain("\r\n\r\nSubject: x\r\n\r\n--=_");
    }
  });

  test("returns the header only where the whole cannot be made 7-bit", () => {
    const signed = 'Content-Type: multipart/signed; boundary=b; protocol="x/y"\r\n\r\n--b\r\n' +
      "Content-Transfer-Encoding: 8bit\r\n\r\nGrüße\r\n--b\r\n\r\n--b--\r\n";
    for (const original of ["Subject: Grüße\r\n\r\nHello\r\n", signed]) {
      const content = octets(original);
      const dsn = buildDsn({ ...MAIL, returnContent: { kind: "full", content } });
      expect(text(dsn.content)).toContain("Content-Type: text/rfc822-headers\r\n");
      expect(dsn.body).toBe("7BIT");
    }
  });

  test("can be made 7-bit with international mail, too", () => {
    const { content, body } = buildDsn({
      ...NOTIFICATIONS.international,
      reversePath: "alice@example.com",
    });
    expect(body).toBe("8BITMIME");
    const converter = toSevenBit();
    const converted = [...converter.push(content), ...converter.end()].map(text).join("");
    expect(converted).toMatch(/Content-Type: message\/global\r\nContent-Transfer-Encoding: quoted/);
  });

  test("returns nothing of the message where that is wanted, and names it", () => {
    const header = octets("Subject: Secret\r\nMessage-ID: <1@example.com>\r\n\r\nBody\r\n");
    const dsn = text(buildDsn({ ...MAIL, returnContent: { kind: "nothing", header } }).content);
    expect(dsn).not.toMatch(/Secret|Body/);
    expect(dsn).toContain("References: <1@example.com>\r\n");
    expect(dsn.match(/^Content-Type: .*(?=\r$)/gm)).toEqual([
      "Content-Type: multipart/report; report-type=delivery-status;",
      "Content-Type: text/plain; charset=us-ascii",
      "Content-Type: message/delivery-status",
    ]);
  });

  test.each([
    ["mx.example.net", "mx.example.net"],
    ["192.0.2.1", "[192.0.2.1]"],
    ["2001:db8::1", "[IPv6:2001:db8::1]"],
    ["[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"],
  ])("writes the next hop %s as %s", (remoteHost, written) => {
    const dsn = text(buildDsn(withRecipient({ remoteHost })).content);
    expect(dsn).toContain(`Remote-MTA: dns; ${written}\r\n`);
    expect(dsn).toContain(` ${remoteHost} said:\r\n`);
  });

  test("returns broken headers encoded", () => {
    const header = Uint8Array.from("Subject: Gr\u00fc\u00dfe\r\n\r\nbody", (c) => c.charCodeAt(0));
    const dsn = buildDsn({ ...MAIL, returnContent: { kind: "headers", header } });
    expect(dsn.body).toBe("7BIT");
    expect(text(dsn.content)).toContain(
      "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" +
        "Subject: Gr=FC=DFe\r\n\r\n--=_",
    );
  });

  test("takes content without an end of the header, or none at all", () => {
    for (const content of ["Subject: x", "Subject: x\r\n", ""]) {
      const full = buildDsn({
        ...MAIL,
        returnContent: { kind: "full", content: octets(content) },
      });
      expect(text(full.content)).toContain(`7bit\r\n\r\n${content}\r\n--=_`);
    }
  });

  test("chooses a boundary that no part holds", () => {
    const seed = MAIL.boundarySeed;
    const content = octets(`Subject: x\r\n\r\n--=_${seed}\r\n--=_${seed}_1--\r\n`);
    const dsn = text(buildDsn({ ...MAIL, returnContent: { kind: "full", content } }).content);
    expect(dsn).toContain(`boundary="=_${seed}_2"`);
    expect(dsn.split(`\r\n--=_${seed}_2`).length).toBe(5);
    const diagnostic = { type: "smtp", text: `550\r\n--=_${seed}` };
    expect(text(buildDsn(withRecipient({ diagnostic })).content)).toContain(`"=_${seed}_1"`);
  });

  test("names a recipient as the sender did, and does not invent what the sender said", () => {
    const { originalRecipient: _, ...recipient } = { ...FAILED, acceptedAs: "sales@example.net" };
    const dsn = text(buildDsn({ ...MAIL, recipients: [recipient] }).content);
    expect(dsn).toContain("Subject: Undelivered mail: sales@example.net\r\n");
    expect(dsn).toContain("  <sales@example.net>\r\n    (sent on to <bob@example.net>)\r\n");
    expect(dsn).toContain("Final-Recipient: rfc822; bob@example.net\r\n");
    expect(dsn).toContain(
      "What to do: You wrote to the right address, but it sends mail on to\r\n",
    );
    const { acceptedAs: __, ...asWritten } = recipient;
    expect(text(buildDsn({ ...MAIL, recipients: [asWritten] }).content))
      .toContain("What to do: Check the spelling of the address");
    expect(dsn).not.toContain("Original-Recipient");
    expect(text(buildDsn(withRecipient({ acceptedAs: "sales@example.net" })).content))
      .toContain("  <rob@example.net>\r\n    (sent on to <bob@example.net>)\r\n");
  });

  test("writes addresses for ASCII readers where the way back takes no UTF-8 (RFC 6533 §3)", () => {
    const dsn = text(
      buildDsn({ ...withRecipient({ forwardPath: "jö+x@ex.test" }), utf8: false }).content,
    );
    expect(dsn).toContain("Final-Recipient: utf-8; j\\x{F6}\\x{2B}x@ex.test\r\n");
    expect(dsn).toContain("Content-Type: message/delivery-status\r\n");
    expect(new Header(octets(dsn)).subject).toBe("Undelivered mail: rob@example.net");
  });

  test("lets nothing that a peer said begin a field, a line or a part", () => {
    const odd = fc.string({ unit: fc.constantFrom(..."a-=_: \r\n\0\t\x1bü語😀"), maxLength: 300 });
    fc.assert(
      fc.property(odd, odd, odd, fc.boolean(), (said, host, envelopeId, utf8) => {
        const dsn = buildDsn({
          ...withRecipient({ diagnostic: { type: "smtp", text: said }, remoteHost: host }),
          originalEnvelopeId: envelopeId,
          utf8,
        });
        const parts = text(dsn.content).split(`\r\n--=_${MAIL.boundarySeed}`);
        expect(parts.length).toBe(5);
        const [message, recipient] = parts[2]!.split("\r\n\r\n").slice(1).map((group) =>
          new Header(octets(group + "\r\n")).fields.map((field) => field.name)
        );
        expect(message).toEqual(["Original-Envelope-Id", "Reporting-MTA", "Arrival-Date"]);
        expect(recipient).toEqual([
          "Original-Recipient",
          "Final-Recipient",
          "Action",
          "Status",
          "Remote-MTA",
          "Diagnostic-Code",
          "Last-Attempt-Date",
        ]);
        expect(new ContentSurvey().push(dsn.content).end().binary).toBe(false);
      }),
      { seed: 3464, numRuns: 300 },
    );
  });

  test("has no line longer than mail may have, whatever others wrote", () => {
    for (const letter of "xü") {
      const long = letter.repeat(2500);
      const { content } = buildDsn({
        ...withRecipient({
          forwardPath: `${long}@ex.test`,
          originalRecipient: { type: "rfc822", address: `${long}@ex.test` },
          diagnostic: { type: "smtp", text: `550 5.7.1 ${long}` },
          remoteHost: long,
        }),
        originalEnvelopeId: long,
        queueId: long,
      });
      expect(new ContentSurvey().push(content).end().binary).toBe(false);
    }
  });

  test("keeps an address of the web whole", () => {
    const url = `https://help.test/${"x".repeat(100)}`;
    const diagnostic = { type: "smtp", text: `550 5.7.1 See ${url}` };
    expect(text(buildDsn(withRecipient({ diagnostic })).content)).toContain(`      ${url}\r\n`);
  });

  test("says what a status means in its text, whatever the class", () => {
    const about = (status: string) => text(buildDsn(withRecipient({ status })).content);
    expect(about("5.2.2")).toContain("The mailbox is full. (5.2.2)");
    expect(about("5.7.99")).toContain("refused for reasons of security or policy. (5.7.99)");
    expect(about("nonsense")).toContain("Status: 5.0.0\r\n");
    expect(about("5.3.3")).not.toContain("later");
  });

  test("says that there was a refusal where its code says nothing, and its words do", () => {
    const { diagnostic: _, ...silent } = FAILED;
    const about = (recipient: DsnRecipient) =>
      text(buildDsn({ ...MAIL, recipients: [recipient] }).content);
    const refused = about({ ...FAILED, status: "5.0.0" });
    expect(refused).toContain("The recipient's mail system refused the message. (5.0.0)");
    expect(refused).toMatch(/give\s+them\s+the\s+words\s+above/);
    expect(about({ ...FAILED, action: "delayed", status: "4.0.0" }))
      .toContain("has not taken the message so far.");
    expect(about({ ...silent, status: "5.0.0", detail: "HTTP 404" }))
      .toMatch(/refused the message. \(5.0.0\)\r\n +In detail: HTTP 404/);
    expect(about({ ...silent, status: "5.0.0" })).toContain("The reason was not given. (5.0.0)");
  });
});

describe("dsnFrame", () => {
  const content = octets("Subject: x\r\nMessage-ID: <1@x>\r\n\r\nGrüße\r\n");

  test("around the original is the notification with it whole", () => {
    const whole = buildDsn({ ...MAIL, returnContent: { kind: "full", content } });
    const frame = dsnFrame({
      ...MAIL,
      returnContent: { kind: "stream", header: content, encoding: "8bit" },
    });
    expect(frame.hole).toBe(true);
    expect(frame.body).toBe(whole.body);
    expect(text(frame.before) + text(content) + text(frame.after)).toBe(text(whole.content));
  });

  test("has no hole where only the header is returned", () => {
    const frame = dsnFrame({ ...MAIL, returnContent: { kind: "headers", header: content } });
    expect(frame.hole).toBe(false);
  });

  test("is what a stream needs", () => {
    const stream = { kind: "stream", header: content, encoding: "8bit" } as const;
    expect(() => buildDsn({ ...MAIL, returnContent: stream })).toThrow(TypeError);
  });
});
