/**
 * One SMTP session with a next hop: carries bytes between a socket and the protocol core, and
 * content from the store to the core. What replies mean is the core's business.
 */
import { connect, type Socket } from "node:net";
import type { Timeouts } from "@postern/config";
import {
  type ClientAction,
  ClientSession,
  clientTimeoutSeconds,
  type Reply,
  replyOfFailure,
  type SessionFailure,
  statusOfFailure,
  type Transaction,
  type TransactionOutcome,
} from "@postern/smtp";
import type { NextHop } from "./next-hops.ts";

/** Seconds that a connection may take to come about, where the relay does not say. */
const CONNECT_SECONDS = 30;

/** An open session that takes transactions, one after another. */
export interface NextHopSession {
  readonly hop: NextHop;
  /** False once the session cannot take another transaction. */
  readonly usable: boolean;
  /** Delivers one message; the content is asked for only when the next hop wants it. */
  deliver(
    transaction: Transaction,
    content: () => AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ): Promise<TransactionOutcome>;
  /** Says QUIT and closes. */
  quit(): void;
  /** Closes at once. */
  destroy(): void;
}

/** A session that takes transactions, or why there is none. */
export type Opened =
  | { readonly status: "open"; readonly session: NextHopSession }
  | { readonly status: "transient" | "permanent"; readonly reply: Reply };

/** Connects to a next hop and goes through the greetings. */
export async function openNextHopSession(
  hop: NextHop,
  { ehloName, timeouts }: { readonly ehloName: string; readonly timeouts?: Timeouts | undefined },
): Promise<Opened> {
  const connected = await connectTo(hop, timeouts?.connect ?? CONNECT_SECONDS);
  if ("problem" in connected) {
    const text = `Cannot connect to ${hop.host} [${hop.address}]:${hop.port}: ${connected.problem}`;
    return { status: "transient", reply: { code: 451, enhanced: "4.4.1", lines: [text] } };
  }
  const session = new ClientSession({
    ehloName,
    tls: "none",
    ...(timeouts === undefined ? {} : { timeouts: sessionTimeouts(timeouts) }),
  });
  return await converse(connected.socket, hop, session);
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

function connectTo(
  hop: NextHop,
  seconds: number,
): Promise<{ socket: Socket } | { problem: string }> {
  return new Promise((resolve) => {
    const socket = connect({ host: hop.address, port: hop.port });
    socket.setTimeout(seconds * 1000, () => {
      socket.destroy();
      resolve({ problem: "timed out" });
    });
    socket.once("connect", () => {
      socket.setTimeout(0);
      socket.removeAllListeners();
      socket.setNoDelay(true);
      resolve({ socket });
    });
    socket.once("error", (error: Error & { code?: string }) => {
      resolve({ problem: error.code === "ECONNREFUSED" ? "connection refused" : error.message });
    });
  });
}

function converse(socket: Socket, hop: NextHop, session: ClientSession): Promise<Opened> {
  return new Promise((opened) => {
    let settle: ((outcome: TransactionOutcome) => void) | undefined;
    let source: AsyncIterator<Uint8Array> | Iterator<Uint8Array> | undefined;
    let content: Parameters<NextHopSession["deliver"]>[1] | undefined;
    let isOpen = false;
    let handingIn = false;

    const nextHopSession: NextHopSession = {
      hop,
      get usable() {
        return !session.ended && !socket.destroyed;
      },
      deliver: (transaction, newContent) =>
        new Promise((resolve) => {
          settle = resolve;
          content = newContent;
          source = undefined;
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
      const seconds = session.timeout?.seconds;
      socket.setTimeout(seconds === undefined ? 0 : seconds * 1000);
    }

    function perform(action: ClientAction) {
      switch (action.type) {
        case "send":
          socket.write(action.bytes);
          return;
        case "ready":
          if (!isOpen) opened({ status: "open", session: nextHopSession });
          isOpen = true;
          return;
        case "needContent":
          void handIn();
          return;
        case "outcome":
          settle?.(action.outcome);
          settle = undefined;
          return;
        case "close":
          if (!isOpen) opened(refusal(action.failure));
          isOpen = true;
          socket.end();
          // A peer that does not close its half is not waited for.
          socket.destroySoon();
          return;
        case "startTls":
          session.tlsFailed("TLS is not asked for");
          return;
        case "scramProof":
          throw new Error("no credentials were given");
      }
    }

    /** Hands content in as fast as the socket takes it. */
    async function handIn() {
      if (handingIn) return;
      handingIn = true;
      try {
        source ??= iterate(content!());
        for (;;) {
          if (socket.writableNeedDrain) await drained(socket);
          const piece = await source.next();
          if (piece.done) session.endOfContent();
          const more = !piece.done && session.content(piece.value);
          handingIn = more;
          pump();
          if (!more) return;
        }
      } catch {
        // The store could not give the rest: no end of data is sent, so nothing half is accepted.
        session.abortContent();
        pump();
      } finally {
        handingIn = false;
      }
    }

    socket.on("data", (bytes: Uint8Array) => {
      session.receive(bytes);
      pump();
    });
    socket.on("timeout", () => {
      session.timedOut();
      pump();
    });
    const ended = () => {
      session.disconnected();
      pump();
    };
    socket.on("end", ended);
    socket.on("close", ended);
    socket.on("error", () => {});
    pump();
  });
}

function refusal(failure: SessionFailure | undefined): Opened {
  if (failure === undefined) throw new Error("a session that never opened ended without a reason");
  const status = statusOfFailure(failure) === "permanent" ? "permanent" : "transient";
  return { status, reply: replyOfFailure(failure) };
}

function iterate(
  content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in content
    ? content[Symbol.asyncIterator]()
    : content[Symbol.iterator]();
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off("drain", done);
      socket.off("close", done);
      resolve();
    };
    socket.on("drain", done);
    socket.on("close", done);
  });
}
