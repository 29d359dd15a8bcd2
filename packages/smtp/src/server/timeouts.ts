/**
 * How long a server waits for its client (RFC 5321 §4.5.3.2). The session has no clock: it names
 * the time-out that applies, the adapter measures it.
 *
 * This file must not know timers.
 */

/**
 * What the session waits for: the PROXY preamble, the next command, a line of an AUTH exchange, more
 * content, the end of a TLS handshake; or `none`, when it is the adapter's turn.
 */
export type ServerTimeout = "proxy" | "command" | "auth" | "data" | "tls" | "none";

/** The seconds of each time-out; `none` is `Infinity`. An adapter may use its own. */
export const serverTimeoutSeconds: { readonly [name in ServerTimeout]: number } = {
  proxy: 10,
  // §4.5.3.2.7: at least five minutes.
  command: 300,
  auth: 300,
  // §4.5.3.2.5: three minutes is what a client allows for a block.
  data: 180,
  tls: 60,
  none: Infinity,
};
