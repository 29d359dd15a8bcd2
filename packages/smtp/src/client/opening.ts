/**
 * The opening of a client session: greeting, EHLO with its fall-back, STARTTLS, AUTH, until the first
 * transaction may begin (RFC 5321 §3.1–3.2, RFC 3207, RFC 4954, RFC 2033).
 *
 * This file must not know transactions.
 */
import type { Reply } from "../reply.ts";
import type { ScramProof } from "./actions.ts";
import {
  beginSasl,
  type ClientMechanism,
  type SaslExchange,
  type SaslStep,
  usableMechanisms,
} from "./auth.ts";
import { decodeBase64, encodeBase64 } from "../base64.ts";
import { parseCapabilities, withoutExtensions } from "./capabilities.ts";
import type { Conversation } from "./conversation.ts";
import type { ClientSessionOptions, ClientTlsInformation } from "./options.ts";
import type { SessionFailure } from "./outcome.ts";

/** A command line with its CRLF that every server takes (RFC 5321 §4.5.3.1.4). */
const shortLine = 512;

/** How the opening tells the session of its end. */
export interface OpeningEnd {
  opened(): void;
  failed(failure: SessionFailure): void;
}

export class Opening {
  readonly #options: ClientSessionOptions;
  readonly #conversation: Conversation;
  readonly #end: OpeningEnd;
  #mechanisms: readonly ClientMechanism[] | undefined;
  #tried = 0;
  #exchange: SaslExchange | undefined;

  constructor(options: ClientSessionOptions, conversation: Conversation, end: OpeningEnd) {
    this.#options = options;
    this.#conversation = conversation;
    this.#end = end;
    conversation.tls = options.tlsActive;
    conversation.expect("greeting");
  }

  sayHello(): void {
    const verb = this.#options.flavour === "lmtp" ? "LHLO" : "EHLO";
    this.#conversation.say(`${verb} ${this.#options.ehloName}\r\n`);
    this.#conversation.expect("ehlo");
  }

  /** EHLO is not known: RFC 5321 §3.2. LMTP has nothing to fall back to. */
  sayHelo(reply: Reply): void {
    if (this.#options.flavour === "lmtp") {
      return this.#end.failed({ kind: "refused", command: "LHLO", reply });
    }
    this.#conversation.say(`HELO ${this.#options.ehloName}\r\n`);
    this.#conversation.expect("helo");
  }

  readCapabilities(reply: Reply): void {
    this.#conversation.capabilities = parseCapabilities(reply);
    this.#secure();
  }

  goWithoutExtensions(reply: Reply): void {
    this.#conversation.capabilities = withoutExtensions(reply);
    this.#secure();
  }

  beginTls(): void {
    this.#conversation.resting = "handshake";
    this.#conversation.emit({ type: "startTls" });
  }

  /** STARTTLS was refused (RFC 3207 §4): the policy says whether to go on. */
  goOnInClear(reply: Reply): void {
    if (this.#options.tls !== "may") {
      return this.#end.failed({ kind: "refused", command: "STARTTLS", reply });
    }
    this.#authenticate();
  }

  /** TLS runs: all that was learned in clear is forgotten (RFC 3207 §4.2). */
  tlsStarted(information: ClientTlsInformation): void {
    this.#conversation.tls = information;
    this.#conversation.capabilities = withoutExtensions();
    this.sayHello();
  }

  authenticated(): void {
    const objection = this.#exchange?.complete();
    if (objection !== undefined) {
      return this.#end.failed({ kind: "authFailed", command: "AUTH", detail: objection });
    }
    this.#conversation.authenticated = true;
    this.#end.opened();
  }

  answerChallenge(reply: Reply): void {
    const challenge = decodeBase64(reply.lines[0]!);
    this.#take(
      challenge === undefined
        ? { kind: "fail", detail: "a challenge that is not base64" }
        : this.#exchange!.challenge(challenge),
    );
  }

  answerScram(proof: ScramProof): void {
    this.#take(this.#exchange!.proof!(proof));
  }

  /** 5yz to AUTH: another mechanism helps where this one is at fault, not where the password is. */
  tryNextMechanism(reply: Reply): void {
    const mechanismAtFault = reply.code === 504 || reply.code === 534 || reply.code === 538;
    if (mechanismAtFault && this.#tried < this.#mechanisms!.length) return this.#tryMechanism();
    this.#end.failed({ kind: "refused", command: "AUTH", reply });
  }

  #secure(): void {
    const { tls = "none" } = this.#options;
    const { capabilities, tls: active } = this.#conversation;
    if (tls === "none" || active !== undefined) return this.#authenticate();
    if (capabilities.startTls) {
      this.#conversation.say("STARTTLS\r\n");
      this.#conversation.expect("startTls");
    } else if (tls === "require") {
      this.#end.failed({ kind: "tlsUnavailable", command: "STARTTLS" });
    } else {
      this.#authenticate();
    }
  }

  #authenticate(): void {
    const { credentials, credentialsInClear = false } = this.#options;
    if (credentials === undefined) return this.#end.opened();
    const { capabilities, tls } = this.#conversation;
    this.#mechanisms = usableMechanisms(
      credentials,
      capabilities.auth,
      credentialsInClear || tls !== undefined,
    );
    if (this.#mechanisms.length > 0) return this.#tryMechanism();
    const offered = capabilities.auth.length === 0 ? "nothing" : capabilities.auth.join(" ");
    const where = tls === undefined ? " without TLS" : "";
    this.#end.failed({
      kind: "authUnavailable",
      command: "AUTH",
      detail: `no usable mechanism, ${offered} offered${where}`,
    });
  }

  #tryMechanism(): void {
    const exchange = beginSasl(this.#mechanisms![this.#tried++]!, this.#options.credentials!);
    this.#exchange = exchange;
    const initial = exchange.initial === undefined ? "" : ` ${encodeBase64(exchange.initial)}`;
    const line = `AUTH ${exchange.mechanism}${initial}\r\n`;
    if (line.length > shortLine) {
      // RFC 4954 §4: a long initial response goes in a line of its own, after an empty challenge.
      this.#exchange = withoutInitial(exchange);
      this.#conversation.say(`AUTH ${exchange.mechanism}\r\n`);
    } else {
      this.#conversation.say(line);
    }
    this.#conversation.expect("auth");
  }

  #take(step: SaslStep): void {
    switch (step.kind) {
      case "respond":
        this.#conversation.say(`${encodeBase64(step.bytes)}\r\n`);
        this.#conversation.expect("auth");
        break;
      case "ask":
        this.#conversation.resting = "proof";
        this.#conversation.emit(step.question);
        break;
      case "fail":
        this.#end.failed({ kind: "authFailed", command: "AUTH", detail: step.detail });
    }
  }
}

/** The same exchange with its initial response sent as the answer to an empty first challenge. */
function withoutInitial(exchange: SaslExchange): SaslExchange {
  let initial = exchange.initial;
  return {
    mechanism: exchange.mechanism,
    challenge(bytes) {
      if (initial === undefined) return exchange.challenge(bytes);
      const step: SaslStep = { kind: "respond", bytes: initial };
      initial = undefined;
      return step;
    },
    proof: (proof) => exchange.proof!(proof),
    complete: () => exchange.complete(),
  };
}
