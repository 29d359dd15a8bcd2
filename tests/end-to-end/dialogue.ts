/** The client's side of an SMTP session, line by line, for tests that care about each reply. */
import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";

/** The gateway's own certificate is no authority's. */
const NOBODY = { rejectUnauthorized: false, servername: "gateway.test" };

/** A session with a server on 127.0.0.1. A lost connection rejects what waits for a reply. */
export class Dialogue {
  readonly greeting: Promise<string>;
  #socket: Socket | TLSSocket;
  readonly #replies: string[] = [];
  readonly #waiting: { resolve(reply: string): void; reject(error: Error): void }[] = [];
  #lost: Error | undefined;

  /** With `tls`, TLS runs from the first byte. */
  constructor(port: number, { tls = false } = {}) {
    const options = { host: "127.0.0.1", port };
    this.#socket = tls ? connectTls({ ...options, ...NOBODY }) : connect(options);
    this.#listen();
    this.greeting = this.reply();
    // Whoever does not look at the greeting sees the loss at the first command.
    this.greeting.catch(() => {});
  }

  /** The next reply, its lines parted by CRLF. */
  reply(): Promise<string> {
    const reply = this.#replies.shift();
    if (reply !== undefined) return Promise.resolve(reply);
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /** Sends a command and answers its reply. */
  async say(line: string): Promise<string> {
    await this.greeting;
    this.#socket.write(`${line}\r\n`);
    return await this.reply();
  }

  /** A whole transaction; answers the reply to the final dot, or the first refusal. */
  async mail(
    reversePath: string,
    recipients: readonly string[],
    content: string,
  ): Promise<string> {
    const commands = [
      `MAIL FROM:<${reversePath}>`,
      ...recipients.map((one) => `RCPT TO:<${one}>`),
      "DATA",
    ];
    for (const command of commands) {
      const reply = await this.say(command);
      if (!/^[23]/.test(reply)) return reply;
    }
    return await this.say(`${content.replaceAll(/^\./gm, "..")}.`);
  }

  /** Sends text (as UTF-8) or bytes as they are; replies come by {@link reply}. */
  write(bytes: string | Uint8Array): void {
    this.#socket.write(bytes);
  }

  /** STARTTLS; answers the certificate's fingerprint (SHA-256). */
  async startTls(): Promise<string> {
    const reply = await this.say("STARTTLS");
    if (!reply.startsWith("220 ")) throw new Error(`no TLS: ${reply}`);
    const plain = this.#socket;
    plain.removeAllListeners("data");
    const secure = connectTls({ socket: plain, ...NOBODY });
    this.#socket = secure;
    this.#listen();
    await new Promise<void>((resolve, reject) => {
      secure.once("secureConnect", resolve);
      secure.once("close", () => reject(new Error("the handshake failed")));
    });
    return secure.getPeerCertificate().fingerprint256;
  }

  close(): void {
    this.#socket.destroy();
  }

  #listen(): void {
    let text = "";
    this.#socket.on("data", (bytes: Buffer) => {
      text += bytes.toString("latin1");
      for (;;) {
        const reply = /^(?:\d{3}-[^\n]*\n)*\d{3}(?: [^\n]*)?\r\n/.exec(text)?.[0];
        if (reply === undefined) break;
        text = text.slice(reply.length);
        this.#take(reply.trimEnd());
      }
    });
    const lost = (why: string) => {
      this.#lost ??= new Error(`connection lost: ${why}`);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#lost);
    };
    this.#socket.on("error", (error) => lost(String(error)));
    this.#socket.on("close", () => lost("closed"));
  }

  #take(reply: string): void {
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#replies.push(reply);
    else waiting.resolve(reply);
  }
}

/** Sends one message in a session of its own; answers the reply to the final dot. */
export async function sendMail(
  port: number,
  reversePath: string,
  recipients: readonly string[],
  content: string,
): Promise<string> {
  const dialogue = new Dialogue(port);
  try {
    await dialogue.say("EHLO client.test");
    return await dialogue.mail(reversePath, recipients, content);
  } finally {
    dialogue.close();
  }
}

/** The queue id in a positive reply to the final dot. */
export function queueIdOf(reply: string): string {
  const id = /^250 2\.0\.0 .*queued as (\S+)$/.exec(reply)?.[1];
  if (id === undefined) throw new Error(`not accepted: ${reply}`);
  return id;
}

/** Content with a subject, so that messages can be told apart. */
export function contentWith(subject: string, body = "Hello\r\n"): string {
  return `From: sender@sender.test\r\nSubject: ${subject}\r\n\r\n${body}`;
}

/** The subject of a content. */
export function subjectOf(content: Buffer): string {
  return /^Subject: (.*)\r$/m.exec(content.toString("latin1"))?.[1] ?? "";
}
