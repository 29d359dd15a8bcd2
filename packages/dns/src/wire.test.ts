import fc from "fast-check";
import dnsPacket, { type Answer, type Packet } from "dns-packet";
import { describe, expect, test } from "vitest";
import { record } from "./scripted-server.ts";
import { decodeResponse, encodeQuery } from "./wire.ts";

const QUESTION = { name: "a.test", type: "MX" } as const;

describe("decodeResponse", () => {
  const response = dnsPacket.encode({
    type: "response",
    id: 7,
    questions: [{ name: "a.test", type: "MX", class: "IN" }],
    answers: [
      { type: "CNAME", name: "a.test", data: "b.test", ttl: 5 },
      { type: "MX", name: "b.test", data: { preference: 1, exchange: "m.test" }, ttl: 0xffffffff },
    ],
  });

  test("takes a TTL with the highest bit as zero (RFC 2181 §8)", () => {
    expect(decodeResponse(response, QUESTION, 7)).toMatchObject({ kind: "answer", ttl: 0 });
  });

  describe("without records", () => {
    const { AUTHORITATIVE_ANSWER, RECURSION_AVAILABLE } = dnsPacket;
    const soa = record.soa("test", 60);
    const ns: Answer = { type: "NS", name: "test", data: "ns.test", ttl: 60 };
    const cname = record.cname("a.test", "b.test");

    test.each<[string, Packet, string]>([
      ["and nothing else", { flags: RECURSION_AVAILABLE }, "noData"],
      ["of an authority", { flags: AUTHORITATIVE_ANSWER }, "noData"],
      ["with a SOA", { authorities: [soa] }, "noData"],
      ["with a SOA and name servers", { authorities: [ns, soa] }, "noData"],
      ["with name servers", { flags: RECURSION_AVAILABLE, authorities: [ns] }, "lame"],
      ["of nobody who would know", {}, "lame"],
      ["but an alias", { authorities: [ns], answers: [cname] }, "alias"],
    ])("%s", (_, parts, kind) => {
      const questions = [{ name: "a.test", type: "MX", class: "IN" } as const];
      const octets = dnsPacket.encode({ type: "response", id: 7, questions, ...parts });
      expect(decodeResponse(octets, QUESTION, 7)).toMatchObject({ kind });
    });
  });

  test("never throws, whatever the octets", () => {
    const changes = fc.array(fc.tuple(fc.nat(response.length - 1), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(changes, fc.nat(response.length), (changes, cut) => {
        const octets = Uint8Array.from(response);
        // The id, and that it is a response, stay: what has not both is not looked at.
        for (const [at, octet] of changes) if (at > 2) octets[at] = octet;
        const decoded = decodeResponse(octets.subarray(0, octets.length - cut), QUESTION, 7);
        expect(decoded === undefined || typeof decoded.kind === "string").toBe(true);
      }),
      { seed: 1035, numRuns: 3000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
        if (octets.length > 2) octets.set([0, 7, 0x80]);
        decodeResponse(octets, QUESTION, 7);
      }),
      { seed: 1034, numRuns: 3000 },
    );
  });

  test("asks nothing of a query but its own echo", () => {
    expect(decodeResponse(encodeQuery(QUESTION, 7, true), QUESTION, 7)).toBeUndefined();
  });
});
