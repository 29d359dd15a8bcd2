/**
 * A next hop that does as it is told: an SMTP server that keeps what it takes with its bytes, and
 * refuses, defers, waits or cuts where a test's script says so. Written apart from the product's
 * own protocol core, so that both cannot be wrong together.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";

/** Where in a session a script may step in. `message` is the reply to the final dot. */
export type Step = "connect" | "mail" | "rcpt" | "data" | "message";

/** A transaction as far as it has come. */
export interface Transaction {
  readonly reversePath: string;
  /** Recipients taken so far; at `rcpt` the one that is asked about comes last. */
  readonly recipients: readonly string[];
}

/** A whole reply line, `"cut"` to break the connection, undefined to go on as usual. */
export type Answer = string | "cut" | undefined;

/** Decides what is answered at each step. */
export type Script = (step: Step, transaction: Transaction) => Answer | Promise<Answer>;

/** A message that the next hop has seen whole. */
export interface TakenMessage extends Transaction {
  /** The content, dots unstuffed. */
  readonly content: Buffer;
  /** The MAIL and RCPT commands as they came. */
  readonly commands: readonly string[];
  /** Counts the sessions from 0. */
  readonly session: number;
}

/** Bytes of a socket, read by line and by content. */
class Input {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#wake?.();
    });
    const end = () => {
      this.#ended = true;
      this.#wake?.();
    };
    socket.on("end", end);
    socket.on("close", end);
    socket.on("error", end);
  }

  /** All up to a mark, the mark left out; undefined at the end of the input. */
  async until(mark: string): Promise<Buffer | undefined> {
    for (let from = 0;;) {
      const at = this.#bytes.indexOf(mark, from, "latin1");
      if (at >= 0) {
        const found = this.#bytes.subarray(0, at);
        this.#bytes = this.#bytes.subarray(at + mark.length);
        return found;
      }
      from = Math.max(0, this.#bytes.length - mark.length);
      if (this.#ended || this.#socket.destroyed) return undefined;
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }

  /** Content up to the final dot, unstuffed. */
  async content(): Promise<Buffer | undefined> {
    // The CRLF that ends the DATA command counts as the one before the dot.
    this.#bytes = Buffer.concat([Buffer.from("\r\n"), this.#bytes]);
    const stuffed = await this.until("\r\n.\r\n");
    if (stuffed === undefined) return undefined;
    const text = `${stuffed.toString("latin1")}\r\n`;
    return Buffer.from(text.replaceAll("\r\n.", "\r\n").slice(2), "latin1");
  }
}

/** A scripted SMTP server on 127.0.0.1. */
export class NextHop {
  /** In the order they were seen whole; a script may still have refused them. */
  readonly seen: TakenMessage[] = [];
  /** In the order they were answered 250. */
  readonly accepted: TakenMessage[] = [];
  /** What is done where; replaced by tests as they go. */
  script: Script = () => undefined;
  #server: Server | undefined;
  #port = 0;
  #sessions = 0;
  readonly #sockets = new Set<Socket>();

  get port(): number {
    return this.#port;
  }

  /** Sessions begun so far. */
  get sessions(): number {
    return this.#sessions;
  }

  /** Listens; the port is the one it had before, or one that the system gives. */
  async start(port = this.#port): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      void this.#serve(socket, this.#sessions++);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port }, resolve);
    });
    const address = server.address();
    if (typeof address === "object" && address !== null) this.#port = address.port;
  }

  /** Stops listening and breaks the sessions. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  /** What was accepted for a recipient. */
  acceptedFor(recipient: string): TakenMessage[] {
    return this.accepted.filter(({ recipients }) => recipients.includes(recipient));
  }

  async #serve(socket: Socket, session: number): Promise<void> {
    const input = new Input(socket);
    let reversePath: string | undefined;
    let recipients: string[] = [];
    let commands: string[] = [];

    /** Answers by the script or else as given; says whether the answer was positive. */
    const answer = async (step: Step, usual: string, asked = recipients): Promise<boolean> => {
      const told = await this.script(step, { reversePath: reversePath ?? "", recipients: asked });
      if (told === "cut") socket.destroy();
      const reply = told ?? usual;
      if (socket.destroyed) return false;
      socket.write(`${reply}\r\n`);
      return /^[23]/.test(reply);
    };

    if (!await answer("connect", "220 next-hop.test ESMTP")) return void socket.end();
    for (;;) {
      const line = (await input.until("\r\n"))?.toString("latin1");
      if (line === undefined) return void socket.destroy();
      const path = /^[A-Z ]+:<([^>]*)>/i.exec(line)?.[1] ?? "";
      switch (line.slice(0, 4).toUpperCase()) {
        case "EHLO":
          socket.write(
            "250-next-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n" +
              "250-SIZE 50000000\r\n250 ENHANCEDSTATUSCODES\r\n",
          );
          break;
        case "MAIL":
          reversePath = path;
          recipients = [];
          commands = [line];
          if (!await answer("mail", "250 2.1.0 Ok")) reversePath = undefined;
          break;
        case "RCPT":
          if (reversePath === undefined) socket.write("503 5.5.1 MAIL first\r\n");
          else if (await answer("rcpt", "250 2.1.5 Ok", [...recipients, path])) {
            recipients.push(path);
            commands.push(line);
          }
          break;
        case "DATA": {
          if (recipients.length === 0) {
            socket.write("554 5.5.1 No valid recipients\r\n");
            break;
          }
          if (!await answer("data", "354 Go on")) break;
          const content = await input.content();
          if (content === undefined) return void socket.destroy();
          const message = {
            reversePath: reversePath ?? "",
            recipients,
            commands,
            content,
            session,
          };
          this.seen.push(message);
          if (await answer("message", `250 2.0.0 Taken as ${this.seen.length}`)) {
            this.accepted.push(message);
          }
          reversePath = undefined;
          recipients = [];
          break;
        }
        case "RSET":
          reversePath = undefined;
          recipients = [];
          socket.write("250 2.0.0 Ok\r\n");
          break;
        case "HELO":
        case "NOOP":
          socket.write("250 2.0.0 Ok\r\n");
          break;
        case "QUIT":
          socket.end("221 2.0.0 Bye\r\n");
          return;
        default:
          socket.write("500 5.5.2 What?\r\n");
      }
    }
  }
}
