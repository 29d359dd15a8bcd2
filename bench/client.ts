/** A plain SMTP client of one session, command by command, for latencies and idle sessions. */
import { connect, type Socket } from "node:net";

/** An open session; it broke when a promise rejects. */
export class Client {
  readonly #socket: Socket;
  #text = "";
  #reply: { resolve(reply: string): void; reject(error: Error): void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (bytes: Uint8Array) => {
      this.#text += new TextDecoder("latin1").decode(bytes);
      if (!/^\d{3}(?: [^\n]*)?\r\n$/m.test(this.#text)) return;
      const reply = this.#text;
      this.#text = "";
      this.#reply?.resolve(reply);
    });
    socket.on("error", (error) => this.#reply?.reject(error));
    socket.on("close", () => this.#reply?.reject(new Error("connection closed")));
  }

  /** Connects and says EHLO. */
  static async open(port: number): Promise<Client> {
    const client = new Client(connect({ host: "127.0.0.1", port }));
    await client.#expect("220");
    await client.say("EHLO client.test", "250");
    return client;
  }

  /** Sends a line and waits for a reply that must begin like this. */
  async say(line: string, expected: string): Promise<void> {
    this.#socket.write(`${line}\r\n`, "latin1");
    await this.#expect(expected);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #expect(expected: string): Promise<void> {
    const reply = await new Promise<string>((resolve, reject) => this.#reply = { resolve, reject });
    if (!reply.startsWith(expected)) throw new Error(`unexpected reply: ${reply}`);
  }
}
