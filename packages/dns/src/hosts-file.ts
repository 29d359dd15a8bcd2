/**
 * The hosts file (hosts(5)): addresses that the administrator gave to names of this network.
 * They are used for names without a dot and for `localhost`, which DNS does not know.
 *
 * This file must not know DNS.
 */

import { isIP } from "node:net";
import { readIfThere } from "./resolv-conf.ts";

/** Addresses by name in lower case. */
export type Hosts = ReadonlyMap<string, readonly string[]>;

/** Reads the text of a hosts file. `localhost` is there in any case (RFC 6761 §6.3). */
export function parseHosts(text: string): Hosts {
  const hosts = new Map<string, string[]>();
  for (const line of text.split(/\r?\n/)) {
    const [address = "", ...names] = line.replace(/#.*/, "").trim().split(/\s+/);
    if (isIP(address) === 0) continue;
    for (const name of names) {
      const key = name.toLowerCase();
      const addresses = hosts.get(key) ?? [];
      if (!addresses.includes(address)) addresses.push(address);
      hosts.set(key, addresses);
    }
  }
  if (!hosts.has("localhost")) hosts.set("localhost", ["127.0.0.1", "::1"]);
  return hosts;
}

/** Reads the file; an absent one is empty. */
export function readHosts(path = "/etc/hosts"): Hosts {
  return parseHosts(readIfThere(path));
}

/** The addresses of a name that the hosts file may speak for and does. */
export function localAddresses(hosts: Hosts, name: string): readonly string[] | undefined {
  if (name === "localhost" || name.endsWith(".localhost")) return hosts.get("localhost");
  return name.includes(".") ? undefined : hosts.get(name);
}
