/**
 * Delivery by SMTP and LMTP: each copy of the message in transactions of as many recipients as the
 * next hop takes, over a kept session where there is one, else over a new one.
 */
import { canonicalDomain } from "@postern/config";
import { dayOf, rewriteSender } from "@postern/message";
import { domainAt } from "@postern/routing";
import type { MailParameters } from "@postern/smtp";
import type { ClaimedDelivery, ClaimedRecipient } from "@postern/store";
import { type Content, editedContent } from "./content.ts";
import { copiesOf } from "./copies.ts";
import type { Delivering } from "./delivering.ts";
import { keyOf } from "./host-memory.ts";
import type { NextHopSession, SessionPlace } from "./next-hop-session.ts";
import type { HostRelay } from "./next-hops.ts";
import { offer } from "./offer.ts";
import type { Tell } from "./progress.ts";
import { SessionPool } from "./session-pool.ts";
import { HostsInTurn, type Refusal } from "./smtp-sessions.ts";
import { type Attempt, type Verdict, verdictForAll } from "./verdict.ts";

/** One transaction's worth of work. */
interface Batch {
  readonly reversePath: string;
  readonly content: Content;
  readonly recipients: readonly ClaimedRecipient[];
  /** What the host before said, of each recipient. */
  readonly said?: readonly Verdict[];
}

/** What a run asks and tells of the claim of its delivery. */
interface Claim {
  isHeld(): boolean;
  tell(verdicts: readonly Verdict[], place: SessionPlace | undefined): void;
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
    tell: Tell = () => {},
  ): Promise<Attempt> {
    const { now } = this.#delivering;
    const began = now().getTime();
    const factsOf = (place: SessionPlace | undefined) => ({
      ...place,
      relay: delivery.destination.relay,
      seconds: (now().getTime() - began) / 1000,
    });
    if (relay.senderRewriting !== undefined && this.#delivering.signSender === undefined) {
      return this.#withoutKey(delivery);
    }
    const work = await this.#batches(delivery, relay);
    const run = new Run(delivery, relay, work, this.#delivering, this.#pool, {
      isHeld,
      tell: (verdicts, place) => tell(verdicts, factsOf(place)),
    });
    const { place, tried, ...attempt } = await run.toEnd();
    return {
      ...attempt,
      facts: { ...factsOf(place), ...(tried.length === 0 ? {} : { tried }) },
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
    const day = dayOf(now());
    // A rewritten address is a way back through us: it needs no source route that says so.
    const address = reversePath.replace(/^@[^:]*:/, "");
    return rewriteSender(address, { domain: senderRewriting.domain, sign: signSender, day });
  }
}

/**
 * One delivery on its way: its batches, one after another, over as many sessions as it takes. What a
 * host does not take now is offered to the next one (RFC 5321 §5.1) when the host has seen all.
 */
class Run {
  readonly #delivery: ClaimedDelivery;
  readonly #relay: HostRelay;
  #work: Batch[];
  readonly #delivering: Delivering;
  readonly #pool: SessionPool;
  readonly #claim: Claim;
  readonly #hosts: HostsInTurn;
  readonly #mustNotGoInClear: boolean;
  readonly #verdicts: Verdict[] = [];
  /** For the next host, with what this one said. */
  #left: (Batch & { readonly said: readonly Verdict[] })[] = [];
  #session: NextHopSession | undefined;
  /** Whether the session served before: then its end says nothing about this message. */
  #served = true;
  /** Whether this host is at hand because another one did not take something. */
  #isPassedOn = false;
  #place: SessionPlace | undefined;
  /** Why there is no session, for what is left of the delivery. */
  #refusal: Refusal | undefined;

