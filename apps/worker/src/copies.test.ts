import type { ClaimedDelivery, Treatment } from "@postern/store";
import { expect, test } from "vitest";
import { copiesOf, routedPath } from "./copies.ts";

function delivery(...treatments: readonly Treatment[]): ClaimedDelivery {
  return {
    messageId: "m",
    destinationId: 1,
    destination: { relay: "r", nextHop: "" },
    attempts: 0,
    receivedAt: new Date(0),
    lifetimeFrom: new Date(0),
    reversePath: "s@example.org",
    parameters: {},
    size: 0,
    configurationVersion: 1,
    recipients: treatments.map((treatment, ordinal) => ({
      ordinal,
      forwardPath: `r${ordinal}@example.com`,
      parameters: {},
      treatment,
      acceptedAs: null,
      delayReported: false,
      lastReply: null,
    })),
    content: new Uint8Array(),
  };
}

const groups = (...treatments: readonly Treatment[]) =>
  copiesOf(delivery(...treatments)).map(({ reversePath, recipients }) => [
    reversePath,
    recipients.map(({ ordinal }) => ordinal),
  ]);

test("recipients without a treatment share one copy", () => {
  expect(groups({}, {}, {})).toEqual([["s@example.org", [0, 1, 2]]]);
});

test("equal treatments share a copy, different ones do not", () => {
  const edited = { edits: [{ add: "X", value: "1" }, { remove: "Y" }] };
  expect(groups(
    { reversePath: "other@example.org" },
    {},
    { edits: [{ value: "1", add: "X" }, { remove: "Y" }] },
    { reversePath: "other@example.org", edits: [] },
    edited,
    { edits: [{ remove: "Y" }, { add: "X", value: "1" }] },
    { sourceRoute: ["b"] },
    { reversePath: "s@example.org", sourceRoute: [] },
  )).toEqual([
    ["other@example.org", [0, 3]],
    ["s@example.org", [1, 7]],
    ["s@example.org", [2, 4]],
    ["s@example.org", [5]],
    ["s@example.org", [6]],
  ]);
});

test("a source route goes before the mailbox", () => {
  const [none, one, two] = delivery({}, { sourceRoute: ["b"] }, { sourceRoute: ["b", "c.test"] })
    .recipients;
  expect([none!, one!, two!].map(routedPath)).toEqual([
    "r0@example.com",
    "@b:r1@example.com",
    "@b,@c.test:r2@example.com",
  ]);
});
