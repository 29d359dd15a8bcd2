/**
 * Delivery by SMTP and LMTP: each copy of the message in transactions of as many recipients as the
 * next hop takes, over a kept session where there is one, else over a new one.
 */
import { canonicalDomain } from "@postern/config";
import { rewriteSender } from "@postern/message";
import { domainAt } from "@postern/routing";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import { type Content, editedContent } from "./content.ts";
import { copiesOf } from "./copies.ts";
import type { Delivering } from "./delivering.ts";
import type { NextHopSession, SessionPlace } from "./next-hop-session.ts";
import type { HostRelay } from "./next-hops.ts";
import { offer } from "./offer.ts";
import { SessionPool } from "./session-pool.ts";
import { openSession, type Tried } from "./smtp-sessions.ts";
import { type Attempt, type Verdict, verdictForAll } from "./verdict.ts";

/** One transaction's worth of work. */
interface Batch {
  readonly reversePath: string;
  readonly content: Content;
  readonly recipients: readonly ClaimedRecipient[];
}

/** Makes the deliveries to one destination by SMTP or LMTP. */
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

  async deliver(
    delivery: ClaimedDelivery,
    relay: HostRelay,
    isHeld: () => boolean = () => true,
  ): Promise<Attempt> {
    const { now } = this.#delivering;
    const began = now().getTime();
    if (relay.senderRewriting !== undefined && this.#delivering.signSender === undefined) {
      return this.#withoutKey(delivery);
    }
    const work = await this.#batches(delivery, relay);
    const run = new Run(delivery, relay, work, this.#delivering, this.#pool, isHeld);
    const { verdicts, place, tried, destinationFailure } = await run.toEnd();
    return {
      verdicts,
      facts: {
        ...place,
        relay: delivery.destination.relay,
        seconds: (now().getTime() - began) / 1000,
        ...(tried.length === 0 ? {} : { tried }),
      },
      ...(destinationFailure === undefined ? {} : { destinationFailure }),
    };
  }

  #withoutKey(delivery: ClaimedDelivery): Attempt {
    const reply = "451 4.3.5 Senders cannot be rewritten: this worker has no POSTERN_SECRET_KEY";
    return {
      verdicts: verdictForAll(delivery, "later", reply),
      facts: { relay: delivery.destination.relay, seconds: 0 },
      destinationFailure: reply,
    };
  }

  async #batches(delivery: ClaimedDelivery, relay: HostRelay): Promise<Batch[]> {
    const batches: Batch[] = [];
    for (const copy of copiesOf(delivery)) {
      const content = await editedContent(delivery, copy.edits, this.#delivering.queue);
      const reversePath = this.#sender(copy.reversePath, relay);
      const most = relay.limits?.recipientsPerMessage ?? copy.recipients.length;
      for (let at = 0; at < copy.recipients.length; at += most) {
        batches.push({ reversePath, content, recipients: copy.recipients.slice(at, at + most) });
      }
    }
    return batches;
  }

  /** The reverse-path to send with: one of our own for strangers' mail, where the relay asks so. */
  #sender(reversePath: string, { senderRewriting }: HostRelay): string {
    const { snapshot, hostname, signSender, now } = this.#delivering;
    if (senderRewriting === undefined || signSender === undefined) return reversePath;
    const domain = reversePath.slice(reversePath.lastIndexOf("@") + 1);
    if (domain.toLowerCase() === hostname.toLowerCase()) return reversePath;
    const name = canonicalDomain(domain);
    if (name !== undefined && domainAt(snapshot(), name) !== undefined) return reversePath;
    const day = Math.floor(now().getTime() / 86_400_000);
    // A rewritten address is a way back through us: it needs no source route that says so.
    const address = reversePath.replace(/^@[^:]*:/, "");
    return rewriteSender(address, { domain: senderRewriting.domain, sign: signSender, day });
  }
}

