/**
 * MAIL and RCPT: the envelope of a transaction is built up (RFC 5321 §3.3).
 *
 * This file must not know how paths and parameters are spelt.
 */
import type { Command } from "../command.ts";
import { parseMailParameters, parseRcptParameters } from "../parameters.ts";
import type { ForwardPath } from "../path-types.ts";
import { type Reply, reply } from "../reply.ts";
import type { ServerCore } from "./core.ts";
import type { Offer } from "./offer.ts";
import { replies } from "./replies.ts";
import { Transaction } from "./transaction.ts";

/** MAIL. */
export function mail(core: ServerCore, command: Extract<Command, { verb: "MAIL" }>): void {
  const { options } = core;
  if (options.tlsRequired && options.tls !== "active") return core.reply(replies.tlsRequired);
  if (options.authRequired && !core.authenticated) return core.reply(replies.authRequired);
  if (++core.transactions > options.limits.transactions) {
    return core.reply(replies.tooManyTransactions);
  }
  const parsed = parseMailParameters(command.parameters, {
    offer: core.offer,
    messageSize: options.limits.messageSize,
    believeAuth: core.authenticated || options.trust.authParameter,
  });
  if ("refusal" in parsed) return core.reply(parsed.refusal);
  const highest = highestPriority(core.offer);
  const isLowered = (parsed.parameters.priority ?? 0) > highest;
  const parameters = isLowered ? { ...parsed.parameters, priority: highest } : parsed.parameters;
  let reversePath = command.path;
  if (reversePath.kind === "mailbox" && reversePath.internationalized && !parameters.smtpUtf8) {
    return core.reply(replies.smtpUtf8Needed);
  }
  if (reversePath.sourceRoute.length > 0 && options.sourceRoutes !== "honour") {
    if (options.sourceRoutes === "refuse") return core.reply(replies.noReverseRoute);
    reversePath = { ...reversePath, sourceRoute: [] };
  }
  core.ask({ type: "mail", reversePath, parameters }, (answer) => {
    if (answer === undefined || answer.code < 300) {
      core.transaction = new Transaction(reversePath, parameters);
      core.state = "mail";
    }
    core.reply(answer ?? (isLowered ? priorityLowered(highest) : replies.sender));
  });
}

function highestPriority({ mtPriority }: Offer): number {
  return mtPriority === false ? 9 : mtPriority.highest ?? 9;
}

/** X.3.6 of RFC 6710: the text begins with the priority that the message has instead. */
function priorityLowered(priority: number): Reply {
  return reply(250, "2.3.6", `${priority} is the priority of this message`);
}

/** RCPT. */
export function rcpt(core: ServerCore, command: Extract<Command, { verb: "RCPT" }>): void {
  const { options } = core;
  const { limits } = options;
  const transaction = core.transaction!;
  const parsed = parseRcptParameters(command.parameters, {
    offer: core.offer,
    messageSize: limits.messageSize,
    believeAuth: false,
  });
  if ("refusal" in parsed) return core.reply(parsed.refusal);
  const { parameters } = parsed;
  if (!transaction.parameters.smtpUtf8 && needsUtf8(command)) {
    return core.reply(replies.smtpUtf8Needed);
  }
  if (command.path.sourceRoute.length > 0 && options.sourceRoutes === "refuse") {
    return core.reply(replies.noForwardRoute);
  }
  const { path: forwardPath, via } = ownRoute(core, command.path);
  if (transaction.recipients >= limits.recipients) return core.reply(replies.tooManyRecipients);
  if (transaction.domainsWith(forwardPath) > limits.recipientDomains) {
    return core.reply(replies.tooManyDomains);
  }
  core.ask({ type: "rcpt", forwardPath, parameters }, (answer) => {
    if (answer === undefined || answer.code < 300) {
      transaction.add(forwardPath, parameters, via);
      core.state = "rcpt";
    }
    core.reply(answer ?? replies.recipient);
  });
}

function needsUtf8({ path, parameters }: Extract<Command, { verb: "RCPT" }>): boolean {
  return (path.kind === "mailbox" && path.internationalized) || /[^ -~]/.test(parameters);
}

/**
 * The path without its route (`strip`), or without our own names at its front (`honour`), and the name
 * by which we were on the route.
 */
function ownRoute(
  core: ServerCore,
  path: ForwardPath,
): { readonly path: ForwardPath; readonly via: string | undefined } {
  if (path.sourceRoute.length === 0) return { path, via: undefined };
  if (core.options.sourceRoutes !== "honour") {
    return { path: { ...path, sourceRoute: [] }, via: undefined };
  }
  const { localNames } = core.options;
  let own = 0;
  while (localNames.includes(path.sourceRoute[own] ?? "")) own++;
  return {
    path: own === 0 ? path : { ...path, sourceRoute: path.sourceRoute.slice(own) },
    via: path.sourceRoute[own - 1],
  };
}
