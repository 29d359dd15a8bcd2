/**
 * The listening sockets. Several ingresses share a port (SO_REUSEPORT), so a second gateway that
 * has nothing to do with this one would share it silently, too: the port must be free, or in use
 * by processes that this gateway's database knows.
 */
import { BlockList, createServer, isIPv6, type Server } from "node:net";
import { IdleClock, Roster, type SmtpListener, StartError } from "@postern/process";
import type { ServerSessionOptions } from "@postern/smtp";
import { type Database, processesListening } from "@postern/store";
import { type Connection, serveConnection } from "./connection.ts";
import type { Ingress } from "./gateway-state.ts";
import { listenerOptions } from "./session-options.ts";

/** An open listener. */
export interface OpenListener {
  /** `smtp://host:port` and its like with the real port. */
  readonly url: string;
  /** Takes no new connection and ends the others; resolves when all are gone. */
  stop(): Promise<void>;
}

/** What a connection is told of its listener. */
export interface ServedListener {
  readonly kind: SmtpListener["kind"];
  /** As it stands in the environment. */
  readonly url: string;
  /** Whose connections begin with a PROXY protocol preamble. */
  readonly proxies?: Pick<BlockList, "check">;
  /** What all its sessions begin with, in clear; and those that come through a proxy. */
  readonly options: ServerSessionOptions;
  readonly optionsThroughProxy: ServerSessionOptions;
  /** Tells its sessions when nothing came for too long. */
  readonly clock: Pick<IdleClock, "watch">;
}

/** This process in the books. */
export interface Self {
  readonly host: string;
  readonly processId: number;
}

/** Sessions get so long to come to an end when the ingress stops. */
const DRAIN_MILLISECONDS = 20_000;

/** Opens a listener. */
export async function openListener(
  listener: SmtpListener,
  ingress: Ingress,
  database: Database,
  self: Self,
): Promise<OpenListener> {
  if (listener.port !== 0) await guard(listener, database, self);
  const connections = new Roster<Connection>();
  const { kind, url } = listener;
  const proxies = listener.proxies && blockListOf(listener.proxies);
  const options: ServerSessionOptions = {
    hostname: ingress.hostname,
    banner: "Postern",
    ...listenerOptions(kind),
    tls: "available",
  };
  const served: ServedListener = {
    kind,
    url,
    ...(proxies === undefined ? {} : { proxies }),
    options,
    optionsThroughProxy: { ...options, proxy: true },
    clock: new IdleClock(),
  };
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    const place = connections.add(
      serveConnection(socket, served, ingress, () => connections.remove(place)),
    );
  });
  const port = await listen(server, { ...listener, reusePort: true });
  const name = listener.host.includes(":") ? `[${listener.host}]` : listener.host;
  return {
    url: `${listener.kind}://${name}:${port}`,
    stop: () =>
      new Promise((resolve) => {
        const timer = setTimeout(() => {
          connections.forEach((connection) => connection.destroy());
        }, DRAIN_MILLISECONDS);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
        connections.forEach((connection) => connection.shutDown());
      }),
  };
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = "", bits] = network.split("/");
    list.addSubnet(address, Number(bits), isIPv6(address) ? "ipv6" : "ipv4");
  }
  return list;
}

/** Refuses a port that somebody else listens on. */
async function guard(listener: SmtpListener, database: Database, self: Self): Promise<void> {
  const probe = createServer();
  try {
    await listen(probe, { ...listener, reusePort: false });
    await new Promise<void>((resolve) => probe.close(() => resolve()));
  } catch (error) {
    if (!(error instanceof StartError) || error.cause !== "EADDRINUSE") throw error;
    const siblings = await processesListening(database, {
      host: self.host,
      address: listener.url,
      but: self.processId,
    });
    if (siblings.length === 0) throw error;
  }
}

function listen(
  server: Server,
  { host, port, reusePort, url }: SmtpListener & { readonly reusePort: boolean },
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: Error & { code?: string }) => {
      const why = error.code === "EADDRINUSE"
        ? "the port is already in use: is another gateway or mail server running?"
        : error.code === "EACCES"
        ? "permission denied: ports below 1024 need a privilege"
        : error.message;
      reject(new StartError(`POSTERN_SMTP_LISTEN ${url}: ${why}`, { cause: error.code }));
    });
    server.listen({ host, port, reusePort, backlog: 511 }, () => {
      const bound = server.address();
      resolve(typeof bound === "object" && bound !== null ? bound.port : port);
    });
  });
}
