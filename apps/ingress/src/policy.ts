/**
 * What one transaction is answered: routing's decisions as replies, and as recipients to store.
 * MAIL opens it, each RCPT is decided with what is known by then, and the content, when it is
 * there, decides again about those whose way depends on it.
 */
import {
  type ContentFacts,
  decide,
  type Decision,
  identifyClient,
  type RecipientFacts,
  type Refusal,
  refuseSender,
  senderLimits,
  type SessionFacts as RoutingSession,
  type Snapshot,
} from "@postern/routing";
import {
  canonicalAddress,
  type ForwardPath,
  type MailParameters,
  type RcptParameters,
  type Reply,
  reply,
  type ReversePath,
} from "@postern/smtp";
import { type AcceptedRecipient, isUnavailable, REFUSED_RELAY } from "@postern/store";
import { patience } from "./callouts.ts";
import { type Copy, distinct, mergedParameters } from "./copies.ts";
import { isHeldTooLong } from "./future-release.ts";
import type { Ingress } from "./gateway-state.ts";
import type { SessionFacts } from "./session-facts.ts";

/** A recipient that was accepted at RCPT. */
interface Recipient {
  readonly path: ForwardPath;
  readonly parameters: RcptParameters;
  /** How many were accepted before it. */
  readonly accepted: RecipientFacts["accepted"];
  readonly decision: Decision;
}

/** What becomes of the message once its content is known. */
export type Settlement =
  | { readonly status: "refused"; readonly reply: Reply }
  | { readonly status: "accepted"; readonly recipients: readonly AcceptedRecipient[] };

/** A reply that refuses, or undefined; later where something must be asked first. */
type Answer = Reply | undefined | Promise<Reply | undefined>;

/** One transaction. A change of the configuration takes effect at its next command. */
export class MailTransaction {
  readonly #ingress: Ingress;
  readonly #facts: SessionFacts;
  #snapshot: Snapshot;
  #session: RoutingSession;
  readonly #reversePath: ReversePath;
  readonly #parameters: MailParameters;
  readonly #time: Date;
  readonly #known = new Map<string, boolean>();
  readonly #patience = patience();
  readonly #recipients = new Map<string, Recipient>();
  readonly #byDomain = new Map<string, number>();

  constructor(
    ingress: Ingress,
    facts: SessionFacts,
    reversePath: ReversePath,
    parameters: MailParameters,
  ) {
    this.#ingress = ingress;
    this.#facts = facts;
    this.#snapshot = ingress.snapshot;
    this.#session = routingSession(ingress.snapshot, facts);
    this.#reversePath = reversePath;
    this.#parameters = parameters;
    this.#time = ingress.now();
  }

  /** The configuration that decided last, and decides about the content. */
  get snapshot(): Snapshot {
    return this.#snapshot;
  }

  /** The reverse-path as it is stored: without the source route it may have come with. */
  get reversePath(): string {
    return this.#reversePath.address;
  }

  /** The one forward-path of the message as it was given; undefined where there are several. */
  get onlyForwardPath(): string | undefined {
    const [only, ...others] = this.#recipients.values();
    return others.length === 0 ? only?.path.address : undefined;
  }

  /** Whether the content is needed to decide about any recipient. */
  get waitsForContent(): boolean {
    return [...this.#recipients.values()].some(({ decision }) =>
      decision.action === "deliver" && decision.provisional
    );
  }

