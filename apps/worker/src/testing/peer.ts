/**
 * A next hop for the tests of sessions: offers what a test says, does TLS and AUTH for real, keeps
 * all it was told, line by line. Written apart from the product's protocol core, so that both
 * cannot be wrong together.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type Server as TlsServer } from "node:tls";
import type { TestCertificate } from "./certificates.ts";

/** How a peer behaves; all of it may be changed between sessions. */
export interface PeerManner {
  /** Keywords of EHLO; STARTTLS is among them where there is a certificate. */
  offers?: readonly string[];
  /** Keywords of EHLO once TLS runs; the same when absent. */
  offersInTls?: readonly string[];
  certificate?: TestCertificate;
  /** TLS from the first byte. */
  implicit?: boolean;
  /** Says 220 to STARTTLS and breaks the handshake. */
  breaksHandshake?: boolean;
  /** Answers only when the other side has long written all it had to write. */
  answersLate?: boolean;
  /** LMTP: LHLO, and a reply for each recipient. */
  lmtp?: boolean;
  /** Answers a command, `connect`, or `message`; undefined: as usual; `cut`: breaks off. */
  answer?: (line: string, session: PeerSession) => string | undefined;
}

/** One session as the peer saw it. */
export interface PeerSession {
  readonly lines: string[];
  tls: boolean;
  servername: string | undefined;
}

/** A message that was taken. */
export interface PeerMessage {
  readonly mail: string;
  readonly rcpts: readonly string[];
  readonly content: string;
  readonly session: number;
  readonly tls: boolean;
}

/** Listens on a port that the system gives, if none is set before it starts. */
export class Peer {
  readonly sessions: PeerSession[] = [];
  readonly messages: PeerMessage[] = [];
  manner: PeerManner;
  #server: Server | undefined;
  #tls: TlsServer | undefined;
  readonly #sockets = new Set<Socket>();
  port = 0;
  readonly #address: string;

  constructor(manner: PeerManner = {}, address = "127.0.0.1") {
    this.manner = manner;
    this.#address = address;
  }

  async start(): Promise<this> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => {});
      const session: PeerSession = { lines: [], tls: false, servername: undefined };
      const number = this.sessions.push(session) - 1;
      if (this.manner.implicit) this.#secure(socket, session, number, true);
      else this.#serve(socket, session, number, true);
    });
    this.#server = server;
    await new Promise<void>((resolve) => server.listen(this.port, this.#address, resolve));
    this.port = (server.address() as { port: number }).port;
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server?.close(() => resolve()) ?? resolve());
    this.#server = undefined;
  }

  /** Everything said in all sessions, but for contents. */
  get said(): string[] {
    return this.sessions.flatMap(({ lines }) => lines);
  }

  #secure(socket: Socket, session: PeerSession, number: number, greets: boolean): void {
    const server = createTlsServer({ ...this.manner.certificate! }, (secure) => {
      session.tls = true;
      session.servername = (secure as unknown as { servername?: string }).servername;
      secure.on("error", () => {});
      this.#serve(secure, session, number, greets);
    });
    server.on("tlsClientError", () => socket.destroy());
    this.#tls = server;
    this.#tls.emit("connection", socket);
  }

  #serve(socket: Socket, session: PeerSession, number: number, greets: boolean): void {
    let buffered = Buffer.alloc(0);
    let mail = "";
    let rcpts: string[] = [];
    let inData = false;
    let chunk: { left: number; last: boolean } | undefined;
    let content = Buffer.alloc(0);
    const say = (usual: string, line: string) => {
      const reply = this.manner.answer?.(line, session) ?? usual;
      if (reply === "cut") socket.destroy();
      else if (this.manner.answersLate) setTimeout(() => socket.write(`${reply}\r\n`), 2);
      else if (!socket.destroyed) socket.write(`${reply}\r\n`);
      return /^[23]/.test(reply);
    };
    const taken = () => {
      const message = {
        mail,
        rcpts,
        content: content.toString("utf8"),
        session: number,
        tls: session.tls,
      };
      content = Buffer.alloc(0);
      const each = this.manner.lmtp ? rcpts.map((rcpt) => `message ${rcpt}`) : ["message"];
      const replies = each.map((one) => say("250 2.0.0 Taken", one));
      if (replies.some((good) => good)) this.messages.push(message);
      mail = "";
      rcpts = [];
    };
    const command = (line: string) => {
      session.lines.push(line);
      const verb = line.split(/[ :]/, 1)[0]!.toUpperCase();
      switch (verb) {
        case "EHLO":
        case "LHLO": {
          const { offers = [], offersInTls = offers, certificate, breaksHandshake } = this.manner;
          const startTls = (certificate !== undefined || breaksHandshake) && !session.tls;
          const keywords = [...session.tls ? offersInTls : offers, ...startTls ? ["STARTTLS"] : []];
          const all = ["peer.test", ...keywords];
          const reply = all.map((one, at) => `250${at === all.length - 1 ? " " : "-"}${one}`);
          return void say(reply.join("\r\n"), line);
        }
        case "STARTTLS":
          if (!say("220 2.0.0 Go on", line)) return;
          socket.removeAllListeners("data");
          if (this.manner.breaksHandshake) {
            return void socket.once("data", () => socket.end("no TLS here\r\n"));
          }
          return this.#secure(socket, session, number, false);
        case "AUTH":
          return void say("235 2.7.0 Ok", line);
        case "MAIL":
          if (say("250 2.1.0 Ok", line)) mail = line;
          return;
        case "RCPT":
          if (say("250 2.1.5 Ok", line)) rcpts.push(line);
          return;
        case "DATA":
          if (rcpts.length === 0) return void say("554 5.5.1 No recipients", line);
          inData = say("354 Go on", line);
          return;
        case "BDAT": {
          const [, size, last] = line.split(" ");
          chunk = { left: Number(size), last: last?.toUpperCase() === "LAST" };
          return;
        }
        case "RSET":
          mail = "";
          rcpts = [];
          return void say("250 2.0.0 Ok", line);
        case "QUIT":
          return void socket.end("221 2.0.0 Bye\r\n");
        default:
          return void say(
            /^[A-Za-z0-9+/=]*$/.test(line) ? "235 2.7.0 Ok" : "500 5.5.2 What?",
            line,
          );
      }
    };
    socket.on("data", (bytes: Uint8Array) => {
      buffered = Buffer.concat([buffered, bytes]);
      for (;;) {
        if (chunk !== undefined) {
          const part = buffered.subarray(0, chunk.left);
          content = Buffer.concat([content, part]);
          buffered = buffered.subarray(part.length);
          chunk.left -= part.length;
          if (chunk.left > 0) return;
          const { last } = chunk;
          chunk = undefined;
          if (last) taken();
          else say("250 2.0.0 Chunk", "chunk");
          continue;
        }
        if (inData) {
          const text = buffered.toString("latin1");
          const end = text.startsWith(".\r\n") ? 0 : text.indexOf("\r\n.\r\n") + 2;
          if (end === 1) return;
          const stuffed = buffered.subarray(0, end).toString("latin1");
          content = Buffer.from(stuffed.replace(/^\.\./gm, "."), "latin1");
          buffered = buffered.subarray(end + 3);
          inData = false;
          taken();
          continue;
        }
        const end = buffered.indexOf("\r\n");
        if (end < 0) return;
        const line = buffered.subarray(0, end).toString("utf8");
        buffered = buffered.subarray(end + 2);
        command(line);
      }
    });
    if (greets) say("220 peer.test", "connect");
  }
}
