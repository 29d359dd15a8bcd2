/**
 * One SMTP connection: carries bytes between a socket and the protocol core, and the core's
 * questions to policy and spool. It decides nothing itself.
 */
import type { Socket } from "node:net";
import { clientAt } from "@postern/routing";
import {
  type Reply,
  reply,
  type ServerAction,
  ServerSession,
  serverTimeoutSeconds,
} from "@postern/smtp";
import type { Ingress } from "./gateway-state.ts";
import { IncomingMessage } from "./incoming-message.ts";
import { MailTransaction } from "./policy.ts";
import type { SessionFacts } from "./session-facts.ts";

/** A connection being served. */
export interface Connection {
  /** Ends it at the next command border with 421 4.3.2. */
  shutDown(): void;
  /** Ends it now. */
  destroy(): void;
}

/** A client gets so long to close its side after we closed ours. */
const CLOSE_MILLISECONDS = 5_000;

/** Serves a socket until it is closed. `onClosed` is called once, at the end. */
export function serveConnection(
  socket: Socket,
  listener: string,
  ingress: Ingress,
  onClosed: () => void,
): Connection {
  const address = (socket.remoteAddress ?? "").replace(/^::ffff:(?=\d+\.)/, "");
  const facts = { address, port: socket.remotePort ?? 0, listener, verb: "HELO", helo: "" } as {
    -readonly [name in keyof SessionFacts]: SessionFacts[name];
  };
  const session = new ServerSession({
    hostname: ingress.hostname,
    banner: "Postern",
    // Only what delivery honours is offered.
    extensions: { binaryMime: false, deliverBy: false, mtPriority: false, requireTls: false },
    // Source routes are policy's to judge: they reach it as they were given.
    sourceRoutes: "honour",
    localNames: [],
  });
  const place = ingress.admission.open();
  let transaction: MailTransaction | undefined;
  let message: IncomingMessage | undefined;
  /** Something is under way that must end before the next action: a write to the spool, a delay. */
  let busy = false;
  /** We said all we have to say. */
  let ended = false;
  let closed = false;

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
    regulate();
  }

  /** Performs one action; a promise means: go on when it is settled. */
  function perform(action: ServerAction): Promise<void> | undefined {
    switch (action.type) {
      case "send":
        if (action.delaySeconds === undefined) socket.write(action.bytes);
        else return delay(action.delaySeconds).then(() => void socket.write(action.bytes));
        return;
      case "close":
        ended = true;
        socket.end();
        // What the client still sends is read and dropped, so that its end is noticed.
        socket.resume();
        socket.setTimeout(CLOSE_MILLISECONDS);
        return;
      case "content":
        return message?.add(action.bytes);
      case "hello":
        facts.verb = action.verb;
        facts.helo = action.name;
        session.accept();
        return;
      case "mail": {
        const { reversePath, parameters } = action;
        transaction = new MailTransaction(ingress, facts, reversePath, parameters);
        return void answer(transaction.mail());
      }
      case "rcpt":
        return void answer(transaction!.rcpt(action.forwardPath, action.parameters));
      case "data":
        message = new IncomingMessage(ingress, facts, action.envelope, transaction!);
        session.accept();
        return;
      case "message": {
        const complete = message!;
        message = undefined;
        // The spool's answer comes later; meanwhile the session has its question open.
        void complete.commit(action.envelope).then((answer: Reply) => {
          session.answer(answer);
          pump();
        });
        return;
      }
      case "reset":
        transaction = undefined;
        void message?.discard();
        message = undefined;
        return;
      case "connect": {
        const client = clientAt(ingress.snapshot, address);
        const who = { address, client, tls: false, helo: "" };
        const refusal = place.take(ingress.snapshot, who);
        if (refusal === undefined) session.accept();
        else session.refuse(refusal);
        return;
      }
      case "auth":
      case "scram":
      case "digest":
      case "vrfy":
      case "expn":
      case "etrn":
      case "xclient":
      case "xforward":
        // Never asked: the session offers none of them. Refusing is the safe answer all the same.
        session.refuse(reply(502, "5.5.1", "Not available"));
        return;
      case "startTls":
      case "proxied":
        return;
    }
  }

  /** Answers the session's question: at once, or when the reply is there. */
  function answer(refusal: Reply | undefined | Promise<Reply | undefined>): void {
    if (refusal instanceof Promise) {
      void refusal.then((later) => {
        answer(later);
        pump();
      }).catch(fail);
    } else if (refusal === undefined) session.accept();
    else session.refuse(refusal);
  }

  /** Reads only while the session can use it and the client takes what it is told. */
  function regulate() {
    if (ended || closed) return;
    if (busy || !session.wantsInput || socket.writableNeedDrain) socket.pause();
    else socket.resume();
    const seconds = serverTimeoutSeconds[session.timeout];
    socket.setTimeout(Number.isFinite(seconds) ? seconds * 1000 : 0);
  }

  function fail(error: unknown) {
    ingress.log.error("session failed", { client: address, error: String(error) });
    socket.destroy();
  }

  function delay(seconds: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  }

  socket.setNoDelay(true);
  socket.on("data", (bytes: Uint8Array) => {
    if (ended) return;
    session.receive(bytes);
    pump();
  });
  socket.on("drain", regulate);
  socket.on("timeout", () => {
    if (ended) return void socket.destroy();
    session.timedOut();
    pump();
    // A client that does not even read our farewell is not waited for.
    if (busy || socket.writableNeedDrain) socket.destroy();
  });
  socket.on("end", () => {
    session.inputEnded();
    pump();
  });
  socket.on("error", (error) => {
    ingress.log.debug("connection broke", { client: address, error: String(error) });
  });
  socket.on("close", () => {
    closed = true;
    place.leave();
    void message?.discard();
    message = undefined;
    onClosed();
  });

  session.start();
  pump();
  return {
    shutDown: () => {
      session.shutDown();
      pump();
    },
    destroy: () => socket.destroy(),
  };
}
