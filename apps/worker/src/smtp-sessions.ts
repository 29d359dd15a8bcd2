/**
 * Opens sessions for a destination: finds its hosts, tries them in order, remembers which could not
 * be reached, goes in clear where a policy allows it, and renews a token that was refused.
 *
 * This file must not know messages.
 */
import {
  type ClientCredentials,
  replyOfFailure,
  type SessionFailure,
  statusOfFailure,
} from "@postern/smtp";
import type { Destination } from "@postern/store";
import { readyCredentials } from "./credentials.ts";
import type { Delivering } from "./delivering.ts";
import {
  type NextHopSession,
  type Opened,
  openNextHopSession,
  type SessionManner,
} from "./next-hop-session.ts";
import { findNextHops, type HostRelay, type NextHop } from "./next-hops.ts";
import { replyText } from "./verdict.ts";

/** Hosts tried in one attempt, where the relay does not say. */
const HOSTS_PER_ATTEMPT = 5;

/** A host that gave no session, and what was said. */
export interface Tried {
  readonly host: string;
  readonly reply: string;
}

/** A session, or why there is none; with the hosts that were tried in vain. */
export type Session =
  | { readonly session: NextHopSession; readonly tried: readonly Tried[] }
  | {
    readonly status: "later" | "never";
    readonly reply: string;
    readonly tried: readonly Tried[];
  };

/** Opens a session with the first next hop that will have one. */
export async function openSession(
  relay: HostRelay,
  destination: Destination,
  delivering: Delivering,
): Promise<Session> {
  const { hostname, resolver, hosts, random, memory } = delivering;
  const ownNames = [hostname, ...(relay.ehloName === undefined ? [] : [relay.ehloName])];
  const found = await findNextHops(relay, destination, { resolver, hosts, ownNames, random });
  if (found.status !== "found") {
    const status = found.status === "permanent" ? "never" : "later";
    return { status, reply: found.reply, tried: [] };
  }
  const tried: Tried[] = [];
  let answer: { readonly status: "later" | "never"; readonly reply: string } | undefined;
  const most = relay.limits?.hostsPerAttempt ?? HOSTS_PER_ATTEMPT;
  for (const hop of memory.inOrder(found.hops).slice(0, most)) {
    const result = await openWith(hop, relay, delivering);
    if ("session" in result) return { session: result.session, tried };
    tried.push({ host: hop.host, reply: result.reply });
    // One host that may take it later is reason to wait, whatever the others say.
    if (answer?.status !== "later") answer = result;
  }
  return { ...answer ?? { status: "later", reply: "451 4.4.4 No next hop has an address" }, tried };
}

type OneResult =
  | { readonly session: NextHopSession }
  | { readonly status: "later" | "never"; readonly reply: string };

async function openWith(
  hop: NextHop,
  relay: HostRelay,
  delivering: Delivering,
): Promise<OneResult> {
  const { log, memory, tokens } = delivering;
  const given = "credentials" in relay ? relay.credentials : undefined;
  const oauth2 = given !== undefined && "oauth2" in given ? given.oauth2 : undefined;
  let renewed = false;
  for (;;) {
    const ready = await readyCredentials(given, delivering);
    if ("problem" in ready) return { status: "later", reply: `451 4.7.0 ${ready.problem}` };
    const opened = await openTwice(hop, relay, ready.credentials, delivering);
    if (opened.status === "open") return { session: opened.session };
    if (opened.status === "notConnected") {
      return { status: "later", reply: `451 4.4.1 ${opened.problem}` };
    }
    const { failure } = opened;
    const token = ready.credentials?.kind === "token" ? ready.credentials.token : undefined;
    if (isRefusedLogin(failure) && oauth2 !== undefined && token !== undefined && !renewed) {
      renewed = true;
      log.info("the access token was refused: asking for another one", { host: hop.host });
      await tokens.forget(oauth2, token);
      continue;
    }
    // A host that says nothing is as good as one that is not there.
    if (failure.command === "connect" && failure.kind !== "refused") memory.shun(hop);
    const status = statusOfFailure(failure) === "permanent" ? "never" : "later";
    return { status, reply: replyText(replyOfFailure(failure)) };
  }
}

/** Opens a session; where TLS is welcome but not demanded, in clear if the handshake fails. */
async function openTwice(
  hop: NextHop,
  relay: HostRelay,
  credentials: ClientCredentials | undefined,
  { hostname, memory, log }: Delivering,
): Promise<Opened> {
  const { tls, sourceAddress, timeouts } = relay;
  const manner: SessionManner = {
    flavour: relay.kind === "lmtp" ? "lmtp" : "smtp",
    ehloName: relay.ehloName ?? hostname,
    tls: tls.policy === "may" && memory.goesInClear(hop) ? { policy: "none" } : tls,
    sourceAddress,
    timeouts,
    credentials,
    // Only where the administrator said that this way is never TLS.
    credentialsInClear: tls.policy === "none",
  };
  const opened = await openNextHopSession(hop, manner);
  if (opened.status === "notConnected") memory.shun(hop);
  else memory.forgive(hop);
  if (opened.status !== "failed" || opened.failure.kind !== "tlsFailed" || tls.policy !== "may") {
    return opened;
  }
  log.info("TLS failed: going on in clear", { host: hop.host, problem: opened.failure.detail });
  memory.goInClear(hop);
  return await openNextHopSession(hop, { ...manner, tls: { policy: "none" } });
}

function isRefusedLogin(failure: SessionFailure): boolean {
  return failure.kind === "refused" && failure.command === "AUTH" && failure.reply.code === 535;
}
