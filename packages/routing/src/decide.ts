/**
 * What becomes of a recipient, and why. Pure: the same snapshot and the same facts give the same
 * decision; real mail and explanations are decided by this one function, with more reasons noted
 * for an explanation.
 *
 * The steps, in this order: who sends; what the forward-path means; whether this session may send
 * there; what the domain asks; the rules; whether the recipient exists; aliases; the relay of each
 * copy. At RCPT the content is not known: the rules go as far as they can be decided, and what can
 * be refused by then is. The rest is accepted provisionally and decided again with the content.
 */
import { applyRules, type Effect } from "./actions.ts";
import { type Address, parseAddress } from "./addresses.ts";
import type { ConditionContext } from "./conditions.ts";
import type { Copy, CopyTreatment, Decision, Outcome, Reason, Refusal } from "./decision.ts";
import type { RecipientFacts } from "./facts.ts";
import { existence, expand } from "./recipients.ts";
import { chooseRelay } from "./relays.ts";
import { messageSizeFor, recipientsFor, refuseSender, senderLimits, tooLarge } from "./sender.ts";
import { domainAt, type Snapshot } from "./snapshot.ts";
import { findTarget, permission, type Target } from "./targets.ts";

/** How much is told. */
export interface DecideOptions {
  /** Every rule tried, every check made, every host: for people. Costs time; decides nothing else. */
  readonly explain?: boolean;
}

/** One decision on its way. */
interface Course {
  readonly snapshot: Snapshot;
  readonly facts: RecipientFacts;
  readonly explain: boolean;
  readonly note: (reason: Reason) => void;
  rule: string | null;
}

/** Decides about one recipient. */
export function decide(
  snapshot: Snapshot,
  facts: RecipientFacts,
  { explain = false }: DecideOptions = {},
): Decision {
  const reasons: Reason[] = [];
  const course: Course = {
    snapshot,
    facts,
    explain,
    note: (reason) => void reasons.push(reason),
    rule: null,
  };
  const outcome = follow(course);
  return { ...outcome, rule: course.rule, version: snapshot.version, reasons };
}

function follow(course: Course): Outcome {
  const { snapshot, facts, explain, note } = course;
  const refused = refuseSender(snapshot, facts);
  if (explain || refused) note({ kind: "check", name: "sender", passed: refused === undefined });
  if (refused) return refused;
  if (explain) {
    const { session } = facts;
    note({
      kind: "limits",
      messageSize: messageSizeFor(snapshot, session),
      recipients: recipientsFor(snapshot, session),
    });
  }
  const target = findTarget(snapshot, facts, note);
  if ("action" in target) return target;
  const refusal = permission(snapshot, facts, target, note) ?? checks(course, target);
  if (refusal !== undefined) return refusal;

  const effect = applyRules(snapshot, contextOf(facts, target), target.address, note, explain);
  course.rule = effect.rule;
  if (effect.refusal !== undefined) return effect.refusal;
  return deliver(course, target, effect);
}

/** What is asked of any mail for this recipient before rules: `name: refusal when not passed`. */
function checks({ snapshot, facts, explain, note }: Course, target: Target): Refusal | undefined {
  const { session, accepted, content, declaredSize } = facts;
  const { ours, privileged } = target;
  const domain = privileged ? undefined : ours?.domain;
  const policy = domain?.policy;
  const size = content?.size ?? declaredSize ?? 0;
  const most = messageSizeFor(snapshot, session);
  const made: [name: string, failed: boolean, refusal: () => Refusal][] = [
    ["messageSize", size > most, () => tooLarge(most)],
    [
      "recipients",
      (accepted?.total ?? 0) >= recipientsFor(snapshot, session),
      () => later("4.5.3", "Too many recipients in one message"),
    ],
  ];
  if (domain?.tls === "required") {
    made.push(["tls", !session.tls, () => no("5.7.10", "Mail for this domain needs TLS")]);
  }
  if (policy?.clients !== undefined) {
    const { clients } = policy;
    const one = session.user !== undefined ||
      session.client !== undefined && clients.includes(session.client);
    made.push(["clients", !one, () => no("5.7.1", "You may not send to this domain")]);
  }
  if (policy?.nullReversePath === "refuse") {
    made.push([
      "nullReversePath",
      facts.reversePath === "",
      () => no("5.7.1", "This domain takes no reports"),
    ]);
  }
  const maximumSize = domain?.maximumSize;
  if (maximumSize !== undefined) {
    made.push(["maximumSize", size > maximumSize, () => tooLarge(maximumSize)]);
  }
  const perMessage = policy?.recipientsPerMessage;
  if (perMessage !== undefined) {
    const before = accepted?.ofDomain ?? 0;
    made.push([
      "recipientsPerMessage",
      before >= perMessage,
      () => later("4.5.3", "Too many recipients of this domain in one message"),
    ]);
  }
  for (const [name, failed, refusal] of made) {
    if (explain || failed) note({ kind: "check", name, passed: !failed });
    if (failed) return refusal();
  }
  return undefined;
}

/** Taken for now: where it goes is found out when the content is there. */
const DECIDED_LATER: Outcome = { action: "deliver", provisional: true, copies: [] };

