/**
 * What became of a transaction, recipient by recipient, and how a session can fail: the vocabulary
 * in which the client session answers its caller.
 *
 * This file must not know the wire, states or how an outcome came about.
 */
import type { EnvelopeRecipient } from "../envelope.ts";
import { type EnhancedCode, isPermanent, type Reply, reply } from "../reply.ts";
import type { ReplyProblem } from "../reply-parser.ts";

/** The command that an outcome or failure answers; `connect` is the greeting, `idle` none at all. */
export type AnsweredCommand =
  | "connect"
  | "EHLO"
  | "HELO"
  | "LHLO"
  | "STARTTLS"
  | "AUTH"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "BDAT"
  | "content"
  | "endOfContent"
  | "RSET"
  | "QUIT"
  | "idle";

/** Why a session ended other than by QUIT. */
export type SessionFailure =
  /** The peer refused to go on: greeting, EHLO, STARTTLS, AUTH, RSET, or 421 to anything. */
  | { readonly kind: "refused"; readonly command: AnsweredCommand; readonly reply: Reply }
  /** The connection was closed or broke. */
  | { readonly kind: "disconnected"; readonly command: AnsweredCommand }
  /** The time-out of `session.timeout` ran out. */
  | { readonly kind: "timedOut"; readonly command: AnsweredCommand }
  /** What the peer sent is not a reply, or is longer than the limits allow. */
  | {
    readonly kind: "malformedReply";
    readonly command: AnsweredCommand;
    readonly problem: ReplyProblem;
  }
  /** A well-formed reply that makes no sense here, or that nothing asked for. */
  | { readonly kind: "unexpectedReply"; readonly command: AnsweredCommand; readonly reply: Reply }
  /** TLS is required and STARTTLS was not offered. */
  | { readonly kind: "tlsUnavailable"; readonly command: "STARTTLS" }
  /** The handshake failed, or the adapter did not like the certificate. */
  | { readonly kind: "tlsFailed"; readonly command: "STARTTLS"; readonly detail: string }
  /** Bytes in clear came after the reply to STARTTLS: somebody injects replies. */
  | { readonly kind: "tlsInjection"; readonly command: "STARTTLS" }
  /** No mechanism of AUTH in common that may be used here. */
  | { readonly kind: "authUnavailable"; readonly command: "AUTH"; readonly detail: string }
  /** The server could not prove that it knows the password, or spoke SASL wrongly. */
  | { readonly kind: "authFailed"; readonly command: "AUTH"; readonly detail: string }
  /** The caller could not hand in all of the content. */
  | { readonly kind: "contentAborted"; readonly command: "content" }
  /** The session had ended before this transaction was handed in. */
  | { readonly kind: "ended"; readonly command: "idle" };

/** A property that the message needs and the next hop does not offer. */
export type LackingExtension =
  | "8BITMIME"
  | "BINARYMIME"
  | "SMTPUTF8"
  | "SIZE"
  | "REQUIRETLS"
  | "DELIVERBY";

/** Why an outcome is what it is. */
export type Cause =
  /** The next hop said so. */
  | { readonly kind: "reply"; readonly reply: Reply }
  /** The session broke, or never came to be. */
  | { readonly kind: "failure"; readonly failure: SessionFailure }
  /** Decided here: the next hop lacks an extension and the message cannot go without it. */
  | { readonly kind: "lacking"; readonly extension: LackingExtension; readonly reply: Reply }
  /** Decided here: the path cannot be written in a command (control characters). */
  | { readonly kind: "badPath"; readonly reply: Reply }
  /** Decided here: beyond RCPTMAX or RCPTDOMAINMAX of RFC 9422, so RCPT was not sent. */
  | { readonly kind: "limit"; readonly limit: "RCPTMAX" | "RCPTDOMAINMAX" };

/**
 * The verdict about one recipient.
 * - `accepted`: the next hop has the responsibility now (RFC 5321 §4.2.5).
 * - `transient`: not now; try again later.
 * - `permanent`: never; return it.
 * - `tooMany`: nothing is wrong with it; it belongs in another transaction, at once
 *   (RFC 5321 §4.5.3.1.10). At least one other recipient of the transaction was taken, so that a
 *   caller who does this always gets on.
 * - `inDoubt`: the end of the content was handed out to be sent and no final reply was read; the
 *   message may have been accepted. Try again later; it may arrive twice.
 * - `notAttempted`: never offered to this next hop; try it on another session.
 */
export type RecipientStatus =
  | "accepted"
  | "transient"
  | "permanent"
  | "tooMany"
  | "inDoubt"
  | "notAttempted";

/** What became of one recipient. */
export interface RecipientOutcome {
  /** The recipient, as it was in the envelope. */
  readonly recipient: EnvelopeRecipient;
  readonly status: RecipientStatus;
  /** The command that decided. */
  readonly command: AnsweredCommand;
  readonly cause: Cause;
  /** The next hop's reply, when one decided; the same as in `cause`. */
  readonly reply?: Reply;
  /**
   * Only with `accepted`: the next hop does not do DSN (or DELIVERBY in mode N), so that the
   * "relayed" report which the sender asked for is ours to send (RFC 3461 §5.2.2, RFC 2852 §4.2).
   */
  readonly dsnTakenOver?: true;
}

