/**
 * One SMTP connection: carries bytes between a socket and the protocol core, in clear or in TLS. It
 * decides nothing itself.
 */
import { isIPv6, type Socket } from "node:net";
import { canonicalIp } from "@postern/routing";
import {
  type ServerAction,
  ServerSession,
  type ServerTimeout,
  serverTimeoutSeconds,
  type TlsInformation,
} from "@postern/smtp";
import type { Place } from "./admission.ts";
import type { Ingress } from "./gateway-state.ts";
import type { ServedListener } from "./listener.ts";
import { routingSession } from "./policy.ts";
import { SessionAnswers } from "./session-answers.ts";
import type { SessionFacts } from "./session-facts.ts";
import type { HandshakeFailure, Secured } from "./tls-acceptor.ts";

/** A connection being served. */
export interface Connection {
  /** Ends it at the next command border with 421 4.3.2. */
  shutDown(): void;
  /** Ends it now. */
  destroy(): void;
}

/** What came in is freed at once from this size on. */
const LARGE_BYTES = 4096;

/** A client gets so long to close its side after we closed ours. */
const CLOSE_SECONDS = 5;

/** Replies that are ready wait so long for an answer that is looked up. */
const LOOKING_UP_SECONDS = 1;

/** A handshake may take so long. */
const HANDSHAKE_MILLISECONDS = 10_000;

/**
 * Content that comes more slowly uses up its time-out, of which faster content wins back as much: the
 * smtpd_min_data_rate of Postfix. A client may pause, but not drip.
 */
const LEAST_OCTETS_PER_SECOND = 500;

/** Serves a connection until it is closed. `onClosed` is called once, at the end and later than now. */
export function serveConnection(
  plain: Socket,
  listener: ServedListener,
  ingress: Ingress,
  onClosed: () => void,
): Connection {
  const place = ingress.admission.open(ingress.snapshot);
  const opening = {
    address: canonicalIp(plain.remoteAddress ?? ""),
    port: plain.remotePort ?? 0,
    listener: listener.url,
    verb: "HELO",
    helo: "",
  } as const;
  if (listener.kind !== "smtps") {
    return serveSession(plain, opening, place, listener, ingress, onClosed);
  }
  let connection: Connection | undefined;
  plain.setNoDelay(true);
  const { address } = opening;
  const over = () => {
    place.leave();
    onClosed();
  };
  // Who has no place costs no handshake, and has nobody to whom a 421 could be said.
  const refusal = place.take(ingress.snapshot, routingSession(ingress.snapshot, opening));
  if (refusal !== undefined) {
    ingress.log.debug("connection refused", { client: address, reply: refusal.lines[0] });
    plain.on("error", ignore).once("close", over).destroy();
  } else {
    void beginTls(plain, ingress).then((outcome) => {
      if ("problem" in outcome) {
        logFailure(ingress, address, outcome);
        return over();
      }
      const { socket, facts, information } = outcome;
      const secured = { ...opening, tls: facts };
      connection = serveSession(socket, secured, place, listener, ingress, onClosed, information);
    });
  }
  return {
    shutDown: () => connection === undefined ? plain.destroy() : connection.shutDown(),
    destroy: () => connection === undefined ? plain.destroy() : connection.destroy(),
  };
}

