import type { Envelope } from "@postern/smtp";
import { expect, test } from "vitest";
import { editedContent } from "./content.ts";
import type { NextHopSession } from "./next-hop-session.ts";
import { offer } from "./offer.ts";
import { deliveryOf } from "./testing/delivering.ts";

/** A session that takes everything, and the times to deliver by that it was given. */
function takingSession() {
  const asked: unknown[] = [];
  const session = {
    capabilities: {},
    deliver: ({ envelope }: { envelope: Envelope }) => {
      asked.push(envelope.parameters.deliverBy?.seconds);
      const cause = { kind: "reply", reply: { code: 250, lines: ["Taken"] } };
      return Promise.resolve({
        recipients: envelope.recipients.map(() => ({ status: "accepted", cause })),
      });
    },
  };
  return { asked, session: session as unknown as NextHopSession };
}

const delivered = "delivered 250 Taken";
const tooLate = "never 554 5.4.7 The time that the sender set for delivery has passed";

test.each([
  ["return", 0, 60, delivered],
  ["return", 0.4, 59, delivered],
  ["return", 58.9, 1, delivered],
  ["return", 59.1, undefined, tooLate],
  ["return", 61, undefined, tooLate],
  ["notify", 59.1, 0, delivered],
  ["notify", 61.5, -2, delivered],
])("with BY=60 in mode %s, after %d s the next hop has %s", async (mode, passed, left, said) => {
  const { asked, session } = takingSession();
  const deliverBy = { seconds: 60, mode, trace: false };
  const delivery = deliveryOf(["a@x.test"], { parameters: { deliverBy } });
  const offered = {
    reversePath: "",
    recipients: delivery.recipients,
    content: await editedContent(delivery, [], undefined as never),
    now: new Date(delivery.receivedAt.getTime() + passed * 1000),
    isHeld: () => true,
  };
  const verdicts = await offer(delivery, { ...offered, isFinal: false }, session);
  expect(verdicts.map(({ status, reply }) => `${status} ${reply}`)).toEqual([said]);
  expect(asked).toEqual(said === tooLate ? [] : [left]);
});
