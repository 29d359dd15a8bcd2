/**
 * Reads SMTP replies out of a stream of bytes (RFC 5321 §4.2).
 */

/** What can be wrong with what a peer sent in place of a reply. */
export type ReplyProblem = "notAReply" | "codesDiffer" | "lineTooLong" | "tooManyLines" | "tooLong";

/** How long replies may be. */
export interface ReplyLimits {
  /** Bytes of one line with its line end (RFC 5321 §4.5.3.1.5 says 512; servers exceed it). */
  readonly line: number;
  /** Lines of one reply. */
  readonly lines: number;
  /** Bytes of one reply. */
  readonly reply: number;
}
