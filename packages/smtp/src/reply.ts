/**
 * SMTP replies: what a receiver answers to a command (RFC 5321 §4.2) with its enhanced status
 * code (RFC 2034, RFC 3463). The same type is used for the replies the server session gives and
 * for those the client session was given.
 *
 * This file must not know sessions, sockets or policy.
 */

/** An enhanced status code `class.subject.detail` (RFC 3463 §2), for example `5.7.1`. */
export type EnhancedCode = `${2 | 4 | 5}.${number}.${number}`;

/** One SMTP reply. */
export interface Reply {
  /** The three-digit reply code, 200 to 599. */
  readonly code: number;
  /** The enhanced status code; absent on replies that have none (greeting, EHLO, 354, 334). */
  readonly enhanced?: EnhancedCode;
  /** The text, a line each, without codes and line ends. At least one (perhaps empty) line. */
  readonly lines: readonly string[];
}

/** Makes a {@link Reply} of one or more lines of text. */
export function reply(code: number, enhanced: EnhancedCode | undefined, ...lines: string[]): Reply {
  const text = lines.length > 0 ? lines : [""];
  return enhanced === undefined ? { code, lines: text } : { code, enhanced, lines: text };
}

/** 2yz: the command was done (RFC 5321 §4.2.1). */
export function isPositive(reply: Reply): boolean {
  return reply.code >= 200 && reply.code < 300;
}

/** 4yz: not now; the same command may succeed later (RFC 5321 §4.2.1). */
export function isTransient(reply: Reply): boolean {
  return reply.code >= 400 && reply.code < 500;
}

/** 5yz: not done, and trying again unchanged will not help (RFC 5321 §4.2.1). */
export function isPermanent(reply: Reply): boolean {
  return reply.code >= 500 && reply.code < 600;
}
