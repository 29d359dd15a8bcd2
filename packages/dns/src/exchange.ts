/**
 * One query to one server and back: by UDP from a port of its own, by TCP if the response is
 * cut, without EDNS if the server does not know it. The only file that opens sockets.
 *
 * This file must not know other servers, retries or caches.
 */

import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { DnsServer } from "./resolv-conf.ts";
import { decodeResponse, encodeQuery } from "./wire.ts";
import type { Question, Response } from "./wire.ts";

/** What came of an exchange. */
export type Exchanged =
  | Response
  | { readonly kind: "timeout" }
  | { readonly kind: "unreachable"; readonly detail: string };

/** Asks one server. `randomId` gives 0 to 65535, unpredictably. */
export async function exchange(
  server: DnsServer,
  question: Question,
  timeoutMs: number,
  randomId: () => number,
): Promise<Exchanged> {
  const result = await askUdp(server, question, timeoutMs, randomId(), true);
  if (result.kind === "truncated") {
    return await askTcp(server, question, timeoutMs, randomId(), true);
  }
  const ednsUnknown = result.kind === "error" &&
    ["FORMERR", "NOTIMP", "BADVERS"].includes(result.rcode);
  if (!ednsUnknown) return result;
  // RFC 6891 §6.2.2, §7: a server of old may know the query but not the OPT record.
  const plain = await askUdp(server, question, timeoutMs, randomId(), false);
  if (plain.kind !== "truncated") return plain;
  return await askTcp(server, question, timeoutMs, randomId(), false);
}

function askUdp(
  server: DnsServer,
  question: Question,
  timeoutMs: number,
  id: number,
  edns: boolean,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const { address, port } = server;
    // A socket for each query has a port of its own, which a forger must guess (RFC 5452 §9.2).
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    let open = true;
    const finish = (result: Exchanged) => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      socket.close();
      resolve(result);
    };
    const timer = setTimeout(() => finish({ kind: "timeout" }), timeoutMs);
    socket.on("error", (error) => finish({ kind: "unreachable", detail: error.message }));
    socket.on("message", (octets, from) => {
      if (from.port !== port || !sameAddress(from.address, address)) return;
      const response = decodeResponse(octets, question, id);
      if (response !== undefined) finish(response);
    });
    socket.send(encodeQuery(question, id, edns), port, address, (error) => {
      if (error) finish({ kind: "unreachable", detail: error.message });
    });
  });
}

function askTcp(
  server: DnsServer,
  question: Question,
  timeoutMs: number,
  id: number,
  edns: boolean,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    const socket = connect({ host: server.address, port: server.port });
    let received: Uint8Array = new Uint8Array(0);
    let open = true;
    const finish = (result: Exchanged) => {
      if (!open) return;
      open = false;
      clearTimeout(timer);
      socket.destroy();
      resolve(result);
    };
    const timer = setTimeout(() => finish({ kind: "timeout" }), timeoutMs);
    socket.on("error", (error) => finish({ kind: "unreachable", detail: error.message }));
    socket.on("close", () => finish({ kind: "unreachable", detail: "connection closed" }));
    socket.on("connect", () => {
      const query = encodeQuery(question, id, edns);
      const framed = new Uint8Array(query.length + 2);
      framed.set([query.length >> 8, query.length & 0xff]);
      framed.set(query, 2);
      socket.write(framed);
    });
    socket.on("data", (chunk: Uint8Array) => {
      const more = new Uint8Array(received.length + chunk.length);
      more.set(received);
      more.set(chunk, received.length);
      received = more;
      // RFC 1035 §4.2.2: two octets of length, then the message.
      const length = received.length < 2 ? Infinity : (received[0]! << 8) | received[1]!;
      if (received.length < length + 2) return;
      const response = decodeResponse(received.subarray(2, length + 2), question, id);
      const whole = response !== undefined && response.kind !== "truncated";
      finish(whole ? response : { kind: "malformed" });
    });
  });
}

/** A response must come from where the query went; IPv6 text has more than one form. */
function sameAddress(a: string, b: string): boolean {
  return a === b || normalAddress(a) === normalAddress(b);
}

function normalAddress(address: string): string {
  const plain = address.replace(/%.*$/, "").toLowerCase();
  return isIPv6(plain) ? new URL(`http://[${plain}]/`).hostname : plain;
}
