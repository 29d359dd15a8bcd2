/**
 * How long a client waits for its server (RFC 5321 §4.5.3.2). The session has no clock: it names the
 * time-out that applies, the adapter measures it.
 *
 * This file must not know timers.
 */

/** What is waited for. */
export type TimeoutName =
  /** The greeting (§4.5.3.2.1). */
  | "greeting"
  /** The reply to EHLO, HELO, LHLO, STARTTLS or a step of AUTH. */
  | "hello"
  /** The end of the TLS handshake. */
  | "tls"
  /** The reply to MAIL (§4.5.3.2.2). */
  | "mail"
  /** The reply to RCPT (§4.5.3.2.3). */
  | "rcpt"
  /** The 354 to DATA (§4.5.3.2.4). */
  | "data"
  /** That a piece of content could be written, or the reply to a BDAT (§4.5.3.2.5). */
  | "content"
  /** The final reply (§4.5.3.2.6). */
  | "endOfContent"
  /** The reply to RSET. */
  | "reset"
  /** The reply to QUIT. */
  | "quit";

/** A time-out that applies now. */
export interface ClientTimeout {
  readonly name: TimeoutName;
  readonly seconds: number;
}

/** The seconds of each time-out; those that RFC 5321 names are its minima. */
export const clientTimeoutSeconds: { readonly [name in TimeoutName]: number } = {
  greeting: 300,
  hello: 300,
  tls: 300,
  mail: 300,
  rcpt: 300,
  data: 120,
  content: 180,
  endOfContent: 600,
  reset: 20,
  quit: 5,
};
