/**
 * The next hop of the benchmark: takes every message, keeps none, and counts. It runs in the
 * benchmark's own process, the same for every mail server that is measured.
 */
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";

const EHLO = "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 104857600\r\n" +
  "250-ENHANCEDSTATUSCODES\r\n250 8BITMIME\r\n";
const END_OF_DATA = "\r\n.\r\n";
const DOT = 46;

/** What came since the last {@link Sink.reset}. Times are milliseconds of `performance.now()`. */
export interface Count {
  messages: number;
  recipients: number;
  connections: number;
  firstAt: number;
  lastAt: number;
}

const nothing = (): Count => ({
  messages: 0,
  recipients: 0,
  connections: 0,
  firstAt: 0,
  lastAt: 0,
});

/**
 * Where the end of data begins, or −1. A Buffer searches for a text byte by byte in JavaScript, which
 * took a quarter of the machine with messages of a megabyte; a plain array finds one byte eight times as
 * fast.
 */
function endOfData(bytes: Buffer): number {
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let dot = plain.indexOf(DOT); dot >= 0; dot = plain.indexOf(DOT, dot + 1)) {
    if (dot >= 2 && bytes.toString("latin1", dot - 2, dot + 3) === END_OF_DATA) return dot - 2;
  }
  return -1;
}

/** Counts what it takes; `onMessage` is called at each final dot. */
export class Sink {
  count: Count = nothing();
  onMessage: () => void = () => {};
  #server: Server | undefined;
  #port = 0;
  readonly #sockets = new Set<Socket>();
  readonly #stalls: boolean;

  /** One that stalls takes content and never answers its end. */
  constructor({ stalls = false } = {}) {
    this.#stalls = stalls;
  }

  get port(): number {
    return this.#port;
  }

  /** Listens on 127.0.0.1, at a port that the system gives. */
  async start(): Promise<void> {
    const server = createServer({ noDelay: true }, (socket) => this.#serve(socket));
    this.#server = server;
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, resolve);
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

  reset(): void {
    this.count = nothing();
  }

  /** Resolves when so many recipients have arrived; throws when that takes too long. */
  async until(recipients: number, seconds: number): Promise<Count> {
    const deadline = performance.now() + seconds * 1000;
    while (this.count.recipients < recipients) {
      if (performance.now() > deadline) {
        throw new Error(
          `${this.count.recipients} of ${recipients} recipients arrived within ${seconds} s`,
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return { ...this.count };
  }

  #taken(recipients: number): void {
    const now = performance.now();
    if (this.count.messages === 0) this.count.firstAt = now;
    this.count.lastAt = now;
    this.count.messages += 1;
    this.count.recipients += recipients;
    this.onMessage();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    this.count.connections += 1;
    let rest: Buffer = Buffer.alloc(0);
    let inContent = false;
    let recipients = 0;
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.on("data", (chunk: Buffer) => {
      let bytes = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let answers = "";
      for (;;) {
        if (inContent) {
          const end = endOfData(bytes);
          if (end < 0) {
            // Only what may be the beginning of the end is kept.
            rest = bytes.subarray(Math.max(0, bytes.length - END_OF_DATA.length + 1));
            break;
          }
          if (this.#stalls) return;
          bytes = bytes.subarray(end + END_OF_DATA.length);
          inContent = false;
          this.#taken(recipients);
          recipients = 0;
          answers += "250 2.0.0 Ok\r\n";
          continue;
        }
        const end = bytes.indexOf("\r\n");
        if (end < 0) {
          rest = bytes;
          break;
        }
        const verb = bytes.toString("latin1", 0, 4).toUpperCase();
        // The line end of DATA may be the first half of an empty content's end.
        bytes = bytes.subarray(verb === "DATA" ? end : end + 2);
        if (verb === "DATA") {
          inContent = true;
          answers += "354 Go on\r\n";
        } else if (verb === "RCPT") {
          recipients += 1;
          answers += "250 2.1.5 Ok\r\n";
        } else if (verb === "EHLO") answers += EHLO;
        else if (verb === "QUIT") {
          socket.end(`${answers}221 2.0.0 Bye\r\n`);
          return;
        } else {
          if (verb === "RSET") recipients = 0;
          answers += "250 2.0.0 Ok\r\n";
        }
      }
      if (answers !== "") socket.write(answers, "latin1");
    });
    socket.write("220 sink.test ESMTP\r\n");
  }
}
