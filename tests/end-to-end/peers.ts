/** Mail programs of others, for tests against real peers. What is missing is named in the test's name. */
import { Buffer } from "node:buffer";
import { accessSync, constants, existsSync } from "node:fs";
import { test } from "vitest";

const FOLDERS = [...(Deno.env.get("PATH") ?? "").split(":"), "/usr/sbin", "/usr/local/sbin"];

/** A program, or the privilege that another one needs. */
export type Peer =
  | "swaks"
  | "curl"
  | "postfix"
  | "smtp-sink"
  | "smtp-source"
  | "python3"
  /** The library that swaks needs for TLS. */
  | "net-ssleay"
  | "msmtp"
  | "openssl"
  | "dovecot"
  | "exim"
  | "opensmtpd"
  | "nsd"
  | "unshare"
  | "root";

/** Where scripts/install-peers.sh unpacks what cannot be installed beside Postfix. */
const TREES = Deno.env.get("PEERS_FOLDER") ?? "/opt/postern-peers";

function find(peer: Peer): string | undefined {
  if (peer === "root") return Deno.uid() === 0 ? "root" : undefined;
  if (peer === "net-ssleay") {
    const libraries = ["/usr/lib/x86_64-linux-gnu/perl5", "/usr/lib/aarch64-linux-gnu/perl5"];
    return libraries.filter((folder) => existsSync(folder))
      .flatMap((folder) => [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`))
      .find((folder) => existsSync(`${folder}/Net/SSLeay.pm`));
  }
  if (peer === "exim" || peer === "opensmtpd") {
    return existsSync(`${TREES}/${peer}/complete`) ? `${TREES}/${peer}` : undefined;
  }
  return FOLDERS.filter((folder) => folder !== "").map((folder) => `${folder}/${peer}`).find(
    (path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    },
  );
}

/** Where a program, or its tree for chroot, is; only for tests that run because it is there. */
export function pathOf(peer: Peer): string {
  const path = find(peer);
  if (path === undefined) throw new Error(`${peer} is not installed`);
  return path;
}

/** Which of these are missing. */
export function missing(...peers: readonly Peer[]): Peer[] {
  return peers.filter((peer) => find(peer) === undefined);
}

/** A test that is skipped, and says so, where one of its peers is missing. */
export function testWith(peers: readonly Peer[], name: string, run: () => Promise<void>): void {
  const lacking = missing(...peers);
  const note = lacking.length === 0 ? "" : ` (missing here: ${lacking.join(", ")})`;
  test.skipIf(lacking.length > 0)(`${name}${note}`, run);
}

/** What a program said. */
export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end, within 20 s, in an environment without proxies. */
export async function runPeer(
  peer: Peer,
  args: readonly string[],
  input: Uint8Array | string = "",
): Promise<Said> {
  const child = new Deno.Command(pathOf(peer), {
    args: [...args],
    clearEnv: true,
    env: { PATH: FOLDERS.join(":"), HOME: Deno.env.get("HOME") ?? "/", LANG: "C.UTF-8" },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(20_000),
  }).spawn();
  const output = child.output();
  const writer = child.stdin.getWriter();
  try {
    await writer.write(typeof input === "string" ? Buffer.from(input) : new Uint8Array(input));
    await writer.close();
  } catch (error) {
    // A program that does not want its input may close it.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
  const { code, stdout, stderr } = await output;
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  return { code, stdout: text(stdout), stderr: text(stderr) };
}
