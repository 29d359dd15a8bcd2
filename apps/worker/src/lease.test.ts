import { afterEach, expect, test } from "vitest";
import { Lane } from "./lane.ts";
import { SmtpTransport } from "./smtp-transport.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";
import { Peer } from "./testing/peer.ts";

const peers: Peer[] = [];

afterEach(async () => {
  for (const peer of peers.splice(0)) await peer.stop();
});

async function startPeer(): Promise<Peer> {
  const peer = await new Peer({}).start();
  peers.push(peer);
  return peer;
}

test("the end of content is sent only while the claim is held", async () => {
  const peer = await startPeer();
  const relay = relayOf({ kind: "smtp", hosts: [{ host: "127.0.0.1", port: peer.port }] });
  const transport = new SmtpTransport(testDelivering());
  // It was held when the delivery began and is not when the content has been read.
  const attempt = await transport.deliver(deliveryOf(["a@x.test"]), relay, () => false);
  expect(attempt.verdicts).toMatchObject([{ status: "later" }]);
  expect(peer.messages).toEqual([]);
  const again = await transport.deliver(deliveryOf(["a@x.test"]), relay, () => true);
  expect(again.verdicts).toMatchObject([{ status: "delivered" }]);
  expect(peer.messages.length).toBe(1);
  transport.close();
});

test("what a worker has in hand waits until its lease is certain; it does not begin when that is lost", async () => {
  const released: string[] = [];
  const recorded: unknown[] = [];
  const answers = [false, true];
  const base = testDelivering();
  const delivering = {
    ...base,
    lease: { holds: () => true, confirmed: () => Promise.resolve(answers.shift()!) },
    recorder: { record: (_: number, outcome: unknown) => Promise.resolve(recorded.push(outcome)) },
    queue: {
      release: (_: number, given: readonly { readonly messageId: string }[]) =>
        Promise.resolve(released.push(...given.map(({ messageId }) => messageId))),
    },
  } as never;
  let done = 0;
  await new Promise<void>((resolve) => {
    const left = () => {
      done += 1;
      if (done === 2) resolve();
    };
    const lane = new Lane(delivering, { ended: () => {}, left });
    lane.add(deliveryOf(["a@x.test"], { messageId: "lost" }), 1);
    lane.add(deliveryOf(["a@x.test"], { messageId: "kept", attempts: 3 }), 2);
  });
  expect(released).toEqual(["lost"]);
  expect(recorded).toMatchObject([{ messageId: "kept", attempts: 3 }]);
});
