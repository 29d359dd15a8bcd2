/**
 * What each command does in a session, where its state lets it: one row a verb.
 *
 * This file must not know how commands are spelt, nor in which state they are allowed.
 */
import type { Command, Verb } from "../command.ts";
import { reply } from "../reply.ts";
import { authenticate } from "./authentication.ts";
import { chunk, data } from "./content-phase.ts";
import type { ServerCore } from "./core.ts";
import { mail, rcpt } from "./envelope-phase.ts";
import { announce } from "./offer.ts";
import { replies } from "./replies.ts";

type CommandOf<V extends Verb> = Extract<Command, { readonly verb: V }>;
type Handlers = { readonly [V in Verb]: (core: ServerCore, command: CommandOf<V>) => void };

/** The table. */
export const handlers: Handlers = {
  HELO: hello,
  EHLO: hello,
  LHLO: hello,
  MAIL: mail,
  RCPT: rcpt,
  DATA: data,
  BDAT: chunk,
  RSET(core) {
    core.reset("rset");
    if (core.state !== "greeted") core.state = "ready";
    core.reply(replies.done);
  },
  NOOP(core) {
    core.reply(replies.done);
  },
  QUIT(core) {
    core.reply(replies.bye);
    core.end(true);
  },
  HELP(core) {
    core.reply(core.options.flavour === "lmtp" ? replies.helpLmtp : replies.help);
  },
  VRFY(core, { argument }) {
    if (!core.options.trust.vrfy) return core.reply(replies.cannotVerify);
    core.ask({ type: "vrfy", argument }, (answer) => core.reply(answer ?? replies.cannotVerify));
  },
  EXPN(core, { argument }) {
    if (!core.options.trust.expn) return core.reply(replies.notImplemented);
    core.ask({ type: "expn", argument }, (answer) => core.reply(answer ?? replies.cannotVerify));
  },
  STARTTLS(core) {
    if (core.options.tls === "active") return core.reply(replies.alreadyTls);
    if (core.options.tls === "unavailable") return core.reply(replies.notOffered);
    if (!core.extended) return core.reply(replies.helloFirst);
    // What stands behind STARTTLS in clear must not be read as if it had come under TLS.
    if (core.input.size > 0) {
      core.reply(replies.pipelinedBehindTls);
      return core.end();
    }
    core.reply(replies.startTls);
    core.state = "tls";
    core.actions.push({ type: "startTls" });
  },
  AUTH: authenticate,
  ETRN(core, { scope, name }) {
    if (!core.options.trust.etrn) return core.reply(replies.etrnDenied);
    core.ask({ type: "etrn", scope, name }, (answer) => core.reply(answer ?? replies.done));
  },
  XCLIENT(core, { attributes }) {
    if (!core.options.trust.xclient) return core.reply(replies.notTrusted);
    core.ask({ type: "xclient", attributes }, (answer) => {
      if (answer !== undefined && answer.code >= 300) return core.reply(answer);
      core.startAnew();
      core.greet();
    });
  },
  XFORWARD(core, { attributes }) {
    if (!core.options.trust.xforward) return core.reply(replies.notTrusted);
    core.ask({ type: "xforward", attributes }, (answer) => core.reply(answer ?? replies.done));
  },
};

function hello(core: ServerCore, { verb, name, wellFormed }: CommandOf<"HELO">): void {
  const lmtp = core.options.flavour === "lmtp";
  if (lmtp !== (verb === "LHLO")) return core.reply(lmtp ? replies.lhloOnly : replies.ehloOnly);
  core.ask({ type: "hello", verb, name, wellFormed }, (answer) => {
    if (answer !== undefined && answer.code >= 300) return core.reply(answer);
    core.reset("hello");
    core.extended = verb !== "HELO";
    core.refreshOffer();
    core.state = "ready";
    const lines = core.extended ? announce(core.options, core.offer) : [core.options.hostname];
    core.reply(reply(250, undefined, ...lines));
  });
}

/** Hands a command to its row. */
export function handle(core: ServerCore, command: Command): void {
  (handlers[command.verb] as (core: ServerCore, command: Command) => void)(core, command);
}
