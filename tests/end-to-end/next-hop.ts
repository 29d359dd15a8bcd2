/**
 * A next hop that does as it is told: an SMTP server that keeps what it takes with its bytes, and
 * refuses, defers, waits or cuts where a test's script says so. Written apart from the product's
 * own protocol core, so that both cannot be wrong together.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";

/**
 * Where in a session a script may step in. `content` comes before any content is read, with nothing
 * to be answered; `message` is the reply to the final dot, `after` comes when that was sent.
 */
export type Step =
  | "connect"
  | "ehlo"
  | "starttls"
  | "mail"
  | "rcpt"
  | "data"
  | "content"
  | "message"
  | "after"
  | "quit";

/** A transaction as far as it has come. */
export interface Transaction {
  readonly reversePath: string;
  /** Recipients taken so far; at `rcpt` the one that is asked about comes last. */
  readonly recipients: readonly string[];
  /** How the client called itself in EHLO. */
  readonly client: string;
}

/** What a peer must not do. */
export interface Mischief {
  /** Sent as it stands, before anything else. */
  readonly raw?: string;
  /** Milliseconds between each byte of `raw`. */
  readonly drip?: number;
  /**
   * Then: break the connection, end it in good order, neither read nor write any more, or go on
   * (undefined) as if the step had been answered.
   */
  readonly then?: "cut" | "end" | "stall";
}

/** A whole reply line, `"cut"` to break the connection, mischief, undefined to go on as usual. */
export type Answer = string | "cut" | Mischief | undefined;

/** Decides what is answered at each step; sessions are counted from 0. */
export type Script = (
  step: Step,
  transaction: Transaction,
  session: number,
) => Answer | Promise<Answer>;

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
  /** What was not read yet lies in `#store`, which grows in powers of two. */
  #store: Buffer = Buffer.alloc(8192);
  #bytes: Buffer = this.#store.subarray(0, 0);
  #ended = false;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#append(chunk);
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

  #append(chunk: Buffer): void {
    const begin = this.#bytes.byteOffset - this.#store.byteOffset;
    const end = begin + this.#bytes.length;
    if (end + chunk.length <= this.#store.length) {
      chunk.copy(this.#store, end);
      this.#bytes = this.#store.subarray(begin, end + chunk.length);
      return;
    }
    const length = this.#bytes.length + chunk.length;
    const store = Buffer.alloc(2 ** Math.ceil(Math.log2(2 * length + 8192)));
    this.#bytes.copy(store);
    chunk.copy(store, this.#bytes.length);
    this.#store = store;
    this.#bytes = store.subarray(0, length);
  }

  /** All up to a mark, the mark left out; undefined at the end of the input. */
  async until(mark: string): Promise<Buffer | undefined> {
    for (let from = 0;;) {
      const at = this.#bytes.indexOf(mark, from, "latin1");
      if (at >= 0) {
        const found = Buffer.from(this.#bytes.subarray(0, at));
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
    const early = Buffer.from(this.#bytes);
    this.#bytes = this.#bytes.subarray(0, 0);
    this.#append(Buffer.concat([Buffer.from("\r\n"), early]));
    const stuffed = await this.until("\r\n.\r\n");
    if (stuffed === undefined) return undefined;
    const text = `${stuffed.toString("latin1")}\r\n`;
    return Buffer.from(text.replaceAll("\r\n.", "\r\n").slice(2), "latin1");
  }
}

/** Does the mischief; says whether what was sent would be a positive reply. */
async function misbehave(socket: Socket, { raw = "", drip, then }: Mischief): Promise<boolean> {
  for (const part of drip === undefined ? [raw] : raw) {
    if (socket.destroyed) return false;
    socket.write(part, "latin1");
    if (drip !== undefined) await new Promise((wake) => setTimeout(wake, drip));
  }
  if (then === "cut") {
    // What was written must still leave: a reset could overtake it.
    if (raw === "") socket.destroy();
    else socket.destroySoon();
  }
  if (then === "end") socket.end();
  if (then === "stall") {
    socket.pause();
    await new Promise((closed) => socket.once("close", closed));
  }
  return /^[23]/.test(raw) && !socket.destroyed;
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
  async start(port = this.#port, host = "127.0.0.1"): Promise<void> {
    const server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      socket.on("error", () => socket.destroy());
      void this.#serve(socket, this.#sessions++);
    });
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host, port }, resolve);
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
    let client = "";
    let reversePath: string | undefined;
    let recipients: string[] = [];
    let commands: string[] = [];

    /** Answers by the script or else as given; says whether the answer was positive. */
    const answer = async (step: Step, usual: string, asked = recipients): Promise<boolean> => {
      const transaction = { reversePath: reversePath ?? "", recipients: asked, client };
      const told = await this.script(step, transaction, session);
      if (told === "cut") socket.destroy();
      if (typeof told === "object") return await misbehave(socket, told);
      const reply = told ?? usual;
      if (socket.destroyed) return false;
      if (reply !== "") socket.write(`${reply}\r\n`);
      return /^[23]/.test(reply);
    };

    if (!await answer("connect", "220 next-hop.test ESMTP")) return void socket.end();
    for (;;) {
      if (socket.destroyed) return;
      const line = (await input.until("\r\n"))?.toString("latin1");
      if (line === undefined) return void socket.destroy();
      const path = /^[A-Z ]+:<([^>]*)>/i.exec(line)?.[1] ?? "";
      switch (line.slice(0, 4).toUpperCase()) {
        case "EHLO":
          client = line.slice(5);
          await answer(
            "ehlo",
            "250-next-hop.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n" +
              "250-SIZE 50000000\r\n250 ENHANCEDSTATUSCODES",
          );
          break;
        case "STAR":
          await answer("starttls", "454 4.7.0 No TLS here");
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
          await answer("content", "");
          if (socket.destroyed) return;
          const content = await input.content();
          if (content === undefined) return void socket.destroy();
          const message = {
            reversePath: reversePath ?? "",
            recipients,
            commands,
            client,
            content,
            session,
          };
          this.seen.push(message);
          if (await answer("message", `250 2.0.0 Taken as ${this.seen.length}`)) {
            this.accepted.push(message);
          }
          reversePath = undefined;
          recipients = [];
          await answer("after", "");
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
          await answer("quit", "221 2.0.0 Bye");
          if (!socket.destroyed) socket.end();
          return;
        default:
          socket.write("500 5.5.2 What?\r\n");
      }
    }
  }
}