  constructor(
    delivery: ClaimedDelivery,
    relay: HostRelay,
    work: Batch[],
    delivering: Delivering,
    pool: SessionPool,
    claim: Claim,
  ) {
    this.#delivery = delivery;
    this.#relay = relay;
    this.#work = work;
    this.#delivering = delivering;
    this.#pool = pool;
    this.#claim = claim;
    this.#mustNotGoInClear = (delivery.parameters as MailParameters).requireTls === true;
    this.#hosts = new HostsInTurn(relay, delivery.destination, delivering, {
      mustNotGoInClear: this.#mustNotGoInClear,
    });
  }

  /** Answers with what there is, also where an error ended it: what was delivered stays so. */
  async toEnd() {
    let failure: { readonly error: unknown } | undefined;
    try {
      this.#session = this.#keptSession();
      do await this.#offerAll(); while (await this.#toNextHost());
    } catch (error) {
      this.#session?.destroy();
      failure = { error };
    }
    for (const { said } of this.#left) this.#verdicts.push(...said);
    this.#letSessionGo();
    const isUnreached = this.#place === undefined && this.#refusal?.status === "later";
    return {
      verdicts: this.#verdicts.sort((one, other) => one.ordinal - other.ordinal),
      place: this.#place,
      tried: this.#hosts.tried,
      ...(isUnreached ? { destinationFailure: this.#refusal!.reply } : {}),
      ...failure,
    };
  }

  #keptSession(): NextHopSession | undefined {
    const kept = this.#pool.take(this.#relay);
    if (kept === undefined || !this.#mustNotGoInClear || kept.place.tls !== undefined) return kept;
    kept.quit();
    return undefined;
  }

  async #offerAll(): Promise<void> {
    for (let batch = this.#work.shift(); batch !== undefined; batch = this.#work.shift()) {
      this.#claim.tell(this.#verdicts, this.#place);
      if (!await this.#haveSession()) this.#giveUp(batch);
      else await this.#offer(batch, this.#session!);
    }
  }

  /** What one host did not take is for the next; what a later one did not take waits for its turn. */
  async #toNextHost(): Promise<boolean> {
    const [first] = this.#left;
    if (first === undefined || this.#refusal !== undefined) return false;
    const { place, reply } = first.said[0]!;
    const host = keyOf(place!);
    if (!await this.#hosts.passOn(place!, reply)) return false;
    // It may be another one's already: where the host took no further session.
    if (this.#session !== undefined && keyOf(this.#session.place) === host) this.#letSessionGo();
    this.#isPassedOn = true;
    const isOfHost = ({ said }: Batch) => keyOf(said![0]!.place!) === host;
    this.#work = this.#left.filter(isOfHost);
    this.#left = this.#left.filter((batch) => !isOfHost(batch));
    return true;
  }

  #letSessionGo(): void {
    const session = this.#session;
    this.#session = undefined;
    // What comes next is for the first host again.
    if (this.#isPassedOn) session?.quit();
    else if (session !== undefined) this.#pool.keep(session, this.#relay);
  }

  async #haveSession(): Promise<boolean> {
    if (this.#refusal !== undefined) return false;
    if (this.#session?.usable) {
      const most = this.#relay.limits?.messagesPerConnection ?? Infinity;
      if (this.#session.transactions < most) return true;
      this.#session.quit();
    }
    this.#session = undefined;
    const opened = await this.#hosts.open();
    if ("session" in opened) {
      this.#session = opened.session;
      this.#served = false;
      return true;
    }
    this.#refusal = opened;
    return false;
  }

  /** What a host that was there said counts more than that the next one was not. */
  #giveUp({ recipients, said }: Batch): void {
    const refusal = this.#refusal!;
    recipients.forEach(({ ordinal }, index) => {
      const before = said?.[index];
      const isBetter = before !== undefined &&
        (before.status === "later" || refusal.status === "never");
      this.#verdicts.push(isBetter ? before : { ordinal, ...refusal });
    });
  }

  async #offer(batch: Batch, session: NextHopSession): Promise<void> {
    const offered = await offer(this.#delivery, {
      ...batch,
      isFinal: this.#relay.kind === "lmtp",
      now: this.#delivering.now(),
      isHeld: this.#claim.isHeld,
    }, session);
    this.#place = session.place;
    const isUnheard = offered.some(({ unheard }) => unheard) &&
      offered.every(({ unheard, isUnoffered }) => unheard ?? isUnoffered);
    if (this.#served && !session.usable && isUnheard) {
      // A next hop may end a kept session at any time; that says nothing about this message.
      this.#work.unshift(batch);
      return;
    }
    this.#served = true;
    const elsewhere: ClaimedRecipient[] = [];
    const left: { readonly recipient: ClaimedRecipient; readonly verdict: Verdict }[] = [];
    offered.forEach(({ isForNextHost, isUnoffered: _, status, ...rest }, index) => {
      const recipient = batch.recipients[index]!;
      if (status === "elsewhere" && offered.length > 1) return elsewhere.push(recipient);
      const verdict = {
        ...rest,
        status: status === "elsewhere" ? "later" as const : status,
        place: session.place,
      };
      if (isForNextHost === true) left.push({ recipient, verdict });
      else this.#verdicts.push(verdict);
    });
    // Core's promise: one recipient at least was taken or refused, so that this comes to an end.
    if (elsewhere.length > 0) this.#work.unshift({ ...batch, recipients: elsewhere });
    if (left.length === 0) return;
    this.#left.push({
      ...batch,
      recipients: left.map(({ recipient }) => recipient),
      said: left.map(({ verdict }) => verdict),
    });
  }
}
