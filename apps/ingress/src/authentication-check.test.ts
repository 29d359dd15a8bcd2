import { Buffer } from "node:buffer";
import { generateKeyPairSync } from "node:crypto";
import type { QueryResult, RecordType, Resolver } from "@postern/dns";
import { HeaderReader } from "@postern/message";
import { dkimSign } from "mailauth";
import { expect, test } from "vitest";
import { AuthenticationCheck } from "./authentication-check.ts";

const { publicKey, privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048,
  publicKeyEncoding: { type: "spki", format: "der" },
  privateKeyEncoding: { type: "pkcs8", format: "pem" },
});

const zone: Readonly<Record<string, string>> = {
  "sender.test": "v=spf1 ip4:192.0.2.1 -all",
  "_dmarc.sender.test": "v=DMARC1; p=reject",
  "bank.test": "v=spf1 -all",
  "_dmarc.bank.test": "v=DMARC1; p=reject",
  "s1._domainkey.sender.test": `v=DKIM1; k=rsa; p=${publicKey.toString("base64")}`,
};

/** Answers TXT from the zone; `status` instead of every answer where given. */
function resolverOf(status?: "failure"): Resolver {
  return {
    query: <T extends RecordType>(name: string, type: T): Promise<QueryResult<T>> => {
      const text = type === "TXT" ? zone[name.toLowerCase()] : undefined;
      const octets = new TextEncoder().encode(text);
      // A TXT record is cut into strings of at most 255 octets.
      const strings = Array.from(
        { length: Math.ceil(octets.length / 255) },
        (_, at) => octets.subarray(at * 255, at * 255 + 255),
      );
      const answer = status === "failure"
        ? { status, reason: "timeout" }
        : text === undefined
        ? { status: "noName", authenticated: false }
        : { status: "answer", records: [strings], authenticated: false };
      return Promise.resolve(answer as unknown as QueryResult<T>);
    },
  } as Resolver;
}

const encoder = new TextEncoder();
const plain = "From: Ann <ann@sender.test>\r\nTo: bob@relay.test\r\nSubject: hello\r\n" +
  `Date: Tue, 24 Nov 2026 12:00:00 +0000\r\nMessage-ID: <1@sender.test>\r\n\r\n${
    "Some text.\r\n".repeat(20_000)
  }`;

async function signed(content = plain): Promise<string> {
  const result = await dkimSign(Buffer.from(content), {
    signatureData: [{ signingDomain: "sender.test", selector: "s1", privateKey }],
  } as never);
  return result.signatures + content;
}

async function check(content: string, address: string, resolver = resolverOf()) {
  const checking = new AuthenticationCheck({
    address,
    helo: "mail.sender.test",
    reversePath: "ann@sender.test",
    hostname: "mx.relay.test",
    resolver,
  });
  const bytes = encoder.encode(content);
  const reader = new HeaderReader();
  reader.push(bytes);
  await checking.begin(reader.header);
  for (let at = reader.size; at < bytes.length; at += 10_007) {
    await checking.add(bytes.subarray(at, at + 10_007));
  }
  return await checking.end();
}

test("a signed message from a permitted address passes, and the field says so", async () => {
  const { results, field } = await check(await signed(), "192.0.2.1");
  expect(results).toEqual({ spf: "pass", dkim: "pass", dmarc: "pass", arc: "none" });
  expect(field.add).toBe("Authentication-Results");
  expect(field.value).toMatch(/^mx\.relay\.test; dkim=pass /);
  expect(field.value).toMatch(/; spf=pass .*smtp\.mailfrom=ann@sender\.test/);
  expect(field.value).toMatch(/; dmarc=pass /);
});

test("an altered body and a foreign address do not pass", async () => {
  const { results } = await check((await signed()).replace("Some text", "Other text"), "192.0.2.9");
  expect(results).toEqual({ spf: "fail", dkim: "neutral", dmarc: "fail", arc: "none" });
});

test("without a signature there is none", async () => {
  const { results } = await check(plain, "192.0.2.1");
  expect(results).toMatchObject({ spf: "pass", dkim: "none", dmarc: "pass" });
});

