import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  reverseOf,
  rewriteSender,
  senderReversal,
  type SenderRewriting,
} from "./sender-rewriting.ts";

const at = (domain: string, day = 20_000, key = "secret"): SenderRewriting => ({
  domain,
  day,
  sign: (text) => createHmac("sha256", key).update(text).digest(),
});
const ours = at("srs.gateway.test");

describe("rewriting", () => {
  test("an address becomes one of our domain that tells it", () => {
    const rewritten = rewriteSender("user@example.org", ours);
    expect(rewritten).toMatch(
      /^SRS0=[A-Z2-7]{8}=[A-Z2-7]{2}=example\.org=user@srs\.gateway\.test$/,
    );
    expect(reverseOf(rewritten, ours)).toEqual({ status: "reversed", address: "user@example.org" });
  });

  test.each(["", "postmaster", "SRS0=x=y=z=u@srs.gateway.test", "a@SRS.gateway.test"])(
    "<%s> stays as it is",
    (address) => expect(rewriteSender(address, ours)).toBe(address),
  );

  test.each([
    ["user@example.org"],
    ["user+tag=more=x@example.org"],
    ['"two words"@example.org'],
    ['"a\\"b\\\\c@d"@example.org'],
    ["grüße@exämple.org"],
    ['"\\"quoted\\""@example.org'],
    ["=@example.org"],
    ["user@[192.0.2.1]"],
  ])("<%s> comes back as it was", (address) => {
    expect(reverseOf(rewriteSender(address, ours), ours)).toEqual({ status: "reversed", address });
  });

  test("any local part comes back as it was", () => {
    const character = fc.constantFrom(..."abcXYZ019=+-._!#$%&'*/?^`{|}~ \"\\@,<>");
    fc.assert(
      fc.property(fc.array(character, { minLength: 1, maxLength: 40 }), (characters) => {
        const text = characters.join("");
        const dotString = /^[^ "\\@,<>.]+(\.[^ "\\@,<>.]+)*$/.test(text);
        const local = dotString ? text : `"${text.replace(/["\\]/g, "\\$&")}"`;
        // What was rewritten before is another case.
        fc.pre(!/^"?SRS[01][=+-]/i.test(local));
        const address = `${local}@example.org`;
        expect(reverseOf(rewriteSender(address, ours), ours)).toEqual({
          status: "reversed",
          address,
        });
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

describe("a chain of forwarders", () => {
  const [first, second] = [at("first.test", 20_000, "1"), at("second.test", 20_000, "2")];

  test("the second names the first, the third does too, and reports skip those between", () => {
    const once = rewriteSender("user@example.org", first);
    const twice = rewriteSender(once, second);
    expect(twice).toMatch(/^SRS1=[A-Z2-7]{8}=first\.test==[A-Z2-7]{8}=.*@second\.test$/);
    const thrice = rewriteSender(twice, ours);
    expect(thrice).toMatch(/^SRS1=[A-Z2-7]{8}=first\.test==[A-Z2-7]{8}=.*@srs\.gateway\.test$/);
    expect(thrice.length).toBeLessThan(twice.length + 10);
    expect(reverseOf(thrice, ours)).toEqual({ status: "reversed", address: once });
    expect(reverseOf(twice, second)).toEqual({ status: "reversed", address: once });
    expect(reverseOf(once, first)).toEqual({ status: "reversed", address: "user@example.org" });
  });
});

test.each([
  "SRS0=AB=CD=example.org=user@first.test",
  '"SRS0=AB=CD=example.org=two words"@first.test',
  '"SRS0=AB=CD=example.org=u\\"s\\\\"@first.test',
])("what another forwarder rewrote (%s) comes back as it was", (address) => {
  const again = rewriteSender(rewriteSender(address, at("second.test")), ours);
  expect(reverseOf(again, ours)).toEqual({ status: "reversed", address });
});

describe("the way back", () => {
  const good = rewriteSender("user@example.org", ours);

  test("case may have been changed", () => {
    for (const address of [good.toLowerCase(), good.toUpperCase()]) {
      const reversed = reverseOf(address, ours);
      expect(reversed.status).toBe("reversed");
      if (reversed.status === "reversed") {
        expect(reversed.address.toLowerCase()).toBe("user@example.org");
      }
    }
  });

  test("nobody else can make one", () => {
    const forged = { status: "forged" };
    expect(reverseOf(good.replace("user", "other"), ours)).toEqual(forged);
    expect(reverseOf(good.replace("example.org", "victim.test"), ours)).toEqual(forged);
    expect(reverseOf(rewriteSender("u@x.test", at(ours.domain, 20_000, "guess")), ours))
      .toEqual(forged);
    expect(reverseOf("SRS0=@srs.gateway.test", ours)).toEqual(forged);
    expect(reverseOf("SRS1=AAAAAAAA=victim.test==x=y=z=u@srs.gateway.test", ours)).toEqual(forged);
    const [hash] = /(?<==)[A-Z2-7]{8}/.exec(good)!;
    for (let index = 0; index < hash.length; index++) {
      const other = hash[index] === "A" ? "B" : "A";
      const bent = hash.slice(0, index) + other + hash.slice(index + 1);
      expect(reverseOf(good.replace(hash, bent), ours)).toEqual(forged);
    }
    expect(reverseOf(good.replace(hash, hash.slice(0, 7)), ours)).toEqual(forged);
    expect(reverseOf(good.replace(hash, `${hash}A`), ours)).toEqual(forged);
  });

  test("other addresses are none of its business", () => {
    for (
      const address of ["user@srs.gateway.test", "srs0@srs.gateway.test", good.replace("srs.", "")]
    ) {
      expect(reverseOf(address, ours)).toEqual({ status: "notRewritten" });
    }
  });

  test.each([[0, "reversed"], [21, "reversed"], [22, "expired"], [-1, "reversed"], [
    -2,
    "expired",
  ]])(
    "%i days later it is %s, also where the count of days begins anew",
    (days, status) => {
      for (const day of [20_000, 1024 * 20 - 5, 1024 * 20, 1024 * 20 + 5]) {
        const address = rewriteSender("user@example.org", at(ours.domain, day));
        expect(reverseOf(address, at(ours.domain, day + days)).status).toBe(status);
      }
    },
  );
});

test("the way back is asked for at the time it is then", () => {
  const rewritten = rewriteSender("user@example.org", ours);
  let day = ours.day;
  const back = senderReversal(ours.sign, () => new Date(day * 86_400_000 + 1));
  expect(back(rewritten, ours.domain)).toEqual({ status: "reversed", address: "user@example.org" });
  day += 22;
  expect(back(rewritten, ours.domain)).toEqual({ status: "expired" });
});
