/**
 * The preamble of the PROXY protocol, version 1 (text) and 2 (binary), by which a load balancer tells
 * whose connection it forwards.
 *
 * This file must not know sessions; whether to believe the preamble is decided by who asks for it.
 */
import { isIpv4, isIpv6 } from "../domain.ts";
import { decodeAscii } from "../wire-text.ts";
import type { Endpoint } from "./actions.ts";

/** What was read so far. */
export type ProxyPreamble =
  | { readonly kind: "incomplete" }
  | { readonly kind: "malformed" }
  | {
    readonly kind: "read";
    /** Octets of the preamble. */
    readonly length: number;
    /** Absent when the proxy speaks for itself (LOCAL) or does not know (UNKNOWN). */
    readonly ends?: { readonly source: Endpoint; readonly destination: Endpoint };
  };

/** The longest preamble that is taken: version 2 with room for what it may append. */
export const longestPreamble = 4096;

const incomplete: ProxyPreamble = { kind: "incomplete" };
const malformed: ProxyPreamble = { kind: "malformed" };
const signature = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
const word = [80, 82, 79, 88, 89, 32];
const longestLine = 107;

/** Reads the preamble at the beginning of a connection's bytes. */
export function readProxyPreamble(bytes: Uint8Array): ProxyPreamble {
  if (bytes.length === 0) return incomplete;
  if (bytes[0] === signature[0]) return startsWith(bytes, signature, readBinary);
  return startsWith(bytes, word, readText);
}

function startsWith(
  bytes: Uint8Array,
  expected: readonly number[],
  read: (bytes: Uint8Array) => ProxyPreamble,
): ProxyPreamble {
  const common = Math.min(bytes.length, expected.length);
  for (let index = 0; index < common; index++) {
    if (bytes[index] !== expected[index]) return malformed;
  }
  return bytes.length < expected.length ? incomplete : read(bytes);
}

function readText(bytes: Uint8Array): ProxyPreamble {
  const feed = bytes.subarray(0, longestLine).indexOf(10);
  if (feed === -1) return bytes.length < longestLine ? incomplete : malformed;
  if (bytes[feed - 1] !== 13) return malformed;
  const words = decodeAscii(bytes, 0, feed - 1).split(" ");
  const length = feed + 1;
  if (words[1] === "UNKNOWN") return { kind: "read", length };
  const isAddress = words[1] === "TCP4" ? isIpv4 : words[1] === "TCP6" ? isIpv6 : undefined;
  const [source, destination] = [words[2] ?? "", words[3] ?? ""];
  if (isAddress === undefined || words.length !== 6) return malformed;
  if (!isAddress(source) || !isAddress(destination)) return malformed;
  const ports = [words[4]!, words[5]!].map((port) => /^\d{1,5}$/.test(port) ? Number(port) : -1);
  if (ports.some((port) => port < 0 || port > 65_535)) return malformed;
  return {
    kind: "read",
    length,
    ends: {
      source: { address: source, port: ports[0]! },
      destination: { address: destination, port: ports[1]! },
    },
  };
}

function readBinary(bytes: Uint8Array): ProxyPreamble {
  if (bytes.length < 16) return incomplete;
  const command = bytes[12]!;
  const family = bytes[13]!;
  const body = bytes[14]! << 8 | bytes[15]!;
  const length = 16 + body;
  if (command >> 4 !== 2 || (command & 15) > 1 || length > longestPreamble) return malformed;
  if (bytes.length < length) return incomplete;
  if ((command & 15) === 0) return { kind: "read", length };
  // 0x11 is TCP over IPv4, 0x21 over IPv6; of others the addresses mean nothing to us.
  const size = family === 0x11 ? 4 : family === 0x21 ? 16 : 0;
  if (size === 0) return { kind: "read", length };
  if (body < size * 2 + 4) return malformed;
  const format = size === 4 ? formatIpv4 : formatIpv6;
  const ports = 16 + size * 2;
  return {
    kind: "read",
    length,
    ends: {
      source: {
        address: format(bytes.subarray(16, 16 + size)),
        port: bytes[ports]! << 8 | bytes[ports + 1]!,
      },
      destination: {
        address: format(bytes.subarray(16 + size, ports)),
        port: bytes[ports + 2]! << 8 | bytes[ports + 3]!,
      },
    },
  };
}

function formatIpv4(bytes: Uint8Array): string {
  return Array.from(bytes).join(".");
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zeros as `::`. */
function formatIpv6(bytes: Uint8Array): string {
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push(bytes[index]! << 8 | bytes[index + 1]!);
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const text = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
  if (best.at === -1) return text(groups);
  return `${text(groups.slice(0, best.at))}::${text(groups.slice(best.at + best.length))}`;
}
