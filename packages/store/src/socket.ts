/**
 * Sockets to Postgres that send at once. By default small packets wait for the answer to the ones
 * before (RFC 896), and the peer takes up to 40 ms to give it: a piece of content, which ends in a small
 * packet, took that long.
 */
import { Socket } from "node:net";

/** What the driver tells of where to connect to: every host of its address, or a path. */
interface Target {
  readonly host: readonly string[];
  readonly port: readonly number[];
  readonly path?: string | false;
}

/** What the driver reads off its sockets, for TLS. */
type DriverSocket = Socket & { host?: string; port?: number };

/**
 * A way for the driver to open its sockets, one host after another. What it gets is not connected
 * yet: failure then comes as an event, as the driver wants it.
 */
export function openSocket(): (target: Target) => Socket {
  let next = 0;
  return ({ host, port, path }) => {
    const socket: DriverSocket = new Socket();
    socket.once("connect", () => socket.setNoDelay(true));
    if (path) return socket.connect(path);
    const index = next++ % host.length;
    socket.host = host[index]!;
    socket.port = port[index]!;
    return socket.connect(socket.port, socket.host);
  };
}
