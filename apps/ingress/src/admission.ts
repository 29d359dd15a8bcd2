/**
 * How many sessions may be open at once: in this ingress, of one client, of one user, from one
 * address. Counts them and answers who is one too many. Knows no socket.
 */
import { BlockList, isIPv6 } from "node:net";
import { senderLimits, type SessionFacts, type Snapshot } from "@postern/routing";
import { type Reply, reply } from "@postern/smtp";

/**
 * Sessions from one address of the internet, where the settings do not say: as Postfix has it. Else one
 * host could hold all places.
 */
const SESSIONS_PER_PUBLIC_ADDRESS = 50;

/**
 * Addresses that are not of the internet: hosts of our own, and balancers and container networks that
 * show their own address in place of many clients'.
 */
const privateNetworks = new BlockList();
for (
  const [network, bits] of [
    ["10.0.0.0", 8],
    ["100.64.0.0", 10],
    ["127.0.0.0", 8],
    ["169.254.0.0", 16],
    ["172.16.0.0", 12],
    ["192.168.0.0", 16],
    ["::1", 128],
    ["fc00::", 7],
    ["fe80::", 10],
  ] as const
) privateNetworks.addSubnet(network, bits, isIPv6(network) ? "ipv6" : "ipv4");

/** All sessions of an ingress. Every ingress counts its own. */
export class Admission {
  #open = 0;
  readonly #counts = new Map<string, number>();

  /**
   * Counts a new connection, unless the ingress is full. Whether it is, is asked here alone: who is in
   * stays in, however many come after.
   */
  open(snapshot: Snapshot): Place {
    const full = this.#open >= snapshot.settings.smtp.sessionsPerIngress;
    if (!full) this.#open += 1;
    let keys: readonly string[] = [];
    let counted = !full;
    const release = () => {
      for (const key of keys) this.#add(key, -1);
      keys = [];
    };
    const leave = () => {
      if (!counted) return;
      counted = false;
      release();
      this.#open -= 1;
    };
    return {
      take: (snapshot, session) => {
        if (full) return reply(421, "4.3.2", "Too many sessions: please try again later");
        if (!counted) return undefined;
        release();
        const refusal = this.#refusal(snapshot, session);
        if (refusal !== undefined) {
          leave();
          return refusal;
        }
        keys = keysOf(session);
        for (const key of keys) this.#add(key, 1);
        return undefined;
      },
      leave,
    };
  }

  /** Sessions that are open now, without those that were refused. */
  get size(): number {
    return this.#open;
  }

  #refusal(snapshot: Snapshot, session: SessionFacts): Reply | undefined {
    for (const { kind, name, limits } of senderLimits(snapshot, session)) {
      if (this.#count(`${kind} ${name}`) >= (limits.connections ?? Infinity)) {
        return reply(421, "4.7.0", `Too many sessions of yours: ${limits.connections} are allowed`);
      }
    }
    const [key] = keysOf(session);
    if (key?.startsWith("address ") && this.#count(key) >= perAddress(snapshot, session.address)) {
      return reply(421, "4.7.0", "Too many sessions from your address");
    }
    return undefined;
  }

  #count(key: string): number {
    return this.#counts.get(key) ?? 0;
  }

  #add(key: string, by: number): void {
    const count = this.#count(key) + by;
    if (count === 0) this.#counts.delete(key);
    else this.#counts.set(key, count);
  }
}

/** The place of one session among all. */
export interface Place {
  /**
   * Counts the session as that of these facts, and no more as that of former ones; to be called
   * when it is known who connected, and when more is known (TLS, AUTH, XCLIENT). Answers the 421 for
   * a session too many, which ends it: its place is free at once.
   */
  take(snapshot: Snapshot, session: SessionFacts): Reply | undefined;
  /** The session is over. */
  leave(): void;
}

/** Whose session it is. Somebody whom the configuration does not know is known by address. */
function keysOf({ client, user, address }: SessionFacts): string[] {
  const keys: string[] = [];
  if (client !== undefined) keys.push(`client ${client}`);
  if (user !== undefined) keys.push(`user ${user}`);
  return keys.length === 0 ? [`address ${address}`] : keys;
}

/** How many sessions somebody whom the configuration does not know may have. */
function perAddress({ settings }: Snapshot, address: string): number {
  const { sessionsPerAddress } = settings.smtp;
  if (sessionsPerAddress !== undefined) return sessionsPerAddress;
  const [bare = ""] = address.split("%");
  const isPrivate = privateNetworks.check(bare, isIPv6(bare) ? "ipv6" : "ipv4");
  return isPrivate ? Infinity : SESSIONS_PER_PUBLIC_ADDRESS;
}
