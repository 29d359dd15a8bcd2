/**
 * A DNS server for tests: answers on loopback, by UDP and TCP on one free port, what its script
 * says. Not part of the package.
 */

import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import type { RemoteInfo, Socket as UdpSocket } from "node:dgram";
import { createServer } from "node:net";
import type { Server } from "node:net";
import dnsPacket from "dns-packet";
import type { Answer, DecodedPacket, Packet } from "dns-packet";

/** A query as the server got it. */
export interface Asked {
  readonly name: string;
  readonly type: string;
  readonly via: "udp" | "tcp";
  readonly port: number;
  readonly packet: DecodedPacket;
}

/** What to answer: parts of a response, octets as they are, or nothing at all. */
export type Scripted =
  | {
    readonly rcode?: number;
    readonly flags?: number;
    readonly answers?: Answer[];
    readonly authorities?: Answer[];
    readonly additionals?: Answer[];
  }
  | Uint8Array
  | "silence";

/** A reply may be preceded by other datagrams: `also` sends them from a port of choice. */
export interface Sender {
  /** Sends octets to the asker from the server's own port. */
  reply(octets: Uint8Array): Promise<void>;
  /** Sends octets to the asker from some other port. */
  forge(octets: Uint8Array): Promise<void>;
}

type Script = (asked: Asked, sender: Sender) => Scripted | Promise<Scripted>;

export class ScriptedServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  #script: Script;

  private constructor(udp: UdpSocket, tcp: Server, script: Script) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#script = script;
    udp.on("message", (octets, from) => void this.#onDatagram(octets, from));
    tcp.on("connection", (socket) => {
      socket.on("error", () => socket.destroy());
      socket.on("data", async (chunk: Buffer) => {
        const response = await this.#respond(
          chunk.subarray(2),
          "tcp",
          socket.remotePort ?? 0,
          NOBODY,
        );
        if (response === undefined) return;
        const length = Buffer.from([response.length >> 8, response.length & 0xff]);
        // In pieces, as TCP may bring it.
        socket.write(length.subarray(0, 1));
        socket.write(Buffer.concat([length.subarray(1), response.subarray(0, 7)]));
        socket.write(response.subarray(7));
      });
    });
  }

  static async start(script: Script): Promise<ScriptedServer> {
    for (;;) {
      const udp = createSocket("udp4");
      await new Promise<void>((done) => udp.bind(0, "127.0.0.1", done));
      const tcp = createServer();
      const listening = await new Promise<boolean>((done) => {
        tcp.once("error", () => done(false));
        tcp.listen(udp.address().port, "127.0.0.1", () => done(true));
      });
      if (listening) return new ScriptedServer(udp, tcp, script);
      udp.close();
    }
  }

  get server(): { address: string; port: number } {
    return { address: "127.0.0.1", port: this.#udp.address().port };
  }

  /** The questions so far, as `TYPE name via`. */
  get log(): string[] {
    return this.asked.map(({ name, type, via }) => `${type} ${name} ${via}`);
  }

  script(script: Script): void {
    this.#script = script;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#udp.close();
    await new Promise<void>((done) => this.#tcp.close(() => done()));
  }

  async #onDatagram(octets: Buffer, from: RemoteInfo): Promise<void> {
    const send = (socket: UdpSocket, octets: Uint8Array) =>
      new Promise<void>((done) => socket.send(octets, from.port, from.address, () => done()));
    const sender: Sender = {
      reply: (octets) => send(this.#udp, octets),
      forge: async (octets) => {
        const other = createSocket("udp4");
        await new Promise<void>((done) => other.bind(0, "127.0.0.1", done));
        await send(other, octets);
        other.close();
      },
    };
    const response = await this.#respond(octets, "udp", from.port, sender);
    if (response !== undefined) await send(this.#udp, response);
  }

  async #respond(
    octets: Buffer,
    via: "udp" | "tcp",
    port: number,
    sender: Sender,
  ): Promise<Uint8Array | undefined> {
    const packet = dnsPacket.decode(octets);
    const { name, type } = packet.questions![0]!;
    const asked: Asked = { name, type, via, port, packet };
    this.asked.push(asked);
    const scripted = await this.#script(asked, sender);
    if (scripted === "silence") return undefined;
    return scripted instanceof Uint8Array ? scripted : response(asked, scripted);
  }
}

const NOBODY: Sender = { reply: () => Promise.resolve(), forge: () => Promise.resolve() };

/** The octets of a response to a query; `changes` overrides parts of it, the id for one. */
export function response(
  asked: Asked,
  scripted: Exclude<Scripted, Uint8Array | "silence">,
  changes: Packet = {},
): Uint8Array {
  const { rcode = 0, flags = 0, answers = [], authorities = [], additionals = [] } = scripted;
  return dnsPacket.encode({
    type: "response",
    id: asked.packet.id,
    flags: flags | rcode | dnsPacket.RECURSION_DESIRED | dnsPacket.RECURSION_AVAILABLE,
    questions: asked.packet.questions,
    answers,
    authorities,
    additionals,
    ...changes,
  });
}

/** Records for scripts. */
export const record = {
  a: (name: string, data: string, ttl = 60): Answer => ({ type: "A", name, data, ttl }),
  aaaa: (name: string, data: string, ttl = 60): Answer => ({ type: "AAAA", name, data, ttl }),
  cname: (name: string, data: string, ttl = 60): Answer => ({ type: "CNAME", name, data, ttl }),
  mx: (name: string, preference: number, exchange: string, ttl = 60): Answer => ({
    type: "MX",
    name,
    ttl,
    data: { preference, exchange },
  }),
  txt: (name: string, ...data: string[]): Answer => ({ type: "TXT", name, ttl: 60, data }),
  soa: (name: string, minimum: number, ttl = 3600): Answer => ({
    type: "SOA",
    name,
    ttl,
    data: { mname: "ns.test", rname: "admin.test", serial: 1, minimum },
  }),
};
