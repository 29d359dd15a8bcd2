/** Opens TCP connections to next hops. */
import { connect, isIPv6, type Socket } from "node:net";
import { type Dialling, reachFirst } from "./happy-eyeballs.ts";
import type { NextHop } from "./next-hops.ts";

/** An open connection and the address it goes to, or why there is none. */
export type Connected =
  | { readonly socket: Socket; readonly address: string }
  | {
    readonly problem: string;
    /** Whether there was an address to try. */
    readonly dialled: boolean;
  };

/** Connects to the first address of a next hop that answers. */
export async function connectTo(
  { host, port, addresses }: NextHop,
  { sourceAddress, seconds }: {
    /** The local address to connect from; only addresses of its family can be reached then. */
    readonly sourceAddress?: string | undefined;
    /** How long one address may take. */
    readonly seconds: number;
  },
): Promise<Connected> {
  const reachable = sourceAddress === undefined
    ? addresses
    : addresses.filter((address) => isIPv6(address) === isIPv6(sourceAddress));
  if (reachable.length === 0) {
    const problem = `Cannot connect to ${host}: no address of the family of ${sourceAddress}`;
    return { problem, dialled: false };
  }
  const reached = await reachFirst(reachable, {
    dial: (address) => dial(address, port, sourceAddress, seconds),
    after: (milliseconds, callBack) => {
      const timer = setTimeout(callBack, milliseconds);
      return () => clearTimeout(timer);
    },
  });
  if ("value" in reached) return { socket: reached.value, address: reached.address };
  const problems = reached.problems.map(({ address, problem }) =>
    `[${address}]:${port}: ${problem}`
  );
  return { problem: `Cannot connect to ${host} ${problems.join(", ")}`, dialled: true };
}

function dial(
  address: string,
  port: number,
  localAddress: string | undefined,
  seconds: number,
): Dialling<Socket> {
  const socket = connect({
    host: address,
    port,
    ...(localAddress === undefined ? {} : { localAddress }),
  });
  const done = new Promise<{ value: Socket } | { problem: string }>((resolve) => {
    const timer = setTimeout(() => {
      socket.destroy();
      resolve({ problem: "timed out" });
    }, seconds * 1000);
    socket.once("connect", () => {
      clearTimeout(timer);
      socket.removeAllListeners();
      // Until a session listens: an error that nobody hears would end the process.
      socket.on("error", () => {});
      socket.setNoDelay(true);
      resolve({ value: socket });
    });
    socket.once("error", (error: Error & { code?: string }) => {
      clearTimeout(timer);
      resolve({ problem: error.code === "ECONNREFUSED" ? "connection refused" : error.message });
    });
    socket.once("close", () => {
      clearTimeout(timer);
      resolve({ problem: "given up" });
    });
  });
  return { done, cancel: () => socket.destroy() };
}