test("when DNS says nothing, it is a temporary error and no verdict", async () => {
  const { results } = await check(await signed(), "192.0.2.9", resolverOf("failure"));
  expect(results).toMatchObject({ spf: "temperror", dkim: "temperror", dmarc: "temperror" });
});

test("a message that is given up leaves nothing waiting", async () => {
  const checking = new AuthenticationCheck({
    address: "192.0.2.1",
    helo: "h.test",
    reversePath: "",
    hostname: "mx.relay.test",
    resolver: resolverOf(),
  });
  const adding = checking.add(new Uint8Array(1_000_000).fill(65));
  checking.abandon();
  await adding;
  expect((await checking.end()).results.dkim).not.toBe("pass");
});

test("signatures behind the tenth are not looked at, and the field says how many", async () => {
  const content = await signed();
  const wrong = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=b.test; s=s; h=from; " +
    "bh=AAAA; b=AAAA\r\n";
  const nine = await check(wrong.repeat(9) + content, "192.0.2.9");
  expect(nine.results).toMatchObject({ dkim: "pass", dmarc: "pass" });
  expect(nine.field.value).not.toContain("looked at");
  const { results, field } = await check(wrong.repeat(100) + content, "192.0.2.9");
  expect(results).toMatchObject({ dkim: "neutral", dmarc: "fail" });
  expect(field.value.match(/dkim=neutral/g)).toHaveLength(10);
  expect(field.value).toContain("; dkim=policy (not looked at: 91)");
});

test("a signature that is too large is none that was checked", async () => {
  const huge = `DKIM-Signature: v=1; a=rsa-sha256; d=b.test; s=s; h=from${":x".repeat(90_000)}; ` +
    "bh=AAAA; b=AAAA\r\n";
  const { results, field } = await check(huge + plain, "192.0.2.1");
  expect(results).toMatchObject({ spf: "pass", dkim: "policy", dmarc: "pass" });
  expect(field.value).toContain("dkim=policy (not looked at: 1)");
  expect(field.value).not.toContain("dkim=none");
});

test("more ARC fields than honest mail has are a failure", async () => {
  const seal = "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=b.test; s=s; b=AAAA\r\n";
  const { results, field } = await check(seal.repeat(31) + plain, "192.0.2.1");
  expect(results).toMatchObject({ arc: "fail", dmarc: "pass" });
  expect(field.value).toContain("; arc=fail (too large)");
});

test("a body that is no text of lines is looked at up to there", async () => {
  for (const end of ["x\ny\r\n", "x".repeat(100_000)]) {
    const content = await signed(plain + end);
    const { results } = await check(content, "192.0.2.9");
    expect(results.dkim).toBe("neutral");
  }
});

const ceo = "From: ceo@bank.test\r\n";
const ann = "From: Ann <ann@sender.test>\r\n";

test.each([
  ["two fields", ceo + ann, "fail"],
  ["two fields the other way round", ann + ceo, "fail"],
  ["two fields of a domain that would pass", ann + ann, "fail"],
  ["two mailboxes", "From: ann@sender.test, ceo@bank.test\r\n", "fail"],
  ["a group", "From: us: ann@sender.test, ceo@bank.test;\r\n", "fail"],
  ["two @", "From: <ceo@bank.test@sender.test>\r\n", "fail"],
  ["many domains", `From: ${"abcdef".replace(/./g, "a@$&.test, ")}${ann.slice(6)}`, "fail"],
  ["a very long field", `From: ${"x@sender.test, ".repeat(1000)}${ann.slice(6)}`, "fail"],
  ["two fields without a policy", "From: a@x.test\r\nFrom: b@y.test\r\n", "permerror"],
  ["no author", "", "permerror"],
  ["two mailboxes of one domain", "From: bob@sender.test, ann@sender.test\r\n", "pass"],
  ["two domains, one without a policy", "From: ann@sender.test, b@y.test\r\n", "none"],
])("of more than one author the strictest result is taken: %s", async (_, from, result) => {
  const { results, field } = await check(plain.replace(ann, from), "192.0.2.1");
  expect(results.dmarc).toBe(result);
  expect(field.value.match(/; dmarc=\w+/g)).toEqual([`; dmarc=${result}`]);
});
