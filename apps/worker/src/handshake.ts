/**
 * TLS with a next hop: the handshake on a connection that is there, and whether the certificate is
 * what the relay's policy asks for.
 *
 * This file must not know SMTP.
 */
import { isIP, type Socket } from "node:net";
import { connect, type TLSSocket } from "node:tls";
import type { TlsPolicy } from "@postern/config";

/** A policy that has TLS in it. */
export type ActiveTlsPolicy = Exclude<TlsPolicy, { policy: "none" }>;

/** The TLS of a session, as the event tells it. */
export interface TlsFacts {
  readonly protocol: string;
  readonly cipher: string;
  /**
   * What the certificate was found good for: `name`: signed by an authority we trust, for the name
   * of the host; `fingerprint`: the very one that the configuration names; `none`: neither.
   */
  readonly verified: "name" | "fingerprint" | "none";
  /** Why it is not good for the name, where it was looked at. */
  readonly problem?: string;
  /** SHA-256 of the certificate in hex. */
  readonly fingerprint?: string;
}

/** A connection in TLS, or why not. */
export type HandshakeResult =
  | { readonly socket: TLSSocket; readonly facts: TlsFacts }
  | { readonly problem: string };

/** Begins TLS on a connection. On a problem the connection is destroyed. */
export function handshake(
  socket: Socket,
  policy: ActiveTlsPolicy,
  { host, seconds }: { readonly host: string; readonly seconds: number },
): Promise<HandshakeResult> {
  const name = policy.policy === "verify" ? policy.serverName ?? host : host;
  const authority = policy.policy === "verify" ? policy.certificateAuthority : undefined;
  return new Promise((resolve) => {
    const secure = begin(socket, name, authority);
    if ("problem" in secure) {
      socket.destroy();
      return resolve(secure);
    }
    const fail = (problem: string) => {
      clearTimeout(timer);
      secure.destroy();
      socket.destroy();
      resolve({ problem });
    };
    const timer = setTimeout(() => fail("timed out"), seconds * 1000);
    secure.on("error", (error: Error) => fail(error.message || "the handshake failed"));
    secure.once("close", () => fail("the connection was closed in the handshake"));
    socket.once("close", () => fail("the connection was closed in the handshake"));
    secure.once("secureConnect", () => {
      clearTimeout(timer);
      const facts = factsOf(secure, policy);
      const objection = objectionTo(facts, policy, name);
      if (objection !== undefined) return fail(objection);
      secure.removeAllListeners("close");
      resolve({ socket: secure, facts });
    });
  });
}

function begin(
  socket: Socket,
  name: string,
  authority: string | undefined,
): TLSSocket | { readonly problem: string } {
  try {
    return connect({
      socket,
      // RFC 6066 §3 wants names in SNI; an address is compared with the certificate all the same.
      ...(isIP(name) === 0 ? { servername: name } : { host: name }),
      ...(authority === undefined ? {} : { ca: authority }),
      // Looked at in `objectionTo`: most mail hosts have certificates that nobody vouches for.
      rejectUnauthorized: false,
    });
  } catch (error) {
    // A name that cannot be one, certificates that are none: the runtime throws.
    return { problem: (error as Error).message };
  }
}

function factsOf(secure: TLSSocket, policy: ActiveTlsPolicy): TlsFacts {
  const fingerprint = secure.getPeerCertificate().fingerprint256?.replaceAll(":", "").toLowerCase();
  const named = policy.policy === "fingerprint" && fingerprint !== undefined &&
    policy.fingerprints.includes(fingerprint);
  const problem = secure.authorized ? undefined : String(secure.authorizationError ?? "unknown");
  return {
    protocol: secure.getProtocol() ?? "unknown",
    cipher: secure.getCipher().name,
    verified: named ? "fingerprint" : secure.authorized ? "name" : "none",
    ...(problem === undefined || named ? {} : { problem }),
    ...(fingerprint === undefined ? {} : { fingerprint }),
  };
}

/** Why the policy does not allow this certificate. */
function objectionTo(
  { verified, problem, fingerprint }: TlsFacts,
  { policy }: ActiveTlsPolicy,
  name: string,
): string | undefined {
  if (policy === "verify" && verified !== "name") {
    return `the certificate is not good for ${name}: ${problem}`;
  }
  if (policy === "fingerprint" && verified !== "fingerprint") {
    return `the certificate's fingerprint is ${fingerprint}, which is none of those expected`;
  }
  return undefined;
}
