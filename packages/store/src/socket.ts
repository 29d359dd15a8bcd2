/**
 * Sockets to Postgres that send at once. By default small packets wait for the answer to the ones
 * before (RFC 896), and the peer takes up to 40 ms to give it: a piece of content, which ends in a small
 * packet, took that long.
 */
import { Socket } from "node:net";
import { setImmediate } from "node:timers";

/** What the driver tells of where to connect to: every host of its address, or a path. */
interface Target {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

/** What the driver reads off its sockets, for TLS. */
type DriverSocket = Socket & { host?: string; port?: number };

/** The sockets of a store. */
export class Sockets {
  readonly #open = new Set<Socket>();
  readonly #onOpen: () => void;

  /** Calls `onOpen` whenever one is opened. */
  constructor(onOpen: () => void) {
    this.#onOpen = onOpen;
  }

  /**
   * A way for a client of the driver to open its sockets, one host after another. What it gets is not
   * connected yet: failure then comes as an event, as the driver wants it.
   */
  opener(): (target: Target) => Socket {
    let next = 0;
    return ({ host, port, path }) => {
      const socket: DriverSocket = new Socket();
      this.#keep(socket);
      socket.once("connect", () => socket.setNoDelay(true));
      if (path) return connecting(socket, path);
      const index = next++ % host.length;
      socket.host = host[index]!;
      socket.port = port[index]!;
      return connecting(socket, socket.port, socket.host);
    };
  }

  /** Cuts all connections: what was said on them fails as if Postgres had closed them. */
  cut(): void {
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }

  #keep(socket: Socket): void {
    // For TLS the driver takes all listeners off: what is closed is let go when another one opens.
    for (const other of this.#open) if (other.destroyed) this.#open.delete(other);
    this.#open.add(socket);
    this.#onOpen();
  }
}

/** Connects. What Deno does not permit is thrown: that, too, becomes an event. */
function connecting(socket: Socket, ...to: [string] | [number, string]): Socket {
  try {
    return to.length === 1 ? socket.connect(to[0]) : socket.connect(...to);
  } catch (error) {
    // By then the driver listens.
    setImmediate(() => socket.destroy(error as Error));
    return socket;
  }
}
