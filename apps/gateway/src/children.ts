/**
 * The three processes behind the gateway and the least that each may do. They share only the
 * database; none may start a program, or write a file but the database's socket, if it has one.
 */
import { fileURLToPath } from "node:url";
import { type Environment, StartError } from "@postern/process";
import { driverAddress } from "@postern/store";
import type { ChildSpec } from "./supervisor.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Some npm packages read data files of their own. */
const PACKAGES = `${root}node_modules`;
const NAME_RESOLUTION = ["/etc/resolv.conf", "/etc/hosts"];

/** The table of children, which use the database at an address. Throws StartError for a path with a comma. */
export function gatewayChildren(environment: Environment, databaseUrl: string): ChildSpec[] {
  const { dataDir, tls } = environment;
  const certificates = tls === undefined ? [dataDir] : [dataDir, tls.certFile, tls.keyFile];
  const { path: socket } = driverAddress(databaseUrl);
  return [
    child("ingress", socket, [PACKAGES, ...NAME_RESOLUTION, ...certificates]),
    child("admin", socket, [PACKAGES, `${root}apps/admin`]),
    // It looks at how busy the processors are.
    child("worker", socket, [PACKAGES, ...NAME_RESOLUTION, ...certificates], ["hostname", "cpus"]),
  ];
}

function child(
  name: string,
  socket: string | undefined,
  readable: readonly string[],
  system: readonly string[] = ["hostname"],
): ChildSpec {
  const sockets = socket === undefined ? [] : [socket];
  return {
    name,
    args: [
      "run",
      // What is young is collected every few megabytes: the default lets a process with many sessions
      // grow by 30 MB of garbage first, and is no faster.
      "--v8-flags=--max-semi-space-size=4",
      "--no-prompt",
      "--allow-net",
      "--allow-env",
      `--allow-sys=${system.join(",")}`,
      `--allow-read=${listOf([...readable, ...sockets])}`,
      // Who connects to a socket needs both.
      ...(socket === undefined ? [] : [`--allow-write=${listOf(sockets)}`]),
      `${root}apps/${name}/src/main.ts`,
    ],
  };
}

/** Deno splits the list at commas: a path with one cannot be in it, however it is written. */
function listOf(paths: readonly string[]): string {
  const bad = paths.find((path) => path.includes(","));
  if (bad === undefined) return paths.join(",");
  throw new StartError(`the path ${bad} has a comma, which Deno cannot take in a permission`);
}
