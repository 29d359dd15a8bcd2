/**
 * The system's resolver configuration, as resolv.conf(5) describes it: servers and the options
 * for time-outs. Search lists are not used: mail domains are complete.
 *
 * This file must not know what is sent to the servers.
 */

import { readFileSync } from "node:fs";
import { isIP } from "node:net";

/** A DNS server. */
export interface DnsServer {
  /** An IPv4 or IPv6 address. */
  readonly address: string;
  readonly port: number;
  /** Whether its AD bit is believed: it validates, and the path to it cannot be tampered with. */
  readonly trusted: boolean;
}

/** What resolv.conf says. */
export interface ResolvConf {
  readonly servers: readonly DnsServer[];
  /** How long one try may take, in milliseconds. */
  readonly timeoutMs: number;
  /** How often all servers are tried. */
  readonly attempts: number;
}

/** Reads the text of a resolv.conf. Without a server it is the one on this host. */
export function parseResolvConf(text: string): ResolvConf {
  const addresses: string[] = [];
  const options = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [keyword, ...values] = line.replace(/^\s*[#;].*/, "").trim().split(/\s+/);
    if (keyword === "nameserver" && isIP((values[0] ?? "").replace(/%.*$/, "")) !== 0) {
      addresses.push(values[0]!);
    }
    if (keyword !== "options") continue;
    for (const option of values) {
      const [name, value] = option.split(":");
      options.set(name!, value ?? "");
    }
  }
  if (addresses.length === 0) addresses.push("127.0.0.1");
  const bounded = (name: string, standard: number, most: number) => {
    const value = Number.parseInt(options.get(name) ?? "", 10);
    return Number.isNaN(value) ? standard : Math.min(Math.max(value, 1), most);
  };
  const trustAll = options.has("trust-ad");
  return {
    servers: addresses.slice(0, 3).map((address) => ({
      address,
      port: 53,
      trusted: trustAll || isLoopback(address),
    })),
    timeoutMs: bounded("timeout", 5, 30) * 1000,
    attempts: bounded("attempts", 2, 5),
  };
}

/** Reads the file; if there is none, the server is the one on this host. */
export function readResolvConf(path = "/etc/resolv.conf"): ResolvConf {
  return parseResolvConf(readIfThere(path));
}

/** The text of a file, empty if there is none. Other faults are thrown. */
export function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf-8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

/** Whether the address is of this host alone. */
function isLoopback(address: string): boolean {
  return /^127\./.test(address) || address === "::1";
}

/** Reads `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353`. */
export function parseServer(text: string): { address: string; port: number } | undefined {
  if (isIP(text) !== 0) return { address: text, port: 53 };
  const found = /^(?:\[([^\]]+)\]|([^:\[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const address = found?.[1] ?? found?.[2] ?? "";
  const port = Number(found?.[3] ?? 53);
  if (isIP(address) === 0 || port < 1 || port > 65535) return undefined;
  return { address, port };
}
