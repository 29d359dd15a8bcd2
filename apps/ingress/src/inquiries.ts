/**
 * What trusted clients may ask besides sending mail: whether an address is good (VRFY), who is
 * behind it (EXPN), and that a domain's queue be run (ETRN). The answers come from the code that
 * decides real mail.
 */
import { canonicalDomain } from "@postern/config";
import { decide, type Decision, domainAt, routeMailbox, type Snapshot } from "@postern/routing";
import {
  canonicalAddress,
  type EtrnQuestion,
  type MailboxPath,
  parseMailbox,
  type Reply,
  reply,
} from "@postern/smtp";
import type { Ingress } from "./gateway-state.ts";
import { routingSession } from "./policy.ts";
import type { SessionFacts } from "./session-facts.ts";

/** What of the ingress the answers are made from. */
type Deciding = Pick<
  Ingress,
  "snapshot" | "hostname" | "now" | "recipientChecks" | "reverseOf"
>;

/** VRFY (RFC 5321 §3.5): 250 with the address, the refusal that RCPT would get, or 252. */
export async function verify(
  ingress: Deciding,
  facts: SessionFacts,
  argument: string,
): Promise<Reply> {
  const mailbox = mailboxOf(argument);
  if (mailbox === undefined) return NO_ADDRESS;
  const decision = await decideFor(ingress, facts, mailbox);
  if (decision.action === "deliver") return reply(250, "2.1.5", `<${mailbox.address}>`);
  return refusalOf(decision, mailbox);
}

/** EXPN: the mailboxes that mail for this address goes to. */
export async function expand(
  ingress: Deciding,
  facts: SessionFacts,
  argument: string,
): Promise<Reply> {
  const mailbox = mailboxOf(argument);
  if (mailbox === undefined) return NO_ADDRESS;
  const decision = await decideFor(ingress, facts, mailbox);
  if (decision.action !== "deliver") return refusalOf(decision, mailbox);
  // Copies that rules add for an archive are nobody's business.
  const meant = decision.copies.filter(({ added }) => added !== true);
  const members = new Set(meant.map(({ forwardPath }) => `<${forwardPath}>`));
  return reply(250, "2.1.5", ...members);
}

/** ETRN (RFC 1985): makes due what waits for a domain of ours. */
export async function startQueue(
  { snapshot, flush }: Pick<Ingress, "snapshot" | "flush">,
  { scope, name }: Pick<EtrnQuestion, "scope" | "name">,
): Promise<Reply> {
  if (scope === "queue") return reply(459, "4.5.4", "Queues have no names here: give a domain");
  const domains = domainsOf(snapshot, scope, canonicalDomain(name) ?? name);
  if (domains.length === 0) return reply(459, "4.7.1", `<${name}> is not a domain of ours`);
  const destinations = new Map<string, { relay: string; nextHop: string }>();
  for (const domain of domains) {
    const way = routeMailbox(snapshot, `postmaster@${domain}`);
    if (way === undefined) continue;
    const { relay, nextHop } = way;
    destinations.set(`${relay} ${nextHop}`, { relay, nextHop });
  }
  let due = 0;
  try {
    for (const destination of destinations.values()) due += await flush(destination) ?? 0;
  } catch {
    return reply(458, "4.3.0", "The queue cannot be reached: please try again later");
  }
  if (due === 0) return reply(251, "2.0.0", `No messages wait for <${name}>`);
  return reply(253, "2.0.0", `${due} pending messages for <${name}> started`);
}

/** The domains of ours that are meant; those below `*.` names are not known one by one. */
function domainsOf(snapshot: Snapshot, scope: EtrnQuestion["scope"], name: string): string[] {
  const found = domainAt(snapshot, name) === undefined ? [] : [name];
  if (scope === "domain") return found;
  const below = [...snapshot.domains.exact.keys()].filter((one) => one.endsWith(`.${name}`));
  return [...found, ...below.filter((one) => !one.startsWith("*."))];
}

const NO_ADDRESS = reply(553, "5.1.3", "An address is needed: local-part@domain");

function mailboxOf(argument: string): MailboxPath | undefined {
  const parsed = parseMailbox(argument.replace(/^<(.*)>$/, "$1"));
  return "mailbox" in parsed ? parsed.mailbox : undefined;
}

async function decideFor(
  { snapshot, hostname, now, recipientChecks, reverseOf }: Deciding,
  facts: SessionFacts,
  mailbox: MailboxPath,
): Promise<Exclude<Decision, { action: "ask" }>> {
  const known = new Map<string, boolean>();
  for (;;) {
    const decision = decide(snapshot, {
      session: routingSession(snapshot, facts),
      reversePath: "",
      forwardPath: canonicalAddress(mailbox),
      time: now(),
      hostname,
      known,
      reverseOf,
    });
    if (decision.action !== "ask") return decision;
    const { question } = decision;
    known.set(question.address, await recipientChecks.ask(snapshot, question));
  }
}

function refusalOf(
  { code, text }: Extract<Decision, { action: "reject" | "defer" }>,
  mailbox: MailboxPath,
): Reply {
  const line = `<${mailbox.address}>: ${text}`;
  return code >= 500 ? reply(code, "5.1.1", line) : reply(code, "4.1.1", line);
}
