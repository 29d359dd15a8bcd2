/** What is known of a session: what policy decides by, and what is stored with each message. */

/** The TLS that a session is in. */
export interface TlsFacts {
  /** `TLSv1.3`, for example. */
  readonly protocol: string;
  readonly cipher: string;
  /** The name that the client asked for (SNI). */
  readonly serverName?: string;
  /** SHA-256 of the client's certificate (DER) in lower-case hex. */
  readonly peerFingerprint?: string;
}

/** A session as it stands now; it changes with EHLO, STARTTLS, AUTH and XCLIENT. */
export interface SessionFacts {
  /** The client's IP address, without brackets. */
  readonly address: string;
  readonly port: number;
  /** The listener's URL. */
  readonly listener: string;
  readonly verb: "HELO" | "EHLO" | "LHLO";
  readonly helo: string;
  /** Absent in clear. */
  readonly tls?: TlsFacts;
  /** Who authenticated, by the name of the configuration's user; absent before AUTH. */
  readonly user?: string;
  /** Who connected in truth, where a proxy or XCLIENT named another client. */
  readonly via?: string;
  /** Who speaks for the client by XCLIENT: the host behind the proxy, where there is one. */
  readonly speaker?: string;
}

/** The session as it is stored with a message. */
export function storedSession(
  { address, port, listener, verb, helo, tls, user, via }: SessionFacts,
): object {
  return {
    client: { address, port },
    helo,
    protocol: verb,
    listener,
    ...(tls === undefined ? {} : { tls }),
    ...(user === undefined ? {} : { user }),
    ...(via === undefined ? {} : { via }),
  };
}