/** What became of one transaction: an outcome for each recipient, in the envelope's order. */
export interface TransactionOutcome {
  readonly recipients: readonly RecipientOutcome[];
}

/** A reply of our own that stands for what broke; for reports and logs, when the peer gave none. */
export function replyOfFailure(failure: SessionFailure): Reply {
  switch (failure.kind) {
    case "refused":
      return failure.reply;
    case "disconnected":
      return reply(451, "4.4.2", `Connection lost (${phase(failure.command)})`);
    case "timedOut":
      return reply(451, "4.4.2", `Connection timed out (${phase(failure.command)})`);
    case "malformedReply":
      return reply(
        451,
        "4.5.0",
        `Malformed reply (${phase(failure.command)}): ${problems[failure.problem]}`,
      );
    case "unexpectedReply":
      return reply(
        451,
        "4.5.0",
        `Unexpected reply ${failure.reply.code} (${phase(failure.command)})`,
      );
    case "tlsUnavailable":
      return reply(451, "4.7.4", "TLS is required but STARTTLS is not offered");
    case "tlsFailed":
      return reply(451, "4.7.5", `TLS failed: ${failure.detail}`);
    case "tlsInjection":
      return reply(451, "4.7.5", "Bytes in clear after STARTTLS");
    case "authUnavailable":
      return reply(451, "4.7.4", `Cannot authenticate: ${failure.detail}`);
    case "authFailed":
      return reply(451, "4.7.0", `Authentication failed: ${failure.detail}`);
    case "contentAborted":
      return reply(451, "4.3.0", "The content could not be read");
    case "ended":
      return reply(451, "4.4.2", "The session had ended");
  }
}

/** The reply that explains an outcome: the peer's where there is one, else one of our own. */
export function replyOfCause(cause: Cause): Reply {
  switch (cause.kind) {
    case "failure":
      return replyOfFailure(cause.failure);
    case "limit":
      return reply(452, "4.5.3", `Too many recipients (${cause.limit})`);
    default:
      return cause.reply;
  }
}

/** The enhanced status code for reports: the reply's, or the `x.0.0` of its class. */
export function enhancedCodeOf(outcome: RecipientOutcome): EnhancedCode {
  const why = replyOfCause(outcome.cause);
  if (why.enhanced !== undefined) return why.enhanced;
  return why.code >= 500 ? "5.0.0" : why.code >= 400 ? "4.0.0" : "2.0.0";
}

/**
 * What a failed session means for a recipient not yet decided. A refused AUTH or STARTTLS is
 * transient whatever its class: it is about our configuration, not about the message. A permanent
 * refusal by the greeting or to EHLO is about this host: try the others before returning the mail
 * (RFC 5321 §5.1).
 */
export function statusOfFailure(failure: SessionFailure): RecipientStatus {
  switch (failure.kind) {
    case "refused":
      return isPermanent(failure.reply) && failure.command !== "AUTH" &&
          failure.command !== "STARTTLS"
        ? "permanent"
        : "transient";
    case "ended":
    case "contentAborted":
      return "notAttempted";
    default:
      return "transient";
  }
}

/** The outcome of a recipient whose session failed before it was offered. */
export function outcomeOfFailure(
  recipient: EnvelopeRecipient,
  failure: SessionFailure,
): RecipientOutcome {
  return recipientOutcome(recipient, statusOfFailure(failure), failure.command, {
    kind: "failure",
    failure,
  });
}

/** Makes a {@link RecipientOutcome}; `reply` is taken from the cause. */
export function recipientOutcome(
  recipient: EnvelopeRecipient,
  status: RecipientStatus,
  command: AnsweredCommand,
  cause: Cause,
): RecipientOutcome {
  if (cause.kind === "reply") return { recipient, status, command, cause, reply: cause.reply };
  if (cause.kind === "failure" && "reply" in cause.failure) {
    return { recipient, status, command, cause, reply: cause.failure.reply };
  }
  return { recipient, status, command, cause };
}

const problems: { readonly [problem in ReplyProblem]: string } = {
  notAReply: "not a reply",
  codesDiffer: "its lines have different codes",
  lineTooLong: "a line is too long",
  tooManyLines: "too many lines",
  replyTooLong: "too long",
};

const phases: { readonly [command in AnsweredCommand]: string } = {
  connect: "waiting for the greeting",
  EHLO: "in reply to EHLO",
  HELO: "in reply to HELO",
  LHLO: "in reply to LHLO",
  STARTTLS: "in STARTTLS",
  AUTH: "in AUTH",
  MAIL: "in reply to MAIL",
  RCPT: "in reply to RCPT",
  DATA: "in reply to DATA",
  BDAT: "in reply to BDAT",
  content: "while sending the content",
  endOfContent: "in reply to the end of the content",
  RSET: "in reply to RSET",
  QUIT: "in reply to QUIT",
  idle: "between transactions",
};

function phase(command: AnsweredCommand): string {
  return phases[command];
}
