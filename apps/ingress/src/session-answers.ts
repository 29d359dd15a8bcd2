/**
 * Answers what the protocol core asks about one session: who connects, who authenticates, what is
 * accepted. Keeps what is known of the session, the open transaction and its message. Knows no
 * socket.
 */
import {
  type ContentAction,
  type ProxiedAction,
  type Reply,
  reply,
  type ResetAction,
  type ServerQuestion,
  type ServerSession,
} from "@postern/smtp";
import { isUnavailable } from "@postern/store";
import type { Place } from "./admission.ts";
import { Authentication } from "./authentication.ts";
import { asClient, proxied } from "./forwarded-identity.ts";
import type { Ingress } from "./gateway-state.ts";
import { IncomingMessage } from "./incoming-message.ts";
import { expand, startQueue, verify } from "./inquiries.ts";
import { MailTransaction, routingSession } from "./policy.ts";
import type { SessionFacts, TlsFacts } from "./session-facts.ts";
import { sessionOptions } from "./session-options.ts";

/** What is answered here: all but what moves bytes on the wire. */
export type Asked = ServerQuestion | ContentAction | ResetAction | ProxiedAction;

/** The adapter's side of one session's decisions. */
export class SessionAnswers {
  #facts: SessionFacts;
  readonly #ingress: Ingress;
  readonly #session: ServerSession;
  readonly #place: Place;
  readonly #authentication: Authentication;
  /** Goes on with the session after a late answer. */
  readonly #goOn: (answer: Promise<void>) => void;
  #transaction: MailTransaction | undefined;
  #message: IncomingMessage | undefined;

  constructor(
    ingress: Ingress,
    session: ServerSession,
    facts: SessionFacts,
    place: Place,
    goOn: (answer: Promise<void>) => void,
  ) {
    this.#ingress = ingress;
    this.#session = session;
    this.#facts = facts;
    this.#goOn = goOn;
    this.#place = place;
    this.#authentication = new Authentication({
      authenticator: ingress.authenticator,
      session,
      log: ingress.log,
      snapshot: () => ingress.snapshot,
      address: () => this.#facts.address,
      delay,
      onUser: (user) => this.#identify({ ...this.#facts, user }),
    });
  }

  /** The session as it stands. */
  get facts(): SessionFacts {
    return this.#facts;
  }

  /** The session is in TLS now: all that was known before from its client's words is forgotten. */
  secured(tls: TlsFacts): void {
    const { user: _, ...facts } = this.#facts;
    this.#facts = { ...facts, verb: "HELO", helo: "", tls };
  }

  /** The connection is gone. */
  end(): void {
    this.#place.leave();
    void this.#message?.discard();
    this.#message = undefined;
  }

  /** Performs one action. A promise: what was handed out is not stored yet, wait before more. */
  perform(action: Asked): Promise<void> | undefined {
    switch (action.type) {
      case "content":
        return this.#message?.add(action.bytes);
      case "reset":
        this.#transaction = undefined;
        void this.#message?.discard();
        this.#message = undefined;
        return;
      case "proxied":
        this.#facts = proxied(this.#facts, action);
        return;
      case "connect":
        return this.#answer(this.#identify(this.#facts));
      case "hello":
        return this.#answer(
          this.#identify({ ...this.#facts, verb: action.verb, helo: action.name }),
        );
      case "auth":
      case "scram":
      case "digest": {
        const later = this.#authentication.answer(action);
        if (later !== undefined) this.#goOn(later);
        return;
      }
      case "mail": {
        const { reversePath, parameters } = action;
        this.#transaction = new MailTransaction(
          this.#ingress,
          this.#facts,
          reversePath,
          parameters,
        );
        return this.#answer(this.#transaction.mail());
      }
      case "rcpt":
        return this.#answer(this.#transaction!.rcpt(action.forwardPath, action.parameters));
      case "data":
        this.#message = new IncomingMessage(
          this.#ingress,
          this.#facts,
          action.envelope,
          this.#transaction!,
        );
        return this.#answer(undefined);
      case "message": {
        const complete = this.#message!;
        this.#message = undefined;
        return this.#answer(complete.commit(action.envelope));
      }
      case "vrfy":
        return this.#answer(verify(this.#ingress, this.#facts, action.argument));
      case "expn":
        return this.#answer(expand(this.#ingress, this.#facts, action.argument));
      case "etrn":
        return this.#answer(startQueue(this.#ingress, action));
      case "xclient": {
        const facts = asClient(this.#facts, action.attributes);
        if (facts === undefined) {
          return this.#answer(reply(501, "5.5.4", "ADDR is not an IP address"));
        }
        this.#facts = facts;
        return this.#answer(undefined);
      }
      case "xforward":
        this.#ingress.log.info("session forwarded", {
          client: this.#facts.address,
          attributes: action.attributes,
        });
        return this.#answer(undefined);
    }
  }

  /** Takes the session for that of these facts; a reply says why not. */
  #identify(facts: SessionFacts): Reply | undefined {
    const { snapshot } = this.#ingress;
    const refusal = this.#place.take(snapshot, routingSession(snapshot, facts));
    if (refusal !== undefined) return refusal;
    this.#facts = facts;
    this.#session.configure(sessionOptions(this.#ingress, facts));
    return undefined;
  }

  /** Answers the open question, now or later; undefined says yes. */
  #answer(given: Reply | undefined | Promise<Reply | undefined>): undefined {
    if (given instanceof Promise) {
      this.#goOn(given.catch(unavailable).then((later) => this.#session.answer(later)));
    } else this.#session.answer(given);
    return undefined;
  }
}

function delay(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function unavailable(error: unknown): Reply {
  if (!isUnavailable(error)) throw error;
  return reply(451, "4.3.0", "The database is away: please try again later");
}
