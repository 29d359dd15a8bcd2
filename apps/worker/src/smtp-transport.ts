/**
 * Delivery by SMTP: over a kept session where there is one, else over a new one with the first next
 * hop that will have it.
 */
import type { Relay } from "@postern/config";
import type { ClaimedDelivery } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import { findNextHops } from "./next-hops.ts";
import { type NextHopSession, openNextHopSession } from "./next-hop-session.ts";
import { offer } from "./offer.ts";
import { SessionPool } from "./session-pool.ts";
import { type Attempt, type AttemptFacts, replyText, verdictForAll } from "./verdict.ts";

/** A relay that is spoken SMTP with. */
type SmtpRelay = Extract<Relay, { kind: "smtp" | "mx" }>;

/** No session came about; `destination` says whether that is so for every delivery there. */
interface NotOpened {
  readonly status: "later" | "never";
  readonly reply: string;
}

/** Makes the deliveries to one destination by SMTP. */
export class SmtpTransport {
  readonly #delivering: Delivering;
  readonly #pool: SessionPool;

  constructor(delivering: Delivering) {
    this.#delivering = delivering;
    this.#pool = new SessionPool(delivering.now);
  }

  get isIdle(): boolean {
    return this.#pool.isEmpty;
  }

  close(): void {
    this.#pool.close();
  }

  async deliver(delivery: ClaimedDelivery, relay: SmtpRelay): Promise<Attempt> {
    const { now } = this.#delivering;
    const began = now().getTime();
    const facts = (hop?: NextHopSession["hop"]): AttemptFacts => ({
      ...hop,
      relay: delivery.destination.relay,
      seconds: (now().getTime() - began) / 1000,
    });
    const kept = this.#pool.take();
    if (kept !== undefined) {
      const verdicts = await this.#offer(delivery, kept);
      // A next hop may end a kept session at any time; that says nothing about this message.
      const ended = !kept.usable && verdicts.every(({ unheard }) => unheard === true);
      if (!ended) return { verdicts, facts: facts(kept.hop) };
    }
    const opened = await this.#open(relay, delivery);
    if ("session" in opened) {
      const verdicts = await this.#offer(delivery, opened.session);
      return { verdicts, facts: facts(opened.session.hop) };
    }
    const { status, reply } = opened;
    const verdicts = verdictForAll(delivery, status, reply);
    return {
      verdicts,
      facts: facts(),
      ...(status === "later" ? { destinationFailure: reply } : {}),
    };
  }

  /** Offers the delivery, and keeps the session for the next one if it is still good. */
  async #offer(delivery: ClaimedDelivery, session: NextHopSession) {
    try {
      const verdicts = await offer(delivery, session, this.#delivering);
      this.#pool.keep(session);
      return verdicts;
    } catch (error) {
      session.destroy();
      throw error;
    }
  }

  /** A session with the first next hop that will have one. */
  async #open(
    relay: SmtpRelay,
    { destination }: ClaimedDelivery,
  ): Promise<{ session: NextHopSession } | NotOpened> {
    const { hostname, resolver, hosts, random } = this.#delivering;
    const ownNames = [hostname];
    const found = await findNextHops(relay, destination, { resolver, hosts, ownNames, random });
    if (found.status !== "found") {
      return { status: found.status === "permanent" ? "never" : "later", reply: found.reply };
    }
    let answer: NotOpened | undefined;
    for (const hop of found.hops) {
      const opened = await openNextHopSession(hop, {
        ehloName: hostname,
        timeouts: relay.timeouts,
      });
      if (opened.status === "open") return { session: opened.session };
      const status = opened.status === "permanent" ? "never" : "later";
      // One host that may take it later is reason to wait, whatever the others say.
      if (answer?.status !== "later") answer = { status, reply: replyText(opened.reply) };
    }
    return answer ?? { status: "later", reply: "451 4.4.4 No next hop has an address" };
  }
}
