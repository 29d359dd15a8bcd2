/**
 * One SMTP or LMTP session with a next hop: carries bytes between a connection and the protocol
 * core, content from the store to the core, and does the TLS and the cryptography that the core
 * asks for. What replies mean is the core's business.
 */
import type { Socket } from "node:net";
import type { Timeouts, TlsPolicy } from "@postern/config";
import { concat } from "@postern/message";
import { IdleClock } from "@postern/process";
import {
  type Capabilities,
  type ClientAction,
  type ClientCredentials,
  ClientSession,
  type ClientSessionOptions,
  clientTimeoutSeconds,
  type SessionFailure,
  type Transaction,
  type TransactionOutcome,
} from "@postern/smtp";
import { connectTo } from "./connect.ts";
import { ContentSender, type Line, type OutgoingContent, WRITE_BYTES } from "./content-sender.ts";
import { type ActiveTlsPolicy, handshake, type TlsFacts } from "./handshake.ts";
import type { NextHop } from "./next-hops.ts";
import { scramProof } from "./scram-proof.ts";

/** Seconds that a connection to one address may take, where the relay does not say. */
const CONNECT_SECONDS = 30;

/** Seconds that a peer has to take what was written last, when the session is over. */
const CLOSE_SECONDS = 5;

/** Tells sessions when a next hop says nothing for too long. */
const clock = new IdleClock();

/** Where a session goes to and how. */
export interface SessionPlace {
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly tls?: TlsFacts;
  /** Why it goes on in clear, where TLS was tried. */
  readonly tlsProblem?: string;
}

/** An open session that takes transactions, one after another. */
export interface NextHopSession {
  readonly place: SessionPlace;
  readonly capabilities: Capabilities;
  /** Transactions begun. */
  readonly transactions: number;
  /** False once the session cannot take another transaction. */
  readonly usable: boolean;
  /**
   * Delivers one message; the content is asked for only when the next hop wants it. Rejects when the
   * content is at fault; then the session is of no use any more.
   */
  deliver(transaction: Transaction, content: OutgoingContent): Promise<TransactionOutcome>;
  /** Says QUIT and closes. */
  quit(): void;
  /** Closes at once. */
  destroy(): void;
}

/** How to open a session. */
export interface SessionManner {
  readonly flavour: "smtp" | "lmtp";
  readonly ehloName: string;
  readonly tls: TlsPolicy;
  /** Whether a host that offers TLS and then has none is not to be spoken to, whatever the policy. */
  readonly mustNotGoInClear: boolean;
  readonly sourceAddress?: string | undefined;
  readonly credentials?: ClientCredentials | undefined;
  /** Whether passwords and tokens may be shown without TLS. */
  readonly credentialsInClear: boolean;
  readonly timeouts?: Timeouts | undefined;
  /** Why this session is to go in clear, where TLS was tried before. */
  readonly tlsProblem?: string;
}

/** A session that takes transactions, or why there is none. */
export type Opened =
  | { readonly status: "open"; readonly session: NextHopSession }
  | {
    readonly status: "notConnected";
    readonly problem: string;
    /** Whether there was an address to try. */
    readonly dialled: boolean;
  }
  | { readonly status: "failed"; readonly failure: SessionFailure; readonly place: SessionPlace };

/** Connects to a next hop and goes through the greetings. */
export async function openNextHopSession(hop: NextHop, manner: SessionManner): Promise<Opened> {
  const { sourceAddress, timeouts, tls, tlsProblem } = manner;
  const seconds = timeouts?.connect ?? CONNECT_SECONDS;
  const connected = await connectTo(hop, { sourceAddress, seconds });
  if ("problem" in connected) return { status: "notConnected", ...connected };
  const { socket, address } = connected;
  const place = {
    host: hop.host,
    address,
    port: hop.port,
    ...(tlsProblem === undefined ? {} : { tlsProblem }),
  };
  if (!("implicit" in tls) || !tls.implicit) return await converse(socket, place, hop, manner);
  const secured = await handshake(socket, tls, handshakeOptions(hop, manner));
  if ("problem" in secured) {
    const failure = { kind: "tlsFailed", command: "STARTTLS", detail: secured.problem } as const;
    return { status: "failed", failure, place };
  }
  return await converse(secured.socket, { ...place, tls: secured.facts }, hop, manner);
}

/** Whether the next hop is certainly who it should be, as REQUIRETLS wants it (RFC 8689 §4.2.1). */
function isCertain({ verified }: TlsFacts, hop: NextHop, { tls }: SessionManner): boolean {
  if (verified === "none") return false;
  // A certificate that is good for a name says nothing where somebody else chose the name.
  const isNamed = tls.policy === "verify" && tls.serverName !== undefined;
  return hop.nameIsCertain || isNamed || tls.policy === "fingerprint";
}

function handshakeOptions({ host }: NextHop, { timeouts }: SessionManner) {
  return { host, seconds: timeouts?.command ?? clientTimeoutSeconds.tls };
}

/** The relay's time-outs by the names of the protocol core. */
function sessionTimeouts({ command, content, final }: Timeouts) {
  return {
    greeting: command,
    hello: command,
    tls: command,
    mail: command,
    rcpt: command,
    data: command,
    content,
    endOfContent: final,
    reset: Math.min(command, clientTimeoutSeconds.reset),
    quit: Math.min(command, clientTimeoutSeconds.quit),
  };
}

