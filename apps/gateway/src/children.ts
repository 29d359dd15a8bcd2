/**
 * The three processes behind the gateway and the least that each may do. They share only the
 * database; none may write a file or start a program.
 */
import { fileURLToPath } from "node:url";
import type { Environment } from "@postern/process";
import type { ChildSpec } from "./supervisor.ts";

const root = fileURLToPath(new URL("../../../", import.meta.url));
/** Some npm packages read data files of their own. */
const PACKAGES = `${root}node_modules`;
const NAME_RESOLUTION = ["/etc/resolv.conf", "/etc/hosts"];

/** The table of children. */
export function gatewayChildren(environment: Environment): ChildSpec[] {
  const { dataDir, tls } = environment;
  const certificates = tls === undefined ? [dataDir] : [dataDir, tls.certFile, tls.keyFile];
  return [
    child("ingress", [PACKAGES, ...NAME_RESOLUTION, ...certificates]),
    child("admin", [PACKAGES, `${root}apps/admin`]),
    // It looks at how busy the processors are.
    child("worker", [PACKAGES, ...NAME_RESOLUTION, ...certificates], ["hostname", "cpus"]),
  ];
}

function child(
  name: string,
  readable: readonly string[],
  system: readonly string[] = ["hostname"],
): ChildSpec {
  // Deno splits the list at commas; a comma in a path is written twice.
  const read = readable.map((path) => path.replaceAll(",", ",,")).join(",");
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
      `--allow-read=${read}`,
      `${root}apps/${name}/src/main.ts`,
    ],
  };
}