/** The copies of a recipient that nothing refused. */
function deliver(course: Course, target: Target, effect: Effect): Outcome {
  const { snapshot, facts, explain, note } = course;
  const routed = target.route.length > 0 && !effect.named;
  // Not refused here is who is not there, but may get another address; nor what this relay refuses.
  if (effect.mayBeReaddressed && !routed) return DECIDED_LATER;
  let address = effect.address;
  const found = domainAt(snapshot, address.domain);
  if (found !== undefined && !routed && !effect.named && !target.privileged) {
    const exists = existence(found, address, facts.known);
    if (typeof exists === "object") {
      const { relay } = found.domain;
      const chosen = chooseRelay(snapshot, relay, address.text, address.domain, false);
      if ("refusal" in chosen) return effect.mayBeRelayed ? DECIDED_LATER : chosen.refusal;
      const { nextHop } = chosen;
      const { ask, key } = exists;
      const question = {
        kind: ask,
        domain: found.name,
        address: key,
        relay: chosen.relay,
        nextHop,
      };
      return { action: "ask", question };
    }
    const known = exists === "known";
    if (explain || !known) note({ kind: "recipient", address: address.text, known });
    if (!known) {
      const catchAll = parseAddress(found.domain.catchAll ?? "");
      if (catchAll === undefined) return no("5.1.1", "No such recipient here");
      note({ kind: "catchAll", address: address.text, to: [catchAll.text] });
      address = catchAll;
    }
  }
  const mailboxes = routed ? [address] : expand(snapshot, address, note, facts.known);
  if (mailboxes === undefined) return later("4.3.5", "Its aliases come to too many mailboxes", 451);

  const copies: Copy[] = [];
  const treatment = treatmentOf(facts, target, effect, routed);
  const hold = effect.hold ?? target.hold;
  for (const mailbox of mailboxes) {
    const hop = routed ? target.route[0]! : mailbox.domain;
    const relay = effect.relay ?? domainAt(snapshot, hop)?.domain.relay;
    const chosen = chooseRelay(snapshot, relay, mailbox.text, hop, explain);
    if (explain) note(chosen.reason);
    if ("refusal" in chosen) return effect.mayBeRelayed ? DECIDED_LATER : chosen.refusal;
    copies.push({
      forwardPath: mailbox.text,
      relay: chosen.relay,
      nextHop: chosen.nextHop,
      treatment,
      ...(hold === undefined ? {} : { hold }),
      tags: effect.tags,
    });
  }
  for (const mailbox of addedMailboxes(snapshot, effect, note)) {
    const relay = domainAt(snapshot, mailbox.domain)?.domain.relay;
    const chosen = chooseRelay(snapshot, relay, mailbox.text, mailbox.domain, explain);
    if (explain) note(chosen.reason);
    if ("refusal" in chosen) return chosen.refusal;
    const { nextHop } = chosen;
    // Archives get the message as it came: without edits, and whether it is held or not.
    copies.push({
      forwardPath: mailbox.text,
      relay: chosen.relay,
      nextHop,
      treatment: {},
      tags: effect.tags,
      added: true,
    });
  }
  return { action: "deliver", provisional: isProvisional(course, target, effect), copies };
}

function addedMailboxes(
  snapshot: Snapshot,
  { added }: Effect,
  note: (reason: Reason) => void,
): readonly Address[] {
  if (added.length === 0) return [];
  const found = new Map<string, Address>();
  for (const address of added) {
    for (const mailbox of expand(snapshot, address, note) ?? [address]) {
      found.set(mailbox.text, mailbox);
    }
  }
  return [...found.values()];
}

/** Whether the content can still change what was decided without it. */
function isProvisional(
  { snapshot, facts: { content, session } }: Course,
  { ours }: Target,
  { undecided }: Effect,
): boolean {
  return content === undefined && (
    undecided || ours?.domain.maximumSize !== undefined ||
    senderLimits(snapshot, session).some(({ limits }) => limits.messageSize !== undefined)
  );
}

function treatmentOf(
  { reversePath }: RecipientFacts,
  { route, via }: Target,
  effect: Effect,
  routed: boolean,
): CopyTreatment {
  // The way back goes through us, as the way there did (RFC 821 §3.6); a report has none.
  let sender = effect.reversePath;
  if (via !== undefined && !effect.named && reversePath !== "") {
    sender = `@${via}:${sender ?? reversePath}`;
  }
  return {
    ...(sender === undefined ? {} : { reversePath: sender }),
    ...(routed ? { sourceRoute: route } : {}),
    ...(effect.edits.length === 0 ? {} : { edits: effect.edits }),
  };
}

function contextOf(facts: RecipientFacts, { address }: Target): ConditionContext {
  const { session, content, time } = facts;
  return {
    client: session.client,
    user: session.user,
    tls: session.tls,
    address: session.address,
    helo: session.helo,
    reversePath: parseAddress(facts.reversePath)?.text ?? facts.reversePath,
    forwardPath: address.text,
    domain: address.domain,
    content,
    time,
  };
}

function no(enhanced: string, text: string): Refusal {
  return { action: "reject", code: 550, enhanced, text };
}

function later(enhanced: string, text: string, code = 452): Refusal {
  return { action: "defer", code, enhanced, text };
}
