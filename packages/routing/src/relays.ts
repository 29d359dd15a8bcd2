/**
 * Which relay a copy goes by, and what the decision says of it: splits are resolved here, so that
 * the queue only ever sees relays that deliver.
 *
 * This file must not know rules.
 */
import { DEFAULT_RELAY, type Relay } from "@postern/config";
import type { Reason, Refusal } from "./decision.ts";
import type { Snapshot } from "./snapshot.ts";

/** A relay chosen for an address, or the reply of one that refuses. */
export type ChosenRelay =
  | { readonly relay: string; readonly nextHop: string; readonly reason: Reason }
  | { readonly refusal: Refusal; readonly reason: Reason };

/**
 * Chooses the relay for an address. `nextHop` is what an `mx` relay looks up. A split sends the
 * same address to the same relay always: by a hash of it, not by chance.
 */
export function chooseRelay(
  snapshot: Snapshot,
  wanted: string | undefined,
  address: string,
  nextHop: string,
  explain: boolean,
): ChosenRelay {
  let name = wanted ?? DEFAULT_RELAY;
  let relay = snapshot.relays.get(name);
  let by: string | undefined;
  if (relay?.kind === "split") {
    by = name;
    const share = percentOf(address);
    const [first, second] = relay.relays;
    name = share < first!.percent ? first!.relay : second!.relay;
    relay = snapshot.relays.get(name);
  }
  const reason: Reason = {
    kind: "relay",
    address,
    relay: name,
    ...(by === undefined ? {} : { by }),
    ...(explain ? { hosts: hostsOf(relay, nextHop) } : {}),
  };
  if (relay?.kind === "reject") {
    const { code, enhanced, text } = relay;
    return { refusal: { action: "reject", code, enhanced, text }, reason };
  }
  if (relay === undefined || relay.kind === "split") return { refusal: notUsable(name), reason };
  return { relay: name, nextHop: relay.kind === "mx" ? nextHop : "", reason };
}

/** The store lets no resource point at nothing; mail must survive it all the same. */
function notUsable(name: string): Refusal {
  return {
    action: "defer",
    code: 451,
    enhanced: "4.3.5",
    text: `The relay ${name} is not usable as it is configured`,
  };
}

/** Where the relay connects to, in the order it tries. */
function hostsOf(relay: Relay | undefined, nextHop: string): string[] {
  switch (relay?.kind) {
    case "mx":
      return [`MX of ${nextHop}, port ${relay.port}`];
    case "smtp":
    case "lmtp":
      return relay.hosts.map(({ host, port, priority }, place) => ({
        name: host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`,
        priority: priority ?? place,
      })).sort((a, b) => a.priority - b.priority).map(({ name }) => name);
    case "http":
      return [relay.url];
    default:
      return [];
  }
}

/** 0 to just under 100, the same for the same address: FNV-1a over its lower case, then mixed. */
function percentOf(address: string): number {
  let hash = 0x811c9dc5;
  for (const character of address.toLowerCase()) {
    hash = Math.imul(hash ^ character.codePointAt(0)!, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash ^= hash >>> 13;
  return (hash >>> 0) / 2 ** 32 * 100;
}