  /** Decides about MAIL: undefined accepts it. At once, unless the sender has a rate. */
  mail(): Answer {
    if (isHeldTooLong(this.#parameters, this.#time)) {
      return reply(501, "5.5.4", "Held until after the time to deliver by");
    }
    const refusal = refuseSender(this.#snapshot, {
      session: this.#session,
      reversePath: canonicalAddress(this.#reversePath),
      declaredSize: this.#parameters.size,
    });
    if (refusal !== undefined) return refusalReply(refusal);
    return this.#claim("messages", () => undefined);
  }

  /** Decides about RCPT: undefined accepts it. At once, unless something must be looked up. */
  rcpt(
    path: ForwardPath,
    parameters: RcptParameters,
  ): Answer {
    this.#refresh();
    const domain = path.kind === "mailbox" ? path.domain.ascii : "";
    const ofDomain = this.#byDomain.get(domain) ?? 0;
    const accepted = { total: this.#recipients.size, ofDomain };
    const facts = this.#factsOf(path, accepted);
    const take = (decision: Decision): Answer => {
      if (decision.action === "reject" || decision.action === "defer") {
        return refusalReply(decision, path);
      }
      const key = `${path.sourceRoute.join(",")}:${canonicalAddress(path)}`;
      const known = this.#recipients.get(key);
      // The same mailbox named twice gets one copy.
      if (known !== undefined) {
        const merged = mergedParameters(known.parameters, parameters);
        this.#recipients.set(key, { ...known, parameters: merged });
        return undefined;
      }
      return this.#claim("recipientRate", () => add(key, decision));
    };
    const add = (key: string, decision: Decision): undefined => {
      this.#recipients.set(key, { path, parameters, accepted, decision });
      this.#byDomain.set(domain, ofDomain + 1);
      return undefined;
    };
    const decision = decide(this.#snapshot, facts);
    if (decision.action !== "ask") return take(decision);
    return this.#withAnswers(facts, decision).then(take).catch((error) => unavailable(error));
  }

  /**
   * Decides with the content. All refused alike: so is the message. Any deferred: the message is
   * to come again. Some refused for good: the others have it, and the refused ones bounce.
   */
  async settle(content: ContentFacts | undefined): Promise<Settlement> {
    const decided: { readonly recipient: Recipient; readonly decision: Decision }[] = [];
    for (const recipient of this.#recipients.values()) {
      let { decision } = recipient;
      if (content !== undefined && decision.action === "deliver" && decision.provisional) {
        const facts = { ...this.#factsOf(recipient.path, recipient.accepted), content };
        try {
          decision = await this.#withAnswers(facts, decide(this.#snapshot, facts));
        } catch (error) {
          return { status: "refused", reply: unavailable(error) };
        }
      }
      decided.push({ recipient, decision });
    }
    const deferred = decided.find(({ decision }) => decision.action === "defer");
    const refused = decided.filter(({ decision }) => decision.action === "reject");
    const refusal = (deferred ?? (refused.length === decided.length ? refused[0] : undefined))
      ?.decision;
    if (refusal?.action === "defer" || refusal?.action === "reject") {
      return { status: "refused", reply: refusalReply(refusal) };
    }
    const copies = decided.flatMap(({ recipient, decision }) => stored(recipient, decision));
    return { status: "accepted", recipients: distinct(copies) };
  }

  /** Claims on each rate that is in force for the sender; `granted` is called when all have room. */
  #claim(kind: "messages" | "recipientRate", granted: () => undefined): Answer {
    const claims = senderLimits(this.#snapshot, this.#session).flatMap((limit) => {
      const rate = limit.limits[kind];
      return rate === undefined ? [] : [{ key: `${limit.kind} ${limit.name} ${kind}`, rate }];
    });
    if (claims.length === 0) return granted();
    return this.#ingress.senderRates.claim(claims).then(
      (room) =>
        room ? granted() : reply(450, "4.7.1", "You send more than your rate: try again later"),
    ).catch(unavailable);
  }

  #refresh(): void {
    const { snapshot } = this.#ingress;
    if (snapshot === this.#snapshot) return;
    this.#snapshot = snapshot;
    this.#session = routingSession(snapshot, this.#facts);
    this.#known.clear();
  }

  /** Answers questions until the decision has none. */
  async #withAnswers(facts: RecipientFacts, first: Decision): Promise<Decision> {
    let decision = first;
    while (decision.action === "ask") {
      const { question } = decision;
      const answer = await this.#ingress.recipientChecks.ask(
        this.#snapshot,
        question,
        this.#patience,
      );
      this.#known.set(question.address, answer);
      decision = decide(this.#snapshot, facts);
    }
    return decision;
  }

  #factsOf(path: ForwardPath, accepted: RecipientFacts["accepted"]): RecipientFacts {
    return {
      session: this.#session,
      reversePath: canonicalAddress(this.#reversePath),
      declaredSize: this.#parameters.size,
      forwardPath: path.address,
      sourceRoute: path.sourceRoute,
      time: this.#time,
      hostname: this.#ingress.hostname,
      accepted,
      known: this.#known,
      reverseOf: this.#ingress.reverseOf,
    };
  }
}

/** The session as routing sees it. */
export function routingSession(snapshot: Snapshot, facts: SessionFacts): RoutingSession {
  const { address, helo, speaker } = facts;
  // Of a login that XCLIENT tells nobody said that it is a user of ours: one that is not is a stranger's.
  const isStranger = speaker !== undefined && !snapshot.users.has(facts.user ?? "");
  const user = isStranger ? undefined : facts.user;
  const certificate = facts.tls?.peerFingerprint;
  const client = identifyClient(snapshot, { address, certificate });
  return { address, client, user, tls: facts.tls !== undefined, certificate, helo };
}

/** The rows of a recipient: its copies, or what it was refused with. */
function stored({ path, parameters }: Recipient, decision: Decision): Copy[] {
  const { rule, version, reasons } = decision;
  if (decision.action === "reject") {
    const { code, enhanced, text } = decision;
    const recipient = {
      forwardPath: path.address,
      parameters,
      treatment: { refusal: `${code} ${enhanced} ${text}` },
      destination: { relay: REFUSED_RELAY, nextHop: "" },
      decision: { recipient: path.address, rule, version, reasons },
    };
    return [{ recipient, added: false }];
  }
  if (decision.action !== "deliver") return [];
  return decision.copies.map((copy) => {
    const { forwardPath, relay, nextHop, treatment, hold, tags, added = false } = copy;
    const recipient = {
      forwardPath,
      // What a rule adds is no business of the sender's, nor is what becomes of it.
      parameters: added ? { notify: "NEVER" } as const : parameters,
      treatment,
      destination: { relay, nextHop },
      decision: { recipient: path.address, relay, rule, version, tags, reasons },
      ...(hold === undefined ? {} : { hold }),
    };
    return { recipient, added };
  });
}

function refusalReply({ code, enhanced, text }: Refusal, path?: ForwardPath): Reply {
  const status = enhanced as `4.${number}.${number}` | `5.${number}.${number}`;
  return reply(code, status, path === undefined ? text : `<${path.address}>: ${text}`);
}

/** What could not be looked up is asked again by the client. */
function unavailable(error: unknown): Reply {
  if (!isUnavailable(error)) throw error;
  return reply(451, "4.3.0", "Nothing can be looked up now: please try again later");
}
