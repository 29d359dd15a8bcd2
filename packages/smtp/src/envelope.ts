/**
 * The envelope of a message: its reverse-path, its forward-paths and the ESMTP parameters given
 * with them (RFC 5321 §2.3.1). The server session fills it from MAIL and RCPT, the client session
 * writes MAIL and RCPT from it, and it is plain data (JSON) in between, so that it can be stored.
 *
 * This file must not know how parameters are spelt on the wire.
 */

/** What the sender declared of the content's bytes: BODY= of RFC 6152 and RFC 3030. */
export type Body = "7BIT" | "8BITMIME" | "BINARYMIME";

/** The parameters of MAIL that travel with the message. Absent means: not given. */
export interface MailParameters {
  /** SIZE=: the declared size of the content in bytes (RFC 1870). */
  readonly size?: number;
  /** BODY= (RFC 6152, RFC 3030). */
  readonly body?: Body;
  /** SMTPUTF8: the envelope or the header may hold UTF-8 (RFC 6531). */
  readonly smtpUtf8?: true;
  /** RET=: what a failure report should return (RFC 3461 §4.3). */
  readonly ret?: "FULL" | "HDRS";
  /** ENVID=: the sender's envelope identifier, decoded from xtext (RFC 3461 §4.4). */
  readonly envelopeId?: string;
  /** REQUIRETLS: never send this message without verified TLS (RFC 8689). */
  readonly requireTls?: true;
  /** BY=: deliver by (RFC 2852 §4): seconds from MAIL, what to do then, and the trace flag. */
  readonly deliverBy?: {
    readonly seconds: number;
    readonly mode: "return" | "notify";
    readonly trace: boolean;
  };
  /** HOLDFOR= seconds, or HOLDUNTIL= as an RFC 3339 time (RFC 4865). */
  readonly holdFor?: number;
  readonly holdUntil?: string;
  /** MT-PRIORITY=: −9 (lowest) to 9 (RFC 6710). */
  readonly priority?: number;
  /** AUTH=: the submitter, decoded from xtext; `<>` means unknown (RFC 4954 §5). */
  readonly auth?: string;
}

/** When the sender wants a report about a recipient: NOTIFY= of RFC 3461 §4.1. */
export type Notify = "NEVER" | readonly ("SUCCESS" | "FAILURE" | "DELAY")[];

/** The parameters of RCPT that travel with the recipient. Absent means: not given. */
export interface RcptParameters {
  readonly notify?: Notify;
  /** ORCPT=: the original recipient, address type and address decoded (RFC 3461 §4.2, RFC 6533). */
  readonly originalRecipient?: { readonly type: string; readonly address: string };
}

/** One forward-path with its parameters. */
export interface EnvelopeRecipient {
  /**
   * The mailbox as `local-part@domain` in the form RCPT takes between `<` and `>`; where source routes
   * are honoured, with what remains of its route in front: `@relay.example:user@example.org`.
   */
  readonly forwardPath: string;
  readonly parameters: RcptParameters;
  /**
   * The reverse-path for this recipient where it differs from the envelope's: mail that goes by a
   * source route carries the way back in it (RFC 821 §3.6).
   */
  readonly reversePath?: string;
}

/** The envelope of one message. */
export interface Envelope {
  /** The reverse-path as `local-part@domain`, or `""` for the null reverse-path `<>`. */
  readonly reversePath: string;
  readonly parameters: MailParameters;
  readonly recipients: readonly EnvelopeRecipient[];
}
