/**
 * Whom a session is really from, where somebody whom we trust speaks for the client: the PROXY
 * protocol and XCLIENT change what is known of the session.
 */
import { isIP } from "node:net";
import { canonicalIp } from "@postern/routing";
import type { ProxiedAction, XclientQuestion } from "@postern/smtp";
import type { SessionFacts } from "./session-facts.ts";

/**
 * The session as the proxy saw it; as it is where the proxy speaks for itself (LOCAL, UNKNOWN). What comes
 * behind the preamble are the client's words: nothing of what the proxy may do goes over to it.
 */
export function proxied(facts: SessionFacts, { source }: ProxiedAction): SessionFacts {
  if (source === undefined) return facts;
  const { address, port } = source;
  return { ...facts, address: canonicalIp(address), port, via: facts.address };
}

/**
 * The session as XCLIENT says; undefined when it gives an address that is none. What is not known
 * (`[UNAVAILABLE]`) stays as it is, but for the user: then nobody has authenticated.
 */
export function asClient(
  facts: SessionFacts,
  { ADDR, PORT, HELO, PROTO, LOGIN }: XclientQuestion["attributes"],
): SessionFacts | undefined {
  const next: { -readonly [name in keyof SessionFacts]: SessionFacts[name] } = { ...facts };
  next.via = facts.via ?? facts.address;
  next.speaker = facts.speaker ?? facts.address;
  if (ADDR !== undefined && "value" in ADDR) {
    if (isIP(ADDR.value) === 0) return undefined;
    next.address = canonicalIp(ADDR.value);
    next.port = 0;
  }
  if (PORT !== undefined && "value" in PORT) next.port = Number(PORT.value);
  if (HELO !== undefined && "value" in HELO) next.helo = HELO.value;
  if (PROTO !== undefined && "value" in PROTO) {
    next.verb = PROTO.value.toUpperCase() === "SMTP" ? "HELO" : "EHLO";
  }
  // The former client's credentials and certificate are not this one's.
  delete next.user;
  if (LOGIN !== undefined && "value" in LOGIN) next.user = LOGIN.value.toLowerCase();
  if (facts.tls !== undefined) {
    const { peerFingerprint: _, ...tls } = facts.tls;
    next.tls = tls;
  }
  return next;
}
