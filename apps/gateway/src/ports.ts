/**
 * Finds out before the start whether the addresses to listen on are free. The ingress listens with
 * SO_REUSEPORT, with which a second gateway would silently take half of the first one's mail.
 */
import { createServer } from "node:net";

/** One address, and the variable that asks for it. */
export interface WantedAddress {
  readonly variable: string;
  readonly host: string;
  readonly port: number;
}

/** Why the address cannot be listened on, as a sentence; undefined if it can. */
export function portProblem(wanted: WantedAddress): Promise<string | undefined> {
  if (wanted.port === 0) return Promise.resolve(undefined);
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const server = createServer();
  server.once("error", (error: Error & { code?: string }) => {
    const { variable, host, port } = wanted;
    if (error.code === "EADDRINUSE") {
      resolve(`port ${port} of ${variable} is already in use: is another gateway running?`);
    } else if (error.code === "EACCES") {
      resolve(`port ${port} of ${variable} needs a privilege that this user does not have`);
    } else resolve(`${host} port ${port} of ${variable} cannot be listened on: ${error.message}`);
  });
  server.listen({ host: wanted.host, port: wanted.port }, () => {
    server.close(() => resolve(undefined));
  });
  return promise;
}
