/**
 * What a forward-path means before any rule is asked: `<postmaster>`, the way back of a rewritten
 * sender, a source route, or just the mailbox it names; and whether this session may send there.
 *
 * This file must not know rules or aliases.
 */
import { canonicalDomain } from "@postern/config";
import { type Address, parseAddress } from "./addresses.ts";
import type { Reason, Refusal } from "./decision.ts";
import type { FoundDomain } from "./domains.ts";
import type { RecipientFacts } from "./facts.ts";
import { mayRelay, senderOf } from "./sender.ts";
import { domainAt, type Snapshot } from "./snapshot.ts";

/** Where a forward-path leads. */
export interface Target {
  readonly address: Address;
  /** The domain of ours that the address is in. */
  readonly ours: FoundDomain | undefined;
  /** A source route still to be gone, the next host first; empty without one. */
  readonly route: readonly string[];
  /** The name of ours that was at the route's front. */
  readonly via: string | undefined;
  /** May be delivered to whoever sends, and its existence is certain. */
  readonly privileged: boolean;
  /** Why nobody can be given it. */
  readonly hold?: string;
}

/** Reads a forward-path, or says why it cannot be taken. */
export function findTarget(
  snapshot: Snapshot,
  facts: RecipientFacts,
  note: (reason: Reason) => void,
): Target | Refusal {
  if (facts.forwardPath.toLowerCase() === "postmaster") return postmaster(snapshot, facts, note);
  const address = parseAddress(facts.forwardPath);
  if (address === undefined) {
    const text = facts.forwardPath.slice(facts.forwardPath.lastIndexOf("@") + 1);
    return rejection("5.1.2", `${text} is not a domain name`);
  }
  const ours = domainAt(snapshot, address.domain);
  note({
    kind: "domain",
    name: address.domain,
    matched: ours !== undefined,
    ...(ours !== undefined && ours.name !== address.domain ? { by: ours.name } : {}),
  });
  if (snapshot.rewritingDomains.has(address.domain) && facts.reverseOf !== undefined) {
    const back = facts.reverseOf(address.text, address.domain);
    if (back.status === "reversed") return wayBack(snapshot, back.address, note);
    if (back.status !== "notRewritten") {
      return rejection("5.1.1", `This rewritten address is ${back.status}`);
    }
  }
  const route = facts.sourceRoute ?? [];
  if (route.length === 0) return plain(address, ours);
  return byRoute(snapshot, facts, address, ours, route, note);
}

/**
 * Whether the session may send there (no open relay: RFC 5321 §7.9). Decided before any rule, and
 * by no rule.
 */
export function permission(
  snapshot: Snapshot,
  { session }: RecipientFacts,
  target: Target,
  note: (reason: Reason) => void,
): Refusal | undefined {
  if (target.privileged) return undefined;
  // On a source route the next host is who gets the message: it must be allowed as such.
  const host = target.route[0];
  const next = host === undefined ? target.address.domain : host;
  if (host === undefined ? target.ours !== undefined : domainAt(snapshot, host) !== undefined) {
    return undefined;
  }
  const sender = senderOf(snapshot, session);
  const name = session.client ?? null;
  note({ kind: "client", name, matched: sender.client?.client.mayRelay ?? false });
  if (session.user !== undefined) {
    note({ kind: "user", name: session.user, matched: sender.user?.user.mayRelay ?? false });
  }
  if (mayRelay(sender)) return undefined;
  return rejection("5.7.1", `${next} is not relayed here for you`);
}

function plain(address: Address, ours: FoundDomain | undefined): Target {
  return { address, ours, route: [], via: undefined, privileged: false };
}

/** `<postmaster>` alone must be taken by every host (RFC 5321 §4.5.1). */
function postmaster(
  snapshot: Snapshot,
  { hostname }: RecipientFacts,
  note: (reason: Reason) => void,
): Target {
  const configured = snapshot.settings.postmaster;
  const address = parseAddress(configured ?? `postmaster@${nearestDomain(snapshot, hostname)}`) ??
    { local: "postmaster", domain: hostname, text: `postmaster@${hostname}` };
  note({ kind: "postmaster", to: address.text });
  const ours = domainAt(snapshot, address.domain);
  const target = { address, ours, route: [], via: undefined, privileged: true };
  if (configured !== undefined || ours !== undefined) return target;
  return { ...target, hold: "For the postmaster, whom the settings do not name" };
}

/** Our own name, or the nearest domain above it that is a domain of ours. */
function nearestDomain(snapshot: Snapshot, hostname: string): string {
  const labels = hostname.toLowerCase().split(".");
  for (let first = 0; first < labels.length; first += 1) {
    const domain = labels.slice(first).join(".");
    if (domainAt(snapshot, domain) !== undefined) return domain;
  }
  return hostname;
}

/** We gave the rewritten address out ourselves, so that what comes to it may go on. */
function wayBack(
  snapshot: Snapshot,
  text: string,
  note: (reason: Reason) => void,
): Target | Refusal {
  const address = parseAddress(text);
  if (address === undefined) return rejection("5.1.1", "This rewritten address leads nowhere");
  note({ kind: "senderRewriting", to: address.text });
  const ours = domainAt(snapshot, address.domain);
  return { address, ours, route: [], via: undefined, privileged: true };
}

/** Source routes (RFC 5321 appendix C): the final domain's way with them, else the client's. */
function byRoute(
  snapshot: Snapshot,
  { session, hostname }: RecipientFacts,
  address: Address,
  ours: FoundDomain | undefined,
  route: readonly string[],
  note: (reason: Reason) => void,
): Target | Refusal {
  const { client } = senderOf(snapshot, session);
  const mode = ours?.domain.sourceRoutes ?? client?.client.sourceRoutes ?? "strip";
  if (mode === "refuse") {
    return {
      action: "reject",
      code: 553,
      enhanced: "5.1.3",
      text: "Source routes are not accepted",
    };
  }
  if (mode === "strip") return plain(address, ours);
  const own = hostname.toLowerCase();
  let taken = 0;
  while (route[taken]?.toLowerCase() === own) taken += 1;
  const rest = route.slice(taken).map((host) => canonicalDomain(host) ?? host);
  const via = taken > 0 ? hostname : undefined;
  note({ kind: "sourceRoute", to: rest[0] ?? address.domain });
  return { address, ours, route: rest, via, privileged: false };
}

function rejection(enhanced: string, text: string): Refusal {
  return { action: "reject", code: 550, enhanced, text };
}
