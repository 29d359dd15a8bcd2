/**
 * Callouts: whether a recipient exists, found out by asking the host that would get its mail.
 *
 * Only a refusal that means the mailbox says no. A host that is away, defers, or refuses the session,
 * MAIL or us has said nothing of the recipient: then it is taken, and the queue does what queues are
 * for. Nobody waits long for hosts that say nothing.
 */
import type { Relay } from "@postern/config";
import { findHost, findMailHosts, type Hosts, type Resolver } from "@postern/dns";
import { domainAt, type Question, type Snapshot } from "@postern/routing";
import { askHost, type Place, type Said } from "./callout-dialogue.ts";
import { Remembered } from "./remembered.ts";
import { Turns } from "./turns.ts";

/** Answers to remember. */
const REMEMBERED = 50_000;

/** Hosts and destinations to remember that say nothing. */
const SILENT_REMEMBERED = 10_000;

/** Callouts under way at once, in all and to one destination; more wait. */
const AT_ONCE = 50;
const AT_ONCE_TO_ONE = 10;

/** One callout takes so long at most, the wait for its turn included, whatever the hosts do. */
const MILLISECONDS = 20_000;

/** One host has so long, so that the next one is asked, too. */
const HOST_MILLISECONDS = 10_000;

/** That nothing could be found out is believed so long: hosts that are down are not asked for each mail. */
const UNANSWERED_MILLISECONDS = 60_000;

/** What one transaction waits in all for hosts that say nothing. */
const PATIENCE_MILLISECONDS = 30_000;

/** What callouts need. */
export interface CalloutContext {
  readonly hostname: string;
  readonly resolver: Resolver;
  readonly hosts: Hosts;
  readonly now: () => Date;
  readonly random: () => number;
  /** Runs something later; answers what takes that back. */
  readonly after: (milliseconds: number, run: () => void) => () => void;
}

/** How long somebody who asks is still ready to wait for hosts that say nothing. */
export interface Patience {
  milliseconds: number;
}

/** That of a transaction, for all its recipients. */
export function patience(): Patience {
  return { milliseconds: PATIENCE_MILLISECONDS };
}

/** Makes callouts and remembers what they said. */
export class Callouts {
  readonly #context: CalloutContext;
  readonly #answers: Remembered<boolean>;
  /** Places and destinations. */
  readonly #silent: Remembered<true>;
  /** Undefined: nobody said anything of the recipient. */
  readonly #underWay = new Map<string, Promise<boolean | undefined>>();
  readonly #turns = new Turns(AT_ONCE, AT_ONCE_TO_ONE);

  constructor(context: CalloutContext) {
    this.#context = context;
    this.#answers = new Remembered(REMEMBERED, context.now);
    this.#silent = new Remembered(SILENT_REMEMBERED, context.now);
  }

  /** Whether the recipient exists, as far as its host says. */
  async ask(snapshot: Snapshot, question: Question, left = patience()): Promise<boolean> {
    const { relay, nextHop, address } = question;
    const key = `${relay} ${nextHop} ${address}`;
    const remembered = this.#answers.get(key);
    if (remembered !== undefined) return remembered;
    let asking = this.#underWay.get(key);
    if (asking === undefined) {
      if (this.#silent.get(`${relay} ${nextHop}`) || left.milliseconds <= 0) return true;
      asking = this.#ask(snapshot, question).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, asking);
    }
    const began = this.#context.now().getTime();
    const known = await this.#within(left.milliseconds, asking);
    // A host that takes its time and answers is not what a transaction must be kept from.
    if (known === undefined) left.milliseconds -= this.#context.now().getTime() - began;
    return known ?? true;
  }

  async #ask(snapshot: Snapshot, question: Question): Promise<boolean | undefined> {
    const { relay, nextHop, address, domain } = question;
    const destination = `${relay} ${nextHop}`;
    const key = `${destination} ${address}`;
    const check = domainAt(snapshot, domain.replace(/^\*\./, "any."))?.domain.recipients;
    const seconds = check?.verify === "callout" ? check.cache : 3600;
    return await this.#limited(MILLISECONDS, async (signal) => {
      if (!await this.#turns.take(destination, signal)) return undefined;
      try {
        // Others may have found out meanwhile that there is nobody to ask.
        if (this.#silent.get(destination)) return undefined;
        const said = await this.#probe(snapshot.relays.get(relay), question, signal);
        if (said === "known" || said === "unknown") {
          this.#answers.set(key, said === "known", seconds * 1000);
          return said === "known";
        }
        if (said === "silent") this.#silent.set(destination, true, UNANSWERED_MILLISECONDS);
        else this.#answers.set(key, true, UNANSWERED_MILLISECONDS);
        return undefined;
      } finally {
        this.#turns.giveBack(destination);
      }
    });
  }

  /** Asks host after host until one says something of the recipient. */
  async #probe(relay: Relay | undefined, question: Question, signal: AbortSignal): Promise<Said> {
    const { hostname } = this.#context;
    const { nextHop, address } = question;
    const places = await until(signal, this.#places(relay, nextHop).catch(() => [])) ?? [];
    const lmtp = relay?.kind === "lmtp";
    let said: Said = "silent";
    for (const place of places.slice(0, 3)) {
      const name = `${place.host} ${place.port}`;
      if (this.#silent.get(name)) continue;
      const one = await this.#limited(
        HOST_MILLISECONDS,
        (own) =>
          askHost(place, { hostname, address, lmtp, signal: AbortSignal.any([signal, own]) }),
      );
      if (one === "known" || one === "unknown") return one;
      // Cut short: it might have said something.
      if (signal.aborted) return "nothing";
      if (one === "silent") this.#silent.set(name, true, UNANSWERED_MILLISECONDS);
      else said = one;
    }
    return said;
  }

  async #places(relay: Relay | undefined, nextHop: string): Promise<readonly Place[]> {
    const { resolver, hosts, hostname, random } = this.#context;
    const lookUp = { resolver, hosts, ownNames: [hostname], random };
    if (relay?.kind === "mx") {
      const found = await findMailHosts(nextHop, lookUp);
      if (found.status !== "hosts") return [];
      return found.hosts.flatMap(({ addresses }) =>
        addresses.slice(0, 1).map((host) => ({ host, port: relay.port }))
      );
    }
    if (relay?.kind !== "smtp" && relay?.kind !== "lmtp") return [];
    const inOrder = relay.hosts.map((one, place) => ({ ...one, priority: one.priority ?? place }))
      .sort((a, b) => a.priority - b.priority);
    const places: Place[] = [];
    for (const { host, port } of inOrder) {
      const found = await findHost(host, lookUp);
      const [address] = found.status === "host" ? found.host.addresses : [];
      if (address !== undefined) places.push({ host: address, port });
    }
    return places;
  }

  /** Does something that is told when its time is over. */
  async #limited<T>(milliseconds: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const controller = new AbortController();
    const cancel = this.#context.after(milliseconds, () => controller.abort());
    try {
      return await work(controller.signal);
    } finally {
      cancel();
    }
  }

  /** What comes in this time; what comes later is not for who asks now. */
  #within<T>(milliseconds: number, work: Promise<T>): Promise<T | undefined> {
    return this.#limited(milliseconds, (signal) => until(signal, work));
  }
}

/** What comes before the signal. */
function until<T>(signal: AbortSignal, work: Promise<T>): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    work.then(resolve, reject);
  });
}
