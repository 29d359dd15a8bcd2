/**
 * Callouts: whether a recipient exists, found out by asking the host that would get its mail. A
 * session goes as far as RCPT and no further, with the null reverse-path as reports have it.
 *
 * Only a 5yz to that RCPT says no. A host that is away, defers, or refuses the session or MAIL has
 * said nothing of the recipient: then it is taken, and the queue does what queues are for.
 */
import { connect } from "node:net";
import type { Relay } from "@postern/config";
import { findHost, findMailHosts, type Hosts, type Resolver } from "@postern/dns";
import { domainAt, type Question, type Snapshot } from "@postern/routing";
import { type Reply, ReplyParser } from "@postern/smtp";

/** Answers to remember. */
const REMEMBERED = 50_000;

/** Callouts under way at once; more wait. */
const AT_ONCE = 50;

/** One callout takes so long at most, whatever the hosts do. */
const MILLISECONDS = 20_000;

/** That nothing could be found out is believed so long: hosts that are down are not asked for each mail. */
const UNANSWERED_MILLISECONDS = 60_000;

/** What callouts need. */
export interface CalloutContext {
  readonly hostname: string;
  readonly resolver: Resolver;
  readonly hosts: Hosts;
  readonly now: () => Date;
  readonly random: () => number;
}

interface Answer {
  readonly known: boolean;
  readonly until: number;
}

/** Makes callouts and remembers what they said. */
export class Callouts {
  readonly #context: CalloutContext;
  readonly #answers = new Map<string, Answer>();
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #waiting: (() => void)[] = [];
  #active = 0;

  constructor(context: CalloutContext) {
    this.#context = context;
  }

  /** Whether the recipient exists, as far as its host says. */
  ask(snapshot: Snapshot, { address, relay, nextHop, domain }: Question): Promise<boolean> {
    const key = `${relay} ${nextHop} ${address}`;
    const remembered = this.#answers.get(key);
    if (remembered !== undefined && remembered.until > this.#context.now().getTime()) {
      return Promise.resolve(remembered.known);
    }
    const underWay = this.#underWay.get(key);
    if (underWay !== undefined) return underWay;
    const check = domainAt(snapshot, domain.replace(/^\*\./, "any."))?.domain.recipients;
    const seconds = check?.verify === "callout" ? check.cache : 3600;
    const asking = this.#inTurn(() => this.#probe(snapshot.relays.get(relay), nextHop, address))
      .then((said) => {
        const believed = said === undefined ? UNANSWERED_MILLISECONDS : seconds * 1000;
        const known = said ?? true;
        this.#remember(key, { known, until: this.#context.now().getTime() + believed });
        return known;
      }).finally(() => this.#underWay.delete(key));
    this.#underWay.set(key, asking);
    return asking;
  }

  #remember(key: string, answer: Answer) {
    this.#answers.delete(key);
    this.#answers.set(key, answer);
    if (this.#answers.size > REMEMBERED) this.#answers.delete(this.#answers.keys().next().value!);
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#active >= AT_ONCE) await new Promise<void>((go) => this.#waiting.push(go));
    this.#active += 1;
    try {
      return await work();
    } finally {
      this.#active -= 1;
      this.#waiting.shift()?.();
    }
  }

  /** Asks host after host until one says something of the recipient. */
  async #probe(
    relay: Relay | undefined,
    nextHop: string,
    address: string,
  ): Promise<boolean | undefined> {
    const { hostname, now } = this.#context;
    const end = now().getTime() + MILLISECONDS;
    const places = await this.#places(relay, nextHop).catch(() => []);
    const lmtp = relay?.kind === "lmtp";
    for (const place of places.slice(0, 3)) {
      const left = end - now().getTime();
      if (left <= 0) return undefined;
      const said = await askHost(place, { hostname, address, lmtp, milliseconds: left });
      if (said !== undefined) return said;
    }
    return undefined;
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
}

interface Place {
  readonly host: string;
  readonly port: number;
}

/** The dialogue: true and false are the host's word on the recipient; undefined is none. */
function askHost(
  { host, port }: Place,
  { hostname, address, lmtp, milliseconds }: {
    readonly hostname: string;
    readonly address: string;
    readonly lmtp: boolean;
    readonly milliseconds: number;
  },
): Promise<boolean | undefined> {
  return new Promise((resolve) => {
    const parser = new ReplyParser();
    const socket = connect({ host, port });
    const commands = [
      lmtp ? `LHLO ${hostname}` : `EHLO ${hostname}`,
      "MAIL FROM:<>",
      `RCPT TO:<${address}>`,
    ];
    let step = 0;
    const finish = (said: boolean | undefined) => {
      clearTimeout(timer);
      socket.end("QUIT\r\n");
      // The host's farewell is not waited for.
      socket.destroySoon();
      resolve(said);
    };
    const timer = setTimeout(() => {
      socket.destroy();
      resolve(undefined);
    }, milliseconds);
    const take = ({ code }: Reply) => {
      if (step === commands.length) {
        return finish(code < 300 ? true : code >= 500 ? false : undefined);
      }
      // An old host knows no EHLO.
      if (step === 1 && code >= 500 && commands[0]!.startsWith("EHLO")) {
        commands[0] = `HELO ${hostname}`;
        socket.write(`${commands[0]}\r\n`);
        return;
      }
      if (code >= 300) return finish(undefined);
      socket.write(`${commands[step]}\r\n`);
      step += 1;
    };
    socket.on("data", (bytes: Uint8Array) => {
      parser.push(bytes);
      for (let parsed = parser.next(); parsed !== undefined; parsed = parser.next()) {
        if (parsed.kind === "problem") return finish(undefined);
        take(parsed.reply);
      }
    });
    socket.on("error", () => finish(undefined));
    socket.on("close", () => finish(undefined));
  });
}
