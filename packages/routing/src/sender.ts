/**
 * What clients and users may: the reverse-paths they use, the sizes and numbers they keep to,
 * and whether they may send to domains that are not ours.
 *
 * This file must not know recipients or rules.
 */
import type { SenderLimits } from "@postern/config";
import { parseAddress } from "./addresses.ts";
import type { Refusal } from "./decision.ts";
import { lookUpDomain } from "./domains.ts";
import type { SenderFacts, SessionFacts } from "./facts.ts";
import { matches } from "./patterns.ts";
import type { CompiledClient, CompiledUser, Snapshot } from "./snapshot.ts";

/** Who sends, as the configuration knows them. */
export interface Sender {
  readonly client: CompiledClient | undefined;
  readonly user: CompiledUser | undefined;
}

/** A limit that is in force for a sender, and whose it is: all sessions of that name share it. */
export interface SenderLimit {
  readonly kind: "client" | "user";
  readonly name: string;
  readonly limits: SenderLimits;
}

/** Client and user of a session. A user who is disabled or gone is none. */
export function senderOf(snapshot: Snapshot, session: SessionFacts): Sender {
  const client = session.client === undefined ? undefined : snapshot.clients.get(session.client);
  const user = session.user === undefined ? undefined : snapshot.users.get(session.user);
  return { client, user: user?.user.disabled ? undefined : user };
}

/** Whether the sender may send to domains that are not ours. */
export function mayRelay({ client, user }: Sender): boolean {
  return (client?.client.mayRelay ?? false) || (user?.user.mayRelay ?? false);
}

/** The limits of the session's client and user. Each that is there holds. */
export function senderLimits(snapshot: Snapshot, session: SessionFacts): SenderLimit[] {
  const { client, user } = senderOf(snapshot, session);
  const found: SenderLimit[] = [];
  if (client?.client.limits !== undefined) {
    found.push({ kind: "client", name: session.client!, limits: client.client.limits });
  }
  if (user?.user.limits !== undefined) {
    found.push({ kind: "user", name: session.user!, limits: user.user.limits });
  }
  return found;
}

/** Bytes of content that the sender may send in one message. */
export function messageSizeFor(snapshot: Snapshot, session: SessionFacts): number {
  return Math.min(
    snapshot.settings.smtp.messageSize,
    ...senderLimits(snapshot, session).map(({ limits }) => limits.messageSize ?? Infinity),
  );
}

/** Recipients that the sender may name in one message. */
export function recipientsFor(snapshot: Snapshot, session: SessionFacts): number {
  return Math.min(
    snapshot.settings.smtp.recipientsPerMessage,
    ...senderLimits(snapshot, session).map(({ limits }) => limits.recipients ?? Infinity),
  );
}

/**
 * Why the sender may not send this; undefined when it may. Asked at MAIL and again for each
 * recipient. The null reverse-path is anybody's: whoever takes mail must be able to report on it.
 */
export function refuseSender(snapshot: Snapshot, facts: SenderFacts): Refusal | undefined {
  const { session, reversePath, declaredSize } = facts;
  const most = messageSizeFor(snapshot, session);
  if (declaredSize !== undefined && declaredSize > most) return tooLarge(most);
  const { client, user } = senderOf(snapshot, session);
  if (session.user !== undefined && user === undefined) {
    const text = "The user that you authenticated as is gone or disabled";
    return { action: "reject", code: 530, enhanced: "5.7.0", text };
  }
  if (reversePath === "") return undefined;
  const senders = user?.senders;
  const domains = client?.senderDomains;
  if (senders === undefined && domains === undefined) return undefined;
  const address = parseAddress(reversePath);
  if (address !== undefined) {
    const goodForUser = senders === undefined || matches(senders, address.text);
    const goodForClient = domains === undefined ||
      lookUpDomain(domains, address.domain) !== undefined;
    if (goodForUser && goodForClient) return undefined;
  }
  return {
    action: "reject",
    code: 553,
    enhanced: "5.7.1",
    text: `<${reversePath}> is not a sender address of yours`,
  };
}

/** The refusal of content or a declared size above a limit (RFC 1870 §6.1). */
export function tooLarge(most: number): Refusal {
  return {
    action: "reject",
    code: 552,
    enhanced: "5.3.4",
    text: `The message is larger than ${most} bytes`,
  };
}
