import type { DeliveryOutcome } from "@postern/store";
import { afterEach, expect, test } from "vitest";
import { Lane } from "./lane.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";
import { Peer } from "./testing/peer.ts";

const peers: Peer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) await peer.stop();
});

const names = ["a", "b", "c", "d"].map((name) => `${name}@x.test`);
const told = ({ recipients }: Pick<DeliveryOutcome, "recipients">) =>
  recipients.map(({ ordinal, state }) => `${ordinal} ${state}`);

/** Delivers to each recipient in a transaction of its own, which takes so many seconds. */
async function delivered(
  recipients: Parameters<typeof deliveryOf>[0],
  seconds: number,
  recordPart: (part: DeliveryOutcome) => Promise<boolean> = () => Promise.resolve(true),
) {
  const peer = await new Peer().start();
  peers.push(peer);
  const relay = relayOf({
    kind: "smtp",
    hosts: [{ host: "127.0.0.1", port: peer.port }],
    limits: { recipientsPerMessage: 1 },
  });
  const base = testDelivering({ relays: { relay } });
  peer.manner.answer = (line) => {
    if (line === "message") base.time += seconds * 1000;
    return line.includes("<no") ? "550 5.1.1 No such user" : undefined;
  };
  const parts: DeliveryOutcome[] = [];
  const end = await new Promise<DeliveryOutcome>((resolve) => {
    const queue = {
      recordPart: (_: number, part: DeliveryOutcome) => {
        parts.push(part);
        return recordPart(part);
      },
    };
    const recorder = {
      record: (_: number, outcome: DeliveryOutcome) => Promise.resolve(resolve(outcome)),
    };
    const delivering = { ...base, queue, recorder, now: () => new Date(base.time) } as never;
    const lane = new Lane(delivering, { ended: () => {}, left: () => lane.close() });
    lane.add(deliveryOf(recipients, { attempts: 3 }), 1);
  });
  return { parts, end };
}

test("what is delivered is recorded while the rest is on its way, and the end names the rest", async () => {
  const { parts, end } = await delivered([...names, "no@x.test"], 2);
  expect(parts.map(told)).toEqual(["0", "1", "2", "3"].map((ordinal) => [`${ordinal} delivered`]));
  expect(parts[0]).toMatchObject({ attempts: 3, attempt: { host: "127.0.0.1", relay: "relay" } });
  expect(told(end)).toEqual(["4 bounced"]);
});

test("a delivery that is over soon is recorded at its end only", async () => {
  const { parts, end } = await delivered(names, 0.4);
  expect(parts).toEqual([]);
  expect(end.recipients).toHaveLength(4);
});

test("what its sender is to be told of waits for the end, as does what failed", async () => {
  const wanted = { forwardPath: "s@x.test", parameters: { notify: ["SUCCESS"] } };
  const { parts, end } = await delivered(["no@x.test", wanted, "a@x.test", "b@x.test"], 2);
  expect(parts.map(told)).toEqual([["2 delivered"]]);
  expect(told(end)).toEqual(["0 bounced", "1 delivered", "3 delivered"]);
  expect(end.report).toBeDefined();
});

test.each([
  ["the claim is lost", () => Promise.resolve(false)],
  ["Postgres is away", () => Promise.reject(new Error("gone"))],
])("where %s, the end names them all", async (_, recordPart) => {
  const { parts, end } = await delivered(names, 2, recordPart);
  expect(parts.length).toBeGreaterThan(0);
  expect(end.recipients).toHaveLength(4);
});
