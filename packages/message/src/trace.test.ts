import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Header } from "./header.ts";
import { receivedField, returnPathField, transmissionProtocol } from "./trace.ts";
import type { Received } from "./trace.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const RECEIVED: Received = {
  from: { helo: "client.example.com", address: "192.0.2.1" },
  by: "mx.example.org",
  protocol: "ESMTP",
  id: "01ABC",
  date: new Date(Date.UTC(2026, 10, 24, 0, 32, 8)),
};

describe("receivedField", () => {
  test("is a Time-stamp-line of RFC 5321 §4.4", () => {
    expect(text(receivedField(RECEIVED))).toBe(
      "Received: from client.example.com ([192.0.2.1]) by mx.example.org with ESMTP\r\n" +
        " id 01ABC; Tue, 24 Nov 2026 00:32:08 +0000\r\n",
    );
  });

  test("tells the checked name, TLS and the single recipient", () => {
    const field = receivedField({
      ...RECEIVED,
      from: { helo: "[IPv6:2001:db8::1]", address: "2001:db8::1", hostname: "host.example.com" },
      protocol: "ESMTPSA",
      tls: { protocol: "TLSv1.3", cipher: "TLS_AES_256_GCM_SHA384" },
      for: "bob@example.org",
    });
    expect(text(field)).toBe(
      "Received: from [IPv6:2001:db8::1] (host.example.com [IPv6:2001:db8::1])\r\n" +
        " by mx.example.org with ESMTPSA (TLSv1.3 TLS_AES_256_GCM_SHA384) id 01ABC\r\n" +
        " for <bob@example.org>; Tue, 24 Nov 2026 00:32:08 +0000\r\n",
    );
  });

  test.each([
    ["bob@example.org", "for <bob@example.org>;"],
    ['"a b"@example.org', 'for <"a b"@example.org>;'],
    ['"a;b>"@example.org', 'for <"a;b>"@example.org>;'],
    ["postmaster", "for <postmaster>;"],
    ["a@b>\r\nX: y", undefined],
    ["a@b> (", undefined],
    ['"a\r\nb"@example.org', undefined],
    ["jö@example.org", undefined],
  ])("names the forward-path %j only where it can stand", (path, expected) => {
    const value = new Header(receivedField({ ...RECEIVED, for: path })).get("received")!;
    expect(/for <.*>;/.exec(value)?.[0]).toBe(expected);
  });

  test("keeps international names for UTF8SMTP only", () => {
    const from = { helo: "bücher.example", address: "192.0.2.1" };
    expect(text(receivedField({ ...RECEIVED, from }))).toContain("from b?cher.example ");
    const field = receivedField({
      ...RECEIVED,
      from,
      protocol: "UTF8SMTPS",
      for: "jö@example.org",
    });
    expect(text(field)).toContain("from bücher.example ");
    expect(text(field).replace(/\r\n/g, "")).toContain("for <jö@example.org>;");
  });

  test("stays one field whatever the peer says", () => {
    const odd = fc.string({
      unit: fc.constantFrom(...'a.-_[](<>)\r\n\t\0 :;"\\ü語'),
      maxLength: 600,
    });
    fc.assert(
      fc.property(odd, odd, odd, odd, odd, (helo, address, hostname, id, path) => {
        const field = receivedField({
          ...RECEIVED,
          from: { helo, address, hostname },
          id,
          for: path,
          tls: { protocol: path, cipher: helo },
        });
        const header = new Header(field);
        expect(header.fields.length).toBe(1);
        expect(header.octets.length).toBe(field.length);
        const value = header.get("received")!;
        // deno-lint-ignore no-control-regex
        expect(value).not.toMatch(/[\x00-\x08\x0b-\x1f]/);
        expect(value.endsWith("; Tue, 24 Nov 2026 00:32:08 +0000")).toBe(true);
        for (const line of text(field).split("\r\n")) expect(line.length).toBeLessThanOrEqual(998);
      }),
      { seed: 5321, numRuns: 1000 },
    );
  });
});

test("returnPathField", () => {
  expect(text(returnPathField(""))).toBe("Return-Path: <>\r\n");
  expect(text(returnPathField("a@example.com"))).toBe("Return-Path: <a@example.com>\r\n");
  expect(text(returnPathField("a@b>\r\nX: y"))).toBe("Return-Path: <>\r\n");
});

test("transmissionProtocol", () => {
  const plain = { dialect: "ESMTP", smtpUtf8: false, tls: false, authenticated: false } as const;
  expect(transmissionProtocol(plain)).toBe("ESMTP");
  expect(transmissionProtocol({ ...plain, dialect: "SMTP" })).toBe("SMTP");
  expect(transmissionProtocol({ ...plain, tls: true })).toBe("ESMTPS");
  expect(transmissionProtocol({ ...plain, authenticated: true })).toBe("ESMTPA");
  expect(transmissionProtocol({ ...plain, tls: true, authenticated: true })).toBe("ESMTPSA");
  expect(transmissionProtocol({ ...plain, dialect: "LMTP", tls: true })).toBe("LMTPS");
  expect(transmissionProtocol({ ...plain, smtpUtf8: true, tls: true })).toBe("UTF8SMTPS");
});