function startTlsFor(
  { policy }: TlsPolicy,
  mustNotGoInClear: boolean,
): NonNullable<ClientSessionOptions["tls"]> {
  if (policy === "none") return policy;
  if (policy !== "may") return "require";
  return mustNotGoInClear ? "ifOffered" : policy;
}

function coreOptions(
  { flavour, ehloName, tls, mustNotGoInClear, credentials, credentialsInClear, timeouts }:
    SessionManner,
  active: ClientSessionOptions["tlsActive"],
): ClientSessionOptions {
  return {
    flavour,
    ehloName,
    tls: startTlsFor(tls, mustNotGoInClear),
    ...(timeouts === undefined ? {} : { timeouts: sessionTimeouts(timeouts) }),
    ...(active === undefined ? {} : { tlsActive: active }),
    ...(credentials === undefined ? {} : { credentials, credentialsInClear }),
  };
}

function converse(
  connection: Socket,
  startingPlace: SessionPlace,
  hop: NextHop,
  manner: SessionManner,
): Promise<Opened> {
  return new Promise((opened) => {
    let socket = connection;
    let place = startingPlace;
    let settle: ((outcome: TransactionOutcome) => void) | undefined;
    /** Sends the content of the transaction under way. */
    let sender: ContentSender | undefined;
    let isOpen = false;
    let transactions = 0;
    let gathered: Uint8Array[] = [];
    let gatheredBytes = 0;
    const idle = clock.watch(timedOut);
    const session = new ClientSession(coreOptions(
      manner,
      place.tls && { verified: isCertain(place.tls, hop, manner) },
    ));

    const line: Line = {
      session,
      get socket() {
        return socket;
      },
      pump,
      moved: () => idle.touch(),
    };

    const nextHopSession: NextHopSession = {
      get place() {
        return place;
      },
      get capabilities() {
        return session.capabilities;
      },
      get transactions() {
        return transactions;
      },
      get usable() {
        return !session.ending && !socket.destroyed;
      },
      deliver: (transaction, content) =>
        new Promise((resolve, reject) => {
          transactions += 1;
          settle = resolve;
          sender = new ContentSender(content, line, reject);
          session.deliver(transaction);
          pump();
        }),
      quit: () => {
        session.quit();
        pump();
      },
      destroy: () => socket.destroy(),
    };

    function pump() {
      for (let action = session.next(); action !== undefined; action = session.next()) {
        perform(action);
      }
      flush();
      idle.limit(session.ended ? CLOSE_SECONDS : session.timeout?.seconds ?? Infinity);
    }

    /** Writes what was gathered at once: a write is a packet, and in TLS a record. */
    function flush() {
      if (gathered.length === 0) return;
      socket.write(concat(gathered));
      gathered = [];
      gatheredBytes = 0;
    }

    function perform(action: ClientAction) {
      switch (action.type) {
        case "send":
          if (gatheredBytes + action.bytes.length > WRITE_BYTES) flush();
          gathered.push(action.bytes);
          gatheredBytes += action.bytes.length;
          return;
        case "ready":
          if (!isOpen) opened({ status: "open", session: nextHopSession });
          isOpen = true;
          return;
        case "needContent":
          // What was gathered may be content, whose memory is freed before more is read.
          flush();
          void sender!.send();
          return;
        case "outcome":
          flush();
          sender?.end();
          sender = undefined;
          settle?.(action.outcome);
          settle = undefined;
          return;
        case "close":
          if (!isOpen) opened(failed(action.failure, place));
          isOpen = true;
          flush();
          if (action.failure !== undefined) return void socket.destroy();
          socket.end();
          // A peer that does not close its half is not waited for; nor, for long, one that does not read.
          socket.destroySoon();
          return;
        case "startTls":
          flush();
          void secure(manner.tls as ActiveTlsPolicy);
          return;
        case "scramProof":
          void scramProof(action).then((proof) => {
            session.answerScram(proof);
            pump();
          }, () => socket.destroy());
          return;
      }
    }

    /** The handshake reads the connection by itself: nobody else may listen meanwhile. */
    async function secure(policy: ActiveTlsPolicy) {
      detach();
      const secured = await handshake(socket, policy, handshakeOptions(hop, manner));
      if ("problem" in secured) {
        idle.end();
        session.tlsFailed(secured.problem);
      } else {
        socket = secured.socket;
        place = { ...place, tls: secured.facts };
        attach();
        session.tlsStarted({ verified: isCertain(secured.facts, hop, manner) });
      }
      pump();
    }

    function received(bytes: Uint8Array) {
      const { replies } = session;
      session.receive(bytes);
      // Part of a reply changes nothing, the time that is left for it included.
      if (session.replies > replies || session.ended) pump();
    }

    function timedOut() {
      if (session.ended) return socket.destroy();
      session.timedOut();
      pump();
    }

    function ended() {
      session.disconnected();
      pump();
    }

    function closed() {
      ended();
      idle.end();
    }

    function attach() {
      socket.on("data", received);
      socket.on("end", ended);
      socket.on("close", closed);
      socket.on("error", () => {});
    }

    function detach() {
      idle.limit(Infinity);
      socket.off("data", received);
      socket.off("end", ended);
      socket.off("close", closed);
    }

    attach();
    pump();
  });
}

function failed(failure: SessionFailure | undefined, place: SessionPlace): Opened {
  if (failure === undefined) throw new Error("a session that never opened ended without a reason");
  return { status: "failed", failure, place };
}
