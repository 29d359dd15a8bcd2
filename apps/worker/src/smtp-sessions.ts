/**
 * Opens sessions for one attempt at a destination: finds its hosts, tries them in order, remembers
 * which could not be reached, goes in clear where a policy allows it, and renews a token that was
 * refused.
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
import { type Host, keyOf } from "./host-memory.ts";
import {
  type NextHopSession,
  type Opened,
  openNextHopSession,
  type SessionManner,
  type SessionPlace,
} from "./next-hop-session.ts";
import { findNextHops, type HostRelay, type NextHop, type NextHops } from "./next-hops.ts";
import { replyText } from "./verdict.ts";

/** Hosts tried in one attempt, where the relay does not say. */
const HOSTS_PER_ATTEMPT = 5;

/** A host that gave no session, or did not take all of the message; and what was said. */
export interface Tried extends Partial<SessionPlace> {
  readonly host: string;
  readonly reply: string;
}

/** Why there is no session. */
export interface Refusal {
  readonly status: "later" | "never";
  readonly reply: string;
  /** Who said so, where somebody did. */
  readonly place?: SessionPlace;
}

/** A session, or why there is none. */
export type Session = { readonly session: NextHopSession } | Refusal;

type OneResult =
  | { readonly session: NextHopSession }
  | (Refusal & { readonly failure?: SessionFailure });

/** The hosts of one attempt: each has its turn once, and keeps it for as long as it serves. */
export class HostsInTurn {
  /** The hosts that had their turn and did not serve. */
  readonly tried: Tried[] = [];
  readonly #relay: HostRelay;
  readonly #destination: Destination;
  readonly #delivering: Delivering;
  readonly #mustNotGoInClear: boolean;
  readonly #passed = new Set<string>();
  #found: Promise<NextHops> | undefined;
  #refusal: Refusal | undefined;

  constructor(
    relay: HostRelay,
    destination: Destination,
    delivering: Delivering,
    { mustNotGoInClear }: {
      /** Whether a host that offers TLS and then has none gives no session, whatever the policy. */
      readonly mustNotGoInClear: boolean;
    },
  ) {
    this.#relay = relay;
    this.#destination = destination;
    this.#delivering = delivering;
    this.#mustNotGoInClear = mustNotGoInClear;
  }

