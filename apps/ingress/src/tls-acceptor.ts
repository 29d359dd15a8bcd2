/**
 * TLS as server: makes a TLS socket of a connection, at once or after STARTTLS, with the
 * certificate in force. Handshakes that fail or take too long end their connection and nothing
 * else.
 *
 * One `tls.Server` that never listens serves all connections: handing it a socket is the one way
 * to begin TLS on an open connection that the runtime has.
 */
import type { Socket } from "node:net";
import { createServer, type Server, type TLSSocket } from "node:tls";
import type { TlsInformation } from "@postern/smtp";
import type { CertificateSource } from "@postern/tls";
import type { TlsFacts } from "./session-facts.ts";

/** A connection in TLS. */
export interface Secured {
  readonly socket: TLSSocket;
  readonly facts: TlsFacts;
  /** What SCRAM-SHA-256-PLUS binds to. */
  readonly information: TlsInformation;
}

/** Why there is no TLS. */
export interface HandshakeFailure {
  readonly problem: string;
}

interface Handshake {
  readonly bound: Uint8Array;
  readonly settle: (outcome: Secured | HandshakeFailure) => void;
}

/** Begins TLS on connections. */
export class TlsAcceptor {
  readonly #certificate: CertificateSource;
  /** Without and with the question for the client's certificate: some clients stumble over it. */
  readonly #servers: Readonly<Record<"plain" | "asking", Server>>;
  readonly #handshakes = new Map<string, Handshake>();

  constructor(certificate: CertificateSource) {
    this.#certificate = certificate;
    this.#servers = { plain: this.#serve(false), asking: this.#serve(true) };
    certificate.onChange(({ cert, key }) => {
      this.#servers.plain.setSecureContext({ cert, key });
      this.#servers.asking.setSecureContext({ cert, key });
    });
  }

  /**
   * Begins the handshake in this very moment: whatever comes from now on is TLS. Nothing may be
   * listening for the socket's data any more.
   *
   * @param askCertificate whether the client is asked for a certificate
   * @param milliseconds for the whole handshake; then the connection is ended
   */
  accept(
    socket: Socket,
    { askCertificate, milliseconds }: {
      readonly askCertificate: boolean;
      readonly milliseconds: number;
    },
  ): Promise<Secured | HandshakeFailure> {
    return new Promise((resolve) => {
      const key = endsOf(socket);
      // Else the runtime would not tell of a client that went away: nobody handshakes half-open.
      const halfOpen = socket.allowHalfOpen;
      socket.allowHalfOpen = false;
      const timer = setTimeout(() => settle({ problem: "the handshake timed out" }), milliseconds);
      const onClose = () => settle({ problem: "the client closed during the handshake" });
      const settle = (outcome: Secured | HandshakeFailure) => {
        clearTimeout(timer);
        this.#handshakes.delete(key);
        socket.off("close", onClose);
        if ("problem" in outcome) socket.destroy();
        else socket.allowHalfOpen = outcome.socket.allowHalfOpen = halfOpen;
        resolve(outcome);
      };
      // An error of the connection is followed by its close.
      socket.on("error", () => {});
      socket.on("close", onClose);
      this.#handshakes.set(key, { bound: this.#certificate.current.serverEndPoint, settle });
      this.#servers[askCertificate ? "asking" : "plain"].emit("connection", socket);
    });
  }

  #serve(requestCert: boolean): Server {
    const { cert, key } = this.#certificate.current;
    const server = createServer({ cert, key, requestCert, rejectUnauthorized: false });
    server.on("secureConnection", (socket) => {
      const handshake = this.#handshakes.get(endsOf(socket));
      if (handshake === undefined) return void socket.destroy();
      // From here on the connection's owner listens; until it does, an error must not go unheard.
      socket.on("error", () => {});
      handshake.settle(secured(socket, handshake.bound));
    });
    server.on("tlsClientError", (error, socket) => {
      // The socket may be closed by now, and then its ends are unknown: its close settles it.
      this.#handshakes.get(endsOf(socket))?.settle({ problem: error.message });
      socket.destroy();
    });
    return server;
  }
}

/** Names a connection: both sockets of it, the plain one and the one in TLS, have the same ends. */
function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`;
}

function secured(socket: TLSSocket, bound: Uint8Array): Secured {
  const peer = socket.getPeerCertificate(true);
  const fingerprint = peer?.fingerprint256?.replaceAll(":", "").toLowerCase();
  const { servername } = socket as TLSSocket & { readonly servername?: string | false };
  return {
    socket,
    facts: {
      protocol: socket.getProtocol() ?? "TLS",
      cipher: socket.getCipher()?.standardName ?? "unknown",
      ...(servername ? { serverName: servername } : {}),
      ...(fingerprint ? { peerFingerprint: fingerprint } : {}),
    },
    information: { channelBindings: [{ type: "tls-server-end-point", data: bound }] },
  };
}
