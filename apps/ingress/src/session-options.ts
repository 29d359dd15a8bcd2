/**
 * What the protocol core is told about one session: by the kind of its listener, the settings in
 * force, and who the client is. Asked anew at each EHLO, so that a change holds for open sessions.
 */
import type { Client } from "@postern/config";
import type { SmtpListener } from "@postern/process";
import {
  identifyClient,
  mayRelay,
  messageSizeFor,
  recipientsFor,
  senderOf,
  type SessionFacts as RoutingSession,
  type Snapshot,
} from "@postern/routing";
import type { ServerExtensions, ServerSessionOptions, ServerTrust } from "@postern/smtp";
import { mechanismsOf } from "./authentication.ts";
import type { Ingress } from "./gateway-state.ts";
import { LARGEST_HEADER, MAX_HEADER_FIELDS } from "./message-front.ts";
import { routingSession } from "./policy.ts";
import type { SessionFacts } from "./session-facts.ts";

/** What the kind of a listener asks for: users submit only by TLS and AUTH (RFC 6409, RFC 8314). */
export function listenerOptions(kind: SmtpListener["kind"]): Partial<ServerSessionOptions> {
  if (kind === "smtp") return {};
  return { flavour: "submission", tlsRequired: true, authRequired: true };
}

/** A sender may have mail held for so long (FUTURERELEASE, RFC 4865). */
const LONGEST_HOLD_SECONDS = 7 * 24 * 3600;

/**
 * Octets of a local part and of a path. RFC 5321 §4.5.3.1 asks for 64 and 256 at least; a forwarder
 * that rewrites senders (SRS) puts a whole address into a local part. More would not fit into a line of a header, 998 octets.
 */
const LOCAL_PART_OCTETS = 400;
const PATH_OCTETS = 700;

/** What many sessions of an ingress share under one configuration, for a minute. */
interface Shared {
  readonly authenticator: Ingress["authenticator"];
  /** Until when what is told of times is good enough, in milliseconds since 1970. */
  readonly until: number;
  readonly options: Map<string, Partial<ServerSessionOptions>>;
}

const SHARED_MILLISECONDS = 60_000;

const shared = new WeakMap<Snapshot, Shared>();

/**
 * What settings, client and user ask for. The same object for all sessions that get the same: they
 * are many, and the core works it out once.
 */
export function sessionOptions(
  ingress: Pick<Ingress, "snapshot" | "authenticator" | "now">,
  facts: SessionFacts,
): Partial<ServerSessionOptions> {
  const { snapshot, authenticator } = ingress;
  const session = routingSession(snapshot, facts);
  if (facts.speaker !== undefined) return optionsOf(ingress, facts, session);
  const time = ingress.now().getTime();
  let known = shared.get(snapshot);
  if (known === undefined || known.authenticator !== authenticator || known.until <= time) {
    known = { authenticator, until: time + SHARED_MILLISECONDS, options: new Map() };
    shared.set(snapshot, known);
  }
  const who = JSON.stringify([isForMailHosts(facts), session.client, session.user]);
  let options = known.options.get(who);
  if (options === undefined) {
    options = optionsOf(ingress, facts, session);
    known.options.set(who, options);
  }
  return options;
}

function optionsOf(
  { snapshot, authenticator, now }: Pick<Ingress, "snapshot" | "authenticator" | "now">,
  facts: SessionFacts,
  session: RoutingSession,
): Partial<ServerSessionOptions> {
  const { smtp } = snapshot.settings;
  return {
    limits: {
      messageSize: messageSizeFor(snapshot, session),
      recipients: recipientsFor(snapshot, session),
      localPart: LOCAL_PART_OCTETS,
      path: PATH_OCTETS,
      contentLine: smtp.lineLength,
      errors: smtp.errorsPerSession,
      transactions: smtp.messagesPerSession,
      headerSize: LARGEST_HEADER,
      headerFields: MAX_HEADER_FIELDS,
      receivedFields: smtp.receivedFields,
    },
    lineEnds: smtp.lineEnds,
    tarpit: smtp.tarpit,
    // Where nobody could authenticate, nobody is invited to.
    auth: { mechanisms: snapshot.users.size === 0 ? [] : mechanismsOf(authenticator) },
    // What else the core offers by itself, delivery honours.
    extensions: extensionsOf(submits(snapshot, facts, session), now()),
    trust: trustOf(snapshot, facts, session),
    // Domains and clients say what becomes of source routes: policy gets them as they were given.
    sourceRoutes: "honour",
    localNames: [],
    // Whoever is named by XCLIENT has authenticated there. Always said: it may be taken back.
    authRequired: !isForMailHosts(facts) &&
      (facts.speaker === undefined || facts.user === undefined),
  };
}

/** Whether this is somebody's own mail: RFC 4865 is for submission. */
function submits(snapshot: Snapshot, facts: SessionFacts, session: RoutingSession): boolean {
  return !isForMailHosts(facts) || mayRelay(senderOf(snapshot, session));
}

function isForMailHosts({ listener }: SessionFacts): boolean {
  return listener.startsWith("smtp:");
}

/** Strangers have no mail held, and jump no queue (RFC 4865, RFC 6710). */
function extensionsOf(submits: boolean, now: Date): Partial<ServerExtensions> {
  return {
    futureRelease: submits && holding(now),
    mtPriority: { profile: "", ...(submits ? {} : { highest: 0 }) },
  };
}

function holding(now: Date): { readonly maximumSeconds: number; readonly latest: string } {
  const latest = new Date(now.getTime() + LONGEST_HOLD_SECONDS * 1000);
  return {
    maximumSeconds: LONGEST_HOLD_SECONDS,
    latest: latest.toISOString().replace(/\.\d+Z$/, "Z"),
  };
}

function trustOf(
  snapshot: Snapshot,
  facts: SessionFacts,
  { client }: RoutingSession,
): ServerTrust {
  const trusted = trustList(snapshot, client);
  // Who speaks for others stays the same, whomever he spoke for before.
  const speaker = facts.speaker === undefined
    ? trusted
    : trustList(snapshot, identifyClient(snapshot, { address: facts.speaker }));
  return {
    vrfy: trusted.includes("vrfy"),
    expn: trusted.includes("expn"),
    etrn: trusted.includes("etrn"),
    authParameter: trusted.includes("auth"),
    xclient: speaker.includes("xclient"),
    xforward: speaker.includes("xforward"),
  };
}

function trustList(snapshot: Snapshot, client: string | undefined): Client["trust"] {
  return client === undefined ? [] : snapshot.clients.get(client)?.client.trust ?? [];
}