  /** Opens a session with the first host that will have one. */
  async open(): Promise<Session> {
    const found = await this.#find();
    if (found.status !== "found") {
      return { status: found.status === "permanent" ? "never" : "later", reply: found.reply };
    }
    for (const hop of this.#left(found.hops)) {
      const result = await this.#openWith(hop);
      if ("session" in result) return result;
      const { failure, place, ...refusal } = result;
      this.#pass(hop);
      this.tried.push({ host: hop.host, port: hop.port, ...place, reply: refusal.reply });
      const said = failure?.kind === "refused" && place !== undefined;
      // One host that may take it later is reason to wait, whatever the others say.
      if (this.#refusal?.status !== "later") {
        this.#refusal = { ...refusal, ...(said ? { place } : {}) };
      }
    }
    const refusal = this.#refusal ?? { status: "later", reply: "451 4.4.4 No next hop is left" };
    if (refusal.status === "later") return refusal;
    // So is one that could not be looked up, or that nobody asked yet.
    if (found.unresolved !== undefined) return { status: "later", reply: found.unresolved };
    const isAnyUnasked = found.hops.some((hop) => !this.#passed.has(keyOf(hop)));
    return isAnyUnasked ? { ...refusal, status: "later" } : refusal;
  }

  /**
   * Ends the turn of the host of a session, which said this of the message; answers whether another
   * one may have it.
   */
  async passOn(place: SessionPlace, reply: string): Promise<boolean> {
    const found = await this.#find();
    if (found.status !== "found") return false;
    this.#pass(place);
    if (this.#left(found.hops).length === 0) return false;
    this.tried.push({ ...place, reply });
    return true;
  }

  /**
   * Opens a session with a host; where the first address is connected to and will not talk, with
   * another one (RFC 5321 §5.1: at least two addresses should be tried).
   */
  async #openWith(hop: NextHop): Promise<OneResult> {
    const first = await this.#openOnce(hop);
    if ("session" in first || first.place === undefined || !isOfAddress(first.failure)) {
      return first;
    }
    const { address } = first.place;
    const addresses = hop.addresses.filter((other) => other !== address);
    if (addresses.length === 0) return first;
    const second = await this.#openOnce({ ...hop, addresses });
    return "session" in second || first.status === "never" ? second : first;
  }

  async #openOnce(hop: NextHop): Promise<OneResult> {
    const relay = this.#relay;
    const { log, memory, tokens } = this.#delivering;
    const given = "credentials" in relay ? relay.credentials : undefined;
    const oauth2 = given !== undefined && "oauth2" in given ? given.oauth2 : undefined;
    let renewed = false;
    for (;;) {
      const ready = await readyCredentials(given, this.#delivering);
      if ("problem" in ready) return { status: "later", reply: `451 4.7.0 ${ready.problem}` };
      const opened = await this.#openTwice(hop, ready.credentials);
      if (opened.status === "open") return { session: opened.session };
      if (opened.status === "notConnected") {
        return { status: "later", reply: `451 4.4.1 ${opened.problem}` };
      }
      const { failure, place } = opened;
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
      return { status, reply: replyText(replyOfFailure(failure)), place, failure };
    }
  }

  /** Opens a session; where TLS is welcome but not demanded, in clear if it cannot be had. */
  async #openTwice(
    hop: NextHop,
    credentials: ClientCredentials | undefined,
  ): Promise<Opened> {
    const relay = this.#relay;
    const { hostname, memory, log } = this.#delivering;
    const { tls, sourceAddress, timeouts } = relay;
    const mayGoInClear = tls.policy === "may" && !this.#mustNotGoInClear;
    const manner: SessionManner = {
      flavour: relay.kind === "lmtp" ? "lmtp" : "smtp",
      ehloName: relay.ehloName ?? hostname,
      tls,
      mustNotGoInClear: this.#mustNotGoInClear,
      sourceAddress,
      timeouts,
      credentials,
      // Only where the administrator said that this way is never TLS.
      credentialsInClear: tls.policy === "none",
    };
    const inClear = (tlsProblem: string): SessionManner => ({
      ...manner,
      tls: { policy: "none" },
      tlsProblem,
    });
    const known = mayGoInClear ? memory.tlsProblem(hop) : undefined;
    const opened = await openNextHopSession(hop, known === undefined ? manner : inClear(known));
    if (opened.status !== "notConnected") memory.forgive(hop);
    else if (opened.dialled) memory.shun(hop);
    const problem = opened.status === "failed" ? tlsProblemOf(opened) : undefined;
    if (problem === undefined || !mayGoInClear) return opened;
    log.info("TLS failed: going on in clear", { host: hop.host, problem });
    memory.goInClear(hop, problem);
    return await openNextHopSession(hop, inClear(problem));
  }

  #find(): Promise<NextHops> {
    const { hostname, resolver, hosts, random } = this.#delivering;
    const { ehloName } = this.#relay;
    const ownNames = [hostname, ...(ehloName === undefined ? [] : [ehloName])];
    const lookUp = { resolver, hosts, ownNames, random };
    return this.#found ??= findNextHops(this.#relay, this.#destination, lookUp);
  }

  #pass(host: Host): void {
    this.#passed.add(keyOf(host));
  }

  #left(hops: readonly NextHop[]): NextHop[] {
    const most = this.#relay.limits?.hostsPerAttempt ?? HOSTS_PER_ATTEMPT;
    return this.#delivering.memory.inOrder(hops)
      .filter((hop) => !this.#passed.has(keyOf(hop)))
      .slice(0, Math.max(0, most - this.#passed.size));
  }
}

/** Whether another address of the host may do better: it is not about TLS or our credentials. */
function isOfAddress(failure: SessionFailure | undefined): boolean {
  return failure?.command === "connect" || isHello(failure);
}

function isHello(failure: SessionFailure | undefined): boolean {
  return failure?.command === "EHLO" || failure?.command === "HELO" || failure?.command === "LHLO";
}

/**
 * What went wrong with TLS, if it was that. In TLS 1.3 the server judges our side of the handshake
 * after its end, so that a refusal shows as a connection that is cut at the first command.
 */
function tlsProblemOf(
  { failure, place }: Extract<Opened, { status: "failed" }>,
): string | undefined {
  if (failure.kind === "tlsFailed") return failure.detail;
  const isCut = place.tls !== undefined && failure.kind === "disconnected" && isHello(failure);
  return isCut ? "the connection was closed after the handshake" : undefined;
}

function isRefusedLogin(failure: SessionFailure): boolean {
  return failure.kind === "refused" && failure.command === "AUTH" && failure.reply.code === 535;
}
