/**
 * The ways of mail that no session brings: the gateway's own reports, and what is sent on from the
 * queue. No rule and no permission is asked.
 */
import { type Address, parseAddress } from "./addresses.ts";
import type { Reason } from "./decision.ts";
import type { RecipientFacts } from "./facts.ts";
import { existence, expand } from "./recipients.ts";
import { chooseRelay } from "./relays.ts";
import { domainAt, type Snapshot } from "./snapshot.ts";

/** Where a mailbox's copy goes. */
export interface Way {
  readonly relay: string;
  readonly nextHop: string;
}

/** The copies of a message of the gateway's own to one address. */
export interface OwnRoute {
  readonly copies: readonly (Way & { readonly forwardPath: string })[];
  readonly reasons: readonly Reason[];
}

/**
 * Where a report goes: to the mailboxes that mail from outside for the same address would reach, as
 * far as that is known without asking anybody. Undefined when it can go nowhere.
 */
export function routeOwn(
  snapshot: Snapshot,
  forwardPath: string,
  reverseOf?: RecipientFacts["reverseOf"],
): OwnRoute | undefined {
  const given = parseAddress(forwardPath);
  if (given === undefined) return undefined;
  const reasons: Reason[] = [];
  const note = (reason: Reason) => void reasons.push(reason);
  note({
    kind: "domain",
    name: given.domain,
    matched: domainAt(snapshot, given.domain) !== undefined,
  });
  note({ kind: "gateway", matched: true });
  const meant = withoutRewriting(snapshot, given, reverseOf, note);
  if (meant === undefined) return undefined;
  const address = meant === given ? orCatchAll(snapshot, given, note) : meant;
  const mailboxes = expand(snapshot, address, note) ?? [address];
  const copies = mailboxes.flatMap((mailbox) => {
    const way = wayTo(snapshot, mailbox);
    return way === undefined ? [] : [{ forwardPath: mailbox.text, ...way }];
  });
  return copies.length === 0 ? undefined : { copies, reasons };
}

/**
 * The way to a mailbox as it stands, by its domain's relay or the default one. Undefined when the
 * address has no domain, or its relay takes no mail.
 */
export function routeMailbox(snapshot: Snapshot, forwardPath: string): Way | undefined {
  const address = parseAddress(forwardPath);
  return address === undefined ? undefined : wayTo(snapshot, address);
}

/** Who a rewritten sender was; undefined where it is none that we made, or too old. */
function withoutRewriting(
  { rewritingDomains }: Snapshot,
  address: Address,
  reverseOf: RecipientFacts["reverseOf"],
  note: (reason: Reason) => void,
): Address | undefined {
  if (reverseOf === undefined || !rewritingDomains.has(address.domain)) return address;
  const back = reverseOf(address.text, address.domain);
  if (back.status === "notRewritten") return address;
  const sender = back.status === "reversed" ? parseAddress(back.address) : undefined;
  if (sender !== undefined) note({ kind: "senderRewriting", to: sender.text });
  return sender;
}

/** The catch-all of the domain for an address that surely does not exist. */
function orCatchAll(
  snapshot: Snapshot,
  address: Address,
  note: (reason: Reason) => void,
): Address {
  const found = domainAt(snapshot, address.domain);
  if (found === undefined || existence(found, address, undefined) !== "unknown") return address;
  const catchAll = parseAddress(found.domain.catchAll ?? "");
  if (catchAll === undefined) return address;
  note({ kind: "catchAll", address: address.text, to: [catchAll.text] });
  return catchAll;
}

function wayTo(snapshot: Snapshot, { text, domain }: Address): Way | undefined {
  const relay = domainAt(snapshot, domain)?.domain.relay;
  const chosen = chooseRelay(snapshot, relay, text, domain, false);
  return "refusal" in chosen ? undefined : { relay: chosen.relay, nextHop: chosen.nextHop };
}
