/**
 * AUTH: carries an exchange between the client's lines and its mechanism (RFC 4954).
 *
 * This file must not know the mechanisms' messages.
 */
import type { Command } from "../command.ts";
import { decodeBase64, encodeBase64 } from "../base64.ts";
import { type Reply, reply } from "../reply.ts";
import type { AuthMechanism } from "./actions.ts";
import type { ServerCore } from "./core.ts";
import { showsSecret } from "./offer.ts";
import { replies } from "./replies.ts";
import { beginSasl, type SaslAnswer, type SaslStep } from "./sasl.ts";

/** AUTH. */
export function authenticate(core: ServerCore, command: Extract<Command, { verb: "AUTH" }>): void {
  const { options, offer } = core;
  const refusal = refusalOf(core, command.mechanism);
  if (refusal !== undefined) return core.reply(refusal);
  const plusOffered = offer.mechanisms.includes("SCRAM-SHA-256-PLUS");
  const mechanism = command.mechanism as AuthMechanism;
  const exchange = beginSasl(mechanism, options.tlsInformation, plusOffered);
  core.sasl = exchange;
  if (command.initial === undefined) {
    return take(core, { kind: "challenge", data: exchange.prompt });
  }
  // "=" stands for a response that is there, but empty (RFC 4954 §4).
  respond(core, command.initial === "=" ? "" : command.initial);
}

function refusalOf(core: ServerCore, mechanism: string): Reply | undefined {
  const { options, offer } = core;
  const configured = options.auth?.mechanisms ?? [];
  if (core.authenticated) return replies.alreadyAuthenticated;
  if (configured.length === 0) return replies.notOffered;
  if (!core.extended) return replies.helloFirst;
  if (options.tlsRequired && options.tls !== "active") return replies.tlsRequired;
  const known = configured.find((name) => name === mechanism);
  if (known === undefined) return replies.mechanismUnknown;
  if (offer.mechanisms.includes(known)) return undefined;
  return showsSecret(known) ? replies.mechanismNeedsTls : replies.mechanismUnknown;
}

/** A line of the exchange from the client. */
export function respond(core: ServerCore, text: string): void {
  if (text === "*") return over(core, replies.authCancelled);
  const response = decodeBase64(text);
  if (response === undefined) return over(core, replies.base64Bad);
  take(core, core.sasl!.respond(response));
}

/** Something else than a response: the exchange is over with this reply. */
export function over(core: ServerCore, given: Reply): void {
  core.sasl = undefined;
  core.state = "ready";
  core.reply(given);
}

/** The adapter's answer to one of the exchange's questions. */
export function answered(core: ServerCore, answer: SaslAnswer): void {
  take(core, core.sasl!.answered(answer));
}

function take(core: ServerCore, step: SaslStep): void {
  switch (step.kind) {
    case "challenge":
      core.state = "auth";
      return core.reply(reply(334, undefined, encodeBase64(step.data)));
    case "question":
      return core.ask(
        step.question,
        (verdict) => answered(core, { kind: "verdict", reply: verdict }),
      );
    case "failed":
      return over(core, step.reply);
    case "done":
      core.authenticated = true;
      core.refreshOffer();
      return over(core, step.reply ?? replies.authenticated);
  }
}
