/**
 * Finds out before the start whether the addresses to listen on are free. The ingress listens with
 * SO_REUSEPORT, with which a second gateway would silently take half of the first one's mail.
 */
import { createServer, type Server } from "node:net";

/** One address, and the variable that asks for it. */
export interface WantedAddress {
  readonly variable: string;
  readonly host: string;
  readonly port: number;
}

/** Why one of the addresses cannot be listened on, as a sentence; undefined if all can. */
export async function portProblem(wanted: readonly WantedAddress[]): Promise<string | undefined> {
  // All are held until the last is tried, or two variables could ask for the same port.
  const held: { readonly server: Server; readonly address: WantedAddress }[] = [];
  try {
    for (const address of wanted.filter(({ port }) => port !== 0)) {
      const server = createServer();
      const error = await listen(server, address);
      if (error !== undefined) {
        const rival = held.find((other) => other.address.port === address.port)?.address.variable;
        return sentence(address, error, rival);
      }
      held.push({ server, address });
    }
    return undefined;
  } finally {
    await Promise.all(held.map(({ server }) => close(server)));
  }
}

function sentence(
  { variable, host, port }: WantedAddress,
  error: Error & { readonly code?: string },
  rival: string | undefined,
): string {
  if (error.code === "EADDRINUSE") {
    return rival === undefined
      ? `port ${port} of ${variable} is already in use: is another gateway running?`
      : `port ${port} of ${variable} is already in use: ${rival} asks for it too`;
  }
  if (error.code === "EACCES") {
    return `port ${port} of ${variable} needs a privilege that this user does not have`;
  }
  return `${host} port ${port} of ${variable} cannot be listened on: ${error.message}`;
}

function listen(
  server: Server,
  { host, port }: WantedAddress,
): Promise<(Error & { readonly code?: string }) | undefined> {
  const { promise, resolve } = Promise.withResolvers<Error | undefined>();
  server.once("error", resolve);
  server.listen({ host, port }, () => resolve(undefined));
  return promise;
}

function close(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  return promise;
}