function serveSession(
  first: Socket,
  opening: SessionFacts,
  place: Place,
  listener: ServedListener,
  ingress: Ingress,
  onClosed: () => void,
  tlsInformation?: TlsInformation,
): Connection {
  let socket = first;
  const { address } = opening;
  const throughProxy = listener.proxies?.check(address, isIPv6(address) ? "ipv6" : "ipv4") ?? false;
  const options = throughProxy ? listener.optionsThroughProxy : listener.options;
  const session = new ServerSession(
    tlsInformation === undefined ? options : { ...options, tls: "active", tlsInformation },
  );
  const answers = new SessionAnswers(ingress, session, opening, place, (answer) => {
    void answer.catch(fail).then(pump);
  });
  /** Something is under way that must end before the next action: a write to the spool, a delay. */
  let busy = false;
  /** We said all we have to say. */
  let ended = false;
  let closed = false;
  /** What {@link regulate} did last. */
  let reading: boolean | undefined;
  let timeout: ServerTimeout | undefined;
  const idle = listener.clock.watch(timedOut);
  /** Large pieces of what came in that the session may still look at. */
  const received: Uint8Array[] = [];

  function pump() {
    if (busy || ended || closed) return;
    for (let action = session.next(); action !== undefined; action = session.next()) {
      const wait = perform(action);
      if (wait !== undefined) {
        busy = true;
        wait.catch(fail).finally(() => {
          busy = false;
          pump();
        });
        break;
      }
      if (ended || closed) return;
    }
    if (!busy && session.question === undefined) release();
    regulate();
  }

  /** What came in is dealt with, and nobody looks at it any more. */
  function release() {
    for (const bytes of received) giveBack(bytes);
    received.length = 0;
  }

  /** Performs one action; a promise means: go on when it is settled. */
  function perform(action: ServerAction): Promise<void> | undefined {
    switch (action.type) {
      case "send":
        if (action.delaySeconds === undefined) send(action.bytes);
        else return delay(action.delaySeconds).then(() => send(action.bytes));
        return;
      case "close":
        ended = true;
        if (action.atRequest) {
          // Whoever asks to go often does not wait for the answer: to close in steps is then to meet a
          // connection that was reset. TLS says goodbye first.
          if (socket.writableLength > 0 || "encrypted" in socket) socket.destroySoon();
          else socket.destroy();
          return;
        }
        socket.end();
        // What the client still sends is read and dropped, so that its end is noticed.
        socket.resume();
        idle.limit(CLOSE_SECONDS);
        return;
      case "startTls":
        return startTls();
      default:
        return answers.perform(action);
    }
  }

  function send(bytes: Uint8Array) {
    idle.touch();
    socket.write(bytes);
  }

  /** Hands the socket over to TLS in the moment in which its 220 was written. */
  async function startTls(): Promise<void> {
    const former = socket;
    for (const [event, listen] of Object.entries(listeners)) former.off(event, listen);
    idle.limit(Infinity);
    const outcome = await beginTls(former, ingress);
    if ("problem" in outcome) {
      logFailure(ingress, address, outcome);
      return over();
    }
    socket = outcome.socket;
    reading = timeout = undefined;
    answers.secured(outcome.facts);
    session.tlsStarted(outcome.information);
    listen();
  }

  /** Reads only while the session can use it and the client takes what it is told. */
  function regulate() {
    if (ended || closed || session.timeout === "tls") return;
    const reads = !busy && session.wantsInput && !socket.writableNeedDrain;
    if (reads !== reading) {
      const paused = reading === false;
      reading = reads;
      if (reads) socket.resume();
      else socket.pause();
      // For the time in which we did not read, the client is not to blame.
      if (paused) idle.touch();
    }
    if (session.timeout === timeout) return;
    timeout = session.timeout;
    idle.limit(timeout === "none" ? LOOKING_UP_SECONDS : serverTimeoutSeconds[timeout]);
  }

  /** An answer takes long: what is ready goes out before it. */
  function sendReady() {
    idle.touch();
    // What is held back goes first.
    const action = busy ? undefined : session.flush();
    if (action !== undefined) void perform(action);
  }

  function timedOut() {
    if (ended) return void socket.destroy();
    if (session.timeout === "none") return sendReady();
    session.timedOut();
    pump();
    // A client that does not even read our farewell is not waited for.
    if (busy || socket.writableNeedDrain) socket.destroy();
  }

  function fail(error: unknown) {
    ingress.log.error("session failed", { client: address, error: String(error) });
    socket.destroy();
  }

  function over() {
    if (closed) return;
    closed = true;
    idle.end();
    answers.end();
    onClosed();
  }

  const listeners = {
    data: (chunk: Uint8Array) => {
      if (ended) return;
      // A command is whole before its time-out, however it comes in: our reply counts, not each octet.
      if (timeout === "data") idle.credit(chunk.length / LEAST_OCTETS_PER_SECOND);
      // A plain array: a slice of a Buffer is a view, and a search in it takes a detour.
      const bytes = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length);
      if (bytes.length >= LARGE_BYTES) received.push(bytes);
      session.receive(bytes);
      pump();
    },
    drain: () => {
      idle.touch();
      regulate();
    },
    end: () => {
      session.inputEnded();
      pump();
    },
    error: (error: Error) => {
      ingress.log.debug("connection broke", { client: address, error: String(error) });
    },
    close: () => {
      over();
      // The runtime's books may refer to the socket for long: the session is not to look alive with it.
      socket.removeAllListeners().on("error", ignore);
    },
  };

  function listen() {
    for (const [event, listener] of Object.entries(listeners)) socket.on(event, listener);
  }

  socket.setNoDelay(true);
  listen();
  session.start();
  pump();
  return {
    shutDown: () => {
      session.shutDown();
      // A client in the midst of its handshake has given us nothing to lose.
      if (session.timeout === "tls") socket.destroy();
      else pump();
    },
    destroy: () => socket.destroy(),
  };
}

/**
 * Frees the memory of what a socket read. The collector would see only a small object, and let tens of
 * megabytes come together before it looks.
 */
function giveBack({ buffer, byteLength }: Uint8Array): void {
  // Where others share the buffer, it is not ours to free.
  if (buffer instanceof ArrayBuffer && buffer.byteLength === byteLength) buffer.transfer(0);
}

function beginTls(socket: Socket, ingress: Ingress): Promise<Secured | HandshakeFailure> {
  return ingress.tls.accept(socket, {
    askCertificate: ingress.snapshot.clientCertificates.size > 0,
    milliseconds: HANDSHAKE_MILLISECONDS,
  });
}

function logFailure({ log }: Ingress, address: string, { problem }: HandshakeFailure): void {
  log.info("no TLS", { client: canonicalIp(address), problem });
}

function ignore(): void {}

function delay(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}
