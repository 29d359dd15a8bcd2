/**
 * Where a recipient's copy goes, and why. Pure: the same snapshot and the same request give the
 * same decision; real mail and explanations are decided by this one function.
 */
import { canonicalDomain, DEFAULT_RELAY } from "@postern/config";
import { lookUpNetwork } from "./networks.ts";
import type { Snapshot } from "./snapshot.ts";

/** What routing knows of the session a recipient was named in. */
export interface Sender {
  /** The client of the configuration that the session's address belongs to. */
  readonly client: string | undefined;
}

/** One step of the way to a decision. */
export type Reason =
  | { readonly kind: "domain"; readonly name: string; readonly matched: boolean }
  | { readonly kind: "client"; readonly name: string | null; readonly matched: boolean }
  /** A message of the gateway's own, such as a bounce, may go anywhere. */
  | { readonly kind: "gateway"; readonly matched: true };

/** What is to happen to one recipient. */
export type Decision =
  | {
    readonly action: "relay";
    readonly relay: string;
    /** The domain to look up for an `mx` relay; `""` where the relay names its hosts. */
    readonly nextHop: string;
    readonly reasons: readonly Reason[];
  }
  | {
    readonly action: "reject";
    readonly code: 550;
    readonly enhanced: "5.7.1" | "5.1.2";
    readonly text: string;
    readonly reasons: readonly Reason[];
  };

/** The client that an address belongs to; undefined for anybody else. */
export function clientAt(snapshot: Snapshot, address: string): string | undefined {
  return lookUpNetwork(snapshot.clientNetworks, address);
}

/**
 * Decides for one forward-path, `local-part@domain`.
 *
 * A domain of ours goes to its relay, whoever sends. Anything else is relayed only for those who
 * may: a client, or the gateway itself. Nobody else gets mail through (RFC 5321 §7.9).
 */
export function decide(
  snapshot: Snapshot,
  from: Sender | "gateway",
  forwardPath: string,
): Decision {
  const text = forwardPath.slice(forwardPath.lastIndexOf("@") + 1);
  // An address literal has no name to look up among the domains: it stays as it is.
  const domain = text.startsWith("[") ? text : canonicalDomain(text);
  if (domain === undefined) {
    return {
      action: "reject",
      code: 550,
      enhanced: "5.1.2",
      text: `${text} is not a domain name`,
      reasons: [],
    };
  }
  const ours = snapshot.domains.get(domain);
  const reasons: Reason[] = [{ kind: "domain", name: domain, matched: ours !== undefined }];
  if (ours !== undefined) return relayTo(snapshot, ours.relay, domain, reasons);

  if (from === "gateway") reasons.push({ kind: "gateway", matched: true });
  else {
    reasons.push({
      kind: "client",
      name: from.client ?? null,
      matched: from.client !== undefined,
    });
  }
  if (from === "gateway" || from.client !== undefined) {
    return relayTo(snapshot, DEFAULT_RELAY, domain, reasons);
  }
  return {
    action: "reject",
    code: 550,
    enhanced: "5.7.1",
    text: `${domain} is not relayed here for you`,
    reasons,
  };
}

function relayTo(
  snapshot: Snapshot,
  relay: string,
  domain: string,
  reasons: readonly Reason[],
): Decision {
  const nextHop = snapshot.relays.get(relay)?.kind === "mx" ? domain : "";
  return { action: "relay", relay, nextHop, reasons };
}
