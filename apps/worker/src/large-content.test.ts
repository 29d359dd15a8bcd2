/** Content that streams from the store: whole at the next hop, and freed once it was sent. */
import { expect, test } from "vitest";
import { SmtpTransport } from "./smtp-transport.ts";
import { selfSigned } from "./testing/certificates.ts";
import { deliveryOf, relayOf, testDelivering } from "./testing/delivering.ts";
import { Peer, type PeerManner } from "./testing/peer.ts";

const text = "Subject: large\r\nX-Other: x\r\n\r\n" +
  Array.from(
    { length: 9000 },
    (_, line) => `${line % 5 === 0 ? "." : ""}${line} ${"y".repeat(60)}\r\n`,
  )
    .join("");
const bytes = new TextEncoder().encode(text);

/** Pieces as the store has them, and some that do not end where a chunk does. */
const STORED = 256 * 1024;
const ODD = 100_001;

/** What makes BDAT the way of content. */
const BDAT = ["CHUNKING", "BINARYMIME"];

const manners: readonly (readonly [string, number, PeerManner])[] = [
  ["DATA", STORED, { offers: ["8BITMIME"] }],
  ["BDAT", STORED, { offers: [...BDAT, "PIPELINING"] }],
  ["BDAT, one chunk at a time,", STORED, { offers: BDAT, answersLate: true }],
  ["BDAT, one chunk at a time,", ODD, { offers: BDAT, answersLate: true }],
  ["DATA over TLS", STORED, { certificate: selfSigned, offers: ["8BITMIME"] }],
  ["BDAT over TLS", STORED, { certificate: selfSigned, offers: BDAT }],
  ["BDAT over TLS", ODD, { certificate: selfSigned, offers: BDAT }],
];

test.each(manners)(
  "large content arrives whole by %s in pieces of %d, which are freed",
  async (by, most, manner) => {
    const command = by.slice(0, 4);
    const peer = await new Peer(manner).start();
    const delivering = testDelivering({ hosts: { "mx.test": ["127.0.0.1"] } });
    const given: Uint8Array[] = [];
    const queue = {
      ...delivering.queue,
      async *readContent() {
        for (let at = 0; at < bytes.length; at += most) {
          const piece = bytes.slice(at, at + most);
          given.push(piece);
          yield piece;
        }
      },
    };
    const transport = new SmtpTransport({ ...delivering, queue });
    try {
      const edits = [{ add: "X-Added", value: "yes" }, { remove: "X-Other" }];
      const attempt = await transport.deliver(
        deliveryOf(["a@x.test", { forwardPath: "b@x.test", treatment: { edits } }], {
          content: undefined,
          size: bytes.length,
          parameters: command === "BDAT" ? { body: "BINARYMIME" } : {},
        }),
        relayOf({ kind: "smtp", hosts: [{ host: "mx.test", port: peer.port }] }),
      );
      expect(attempt.verdicts.map(({ status }) => status)).toEqual(["delivered", "delivered"]);
      expect(peer.said.some((line) => line.startsWith(command))).toBe(true);
      const contents = peer.messages.map(({ content }) => content);
      const edited = `X-Added: yes\r\n${text.replace("X-Other: x\r\n", "")}`;
      expect(contents.map((content) => content === text)).toContain(true);
      expect(contents.map((content) => content === edited)).toContain(true);
      // Of two readings for sending all but the last pieces; one more read the header alone.
      const pieces = Math.ceil(bytes.length / most);
      const freed = given.filter(({ length }) => length === 0).length;
      expect(freed).toBeGreaterThanOrEqual(2 * (pieces - 1));
      expect(given.length - freed).toBeLessThanOrEqual(3);
    } finally {
      transport.close();
      await peer.stop();
    }
  },
);