/** One delivery on its way: its batches, one after another, over as many sessions as it takes. */
class Run {
  readonly #delivery: ClaimedDelivery;
  readonly #relay: HostRelay;
  readonly #work: Batch[];
  readonly #delivering: Delivering;
  readonly #pool: SessionPool;
  readonly #isHeld: () => boolean;
  readonly #verdicts: Verdict[] = [];
  readonly #tried: Tried[] = [];
  #session: NextHopSession | undefined;
  /** Whether the session served before: then its end says nothing about this message. */
  #served = true;
  #place: SessionPlace | undefined;
  /** Why there is no session, for what is left of the delivery. */
  #refusal: { readonly status: "later" | "never"; readonly reply: string } | undefined;
  #destinationFailure: string | undefined;

  constructor(
    delivery: ClaimedDelivery,
    relay: HostRelay,
    work: Batch[],
    delivering: Delivering,
    pool: SessionPool,
    isHeld: () => boolean,
  ) {
    this.#delivery = delivery;
    this.#relay = relay;
    this.#work = work;
    this.#delivering = delivering;
    this.#pool = pool;
    this.#isHeld = isHeld;
  }

  async toEnd() {
    this.#session = this.#pool.take(this.#relay);
    try {
      for (let batch = this.#work.shift(); batch !== undefined; batch = this.#work.shift()) {
        if (!await this.#haveSession()) this.#giveUp(batch);
        else await this.#offer(batch, this.#session!);
      }
    } catch (error) {
      this.#session?.destroy();
      throw error;
    }
    if (this.#session !== undefined) this.#pool.keep(this.#session, this.#relay);
    return {
      verdicts: this.#verdicts,
      place: this.#place,
      tried: this.#tried,
      destinationFailure: this.#destinationFailure,
    };
  }

  async #haveSession(): Promise<boolean> {
    if (this.#refusal !== undefined) return false;
    if (this.#session?.usable) {
      const most = this.#relay.limits?.messagesPerConnection ?? Infinity;
      if (this.#session.transactions < most) return true;
      this.#session.quit();
    }
    this.#session = undefined;
    const opened = await openSession(this.#relay, this.#delivery.destination, this.#delivering);
    this.#tried.push(...opened.tried);
    if ("session" in opened) {
      this.#session = opened.session;
      this.#served = false;
      return true;
    }
    this.#refusal = opened;
    // What was delivered a moment ago shows that the destination is there.
    if (opened.status === "later" && this.#verdicts.length === 0) {
      this.#destinationFailure = opened.reply;
    }
    return false;
  }

  #giveUp({ recipients }: Batch): void {
    const { status, reply } = this.#refusal!;
    this.#verdicts.push(...recipients.map(({ ordinal }) => ({ ordinal, status, reply })));
  }

  async #offer(batch: Batch, session: NextHopSession): Promise<void> {
    const verdicts = await offer(this.#delivery, {
      ...batch,
      isFinal: this.#relay.kind === "lmtp",
      now: this.#delivering.now(),
      isHeld: this.#isHeld,
    }, session);
    this.#place = session.place;
    if (this.#served && !session.usable && verdicts.every(({ unheard }) => unheard === true)) {
      // A next hop may end a kept session at any time; that says nothing about this message.
      this.#work.unshift(batch);
      return;
    }
    this.#served = true;
    const elsewhere: ClaimedRecipient[] = [];
    verdicts.forEach((verdict, index) => {
      const { status } = verdict;
      if (status !== "elsewhere") this.#verdicts.push({ ...verdict, status });
      else if (verdicts.length > 1) elsewhere.push(batch.recipients[index]!);
      else this.#verdicts.push({ ...verdict, status: "later" });
    });
    // Core's promise: one recipient at least was taken or refused, so that this comes to an end.
    if (elsewhere.length > 0) this.#work.unshift({ ...batch, recipients: elsewhere });
  }
}
