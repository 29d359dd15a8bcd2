/**
 * A mail server of others that cannot be installed beside Postfix (Exim, OpenSMTPD), in a file tree
 * of its own that it runs in by chroot, as root. Must not know how any of them is configured.
 */
import { Buffer } from "node:buffer";
import { existsSync, readFileSync } from "node:fs";
import { pathOf, type Said } from "./peers.ts";

/** The servers that scripts/install-peers.sh unpacks. */
export type TreePeer = "exim" | "opensmtpd";

/** How long a server may take to end by itself, in milliseconds. */
const PATIENCE = 5_000;

/** One copy of a server's tree. What is written into it is seen by the server at the same path. */
export class PeerTree {
  readonly folder = Deno.makeTempDirSync({ prefix: "postern-peer-" });
  readonly #peer: TreePeer;
  #server: Deno.ChildProcess | undefined;
  #log = "";

  constructor(peer: TreePeer) {
    this.#peer = peer;
  }

  /** Copies the tree and writes these files, by their paths inside. */
  async make(files: Readonly<Record<string, string>>): Promise<void> {
    const { code } = await new Deno.Command("cp", {
      args: ["-a", `${pathOf(this.#peer)}/.`, this.folder],
    }).output();
    if (code !== 0) throw new Error(`no copy of ${pathOf(this.#peer)}`);
    for (const [path, text] of Object.entries(files)) {
      await Deno.mkdir(`${this.folder}${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${this.folder}${path}`, text);
    }
  }

  /** Runs a program of the tree to its end, within 20 s. */
  async run(path: string, args: readonly string[], input = ""): Promise<Said> {
    const child = this.#spawn(path, args, "piped", AbortSignal.timeout(20_000));
    const output = child.output();
    const writer = child.stdin.getWriter();
    await writer.write(new Uint8Array(Buffer.from(input)));
    await writer.close();
    const { code, stdout, stderr } = await output;
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    return { code, stdout: text(stdout), stderr: text(stderr) };
  }

  /** Starts the server, which must stay in the foreground; its output is kept for {@link log}. */
  startServer(path: string, args: readonly string[]): void {
    const server = this.#spawn(path, args, "null");
    this.#server = server;
    for (const stream of [server.stdout, server.stderr]) {
      void (async () => {
        for await (const text of stream.pipeThrough(new TextDecoderStream())) this.#log += text;
      })();
    }
  }

  /** What the server said, and these files of its tree. */
  log(...paths: readonly string[]): string {
    const files = paths.map((path) => `${this.folder}${path}`).filter((path) => existsSync(path));
    return [this.#log, ...files.map((path) => readFileSync(path, "utf8"))].join("\n");
  }

  /** Ends the server and removes the tree. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server !== undefined) {
      const timer = setTimeout(() => signal(server, "SIGKILL"), PATIENCE);
      signal(server, "SIGTERM");
      await server.status;
      clearTimeout(timer);
    }
    await Deno.remove(this.folder, { recursive: true });
  }

  #spawn(path: string, args: readonly string[], stdin: "null" | "piped", within?: AbortSignal) {
    return new Deno.Command("chroot", {
      args: [this.folder, path, ...args],
      clearEnv: true,
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", HOME: "/root" },
      stdin,
      stdout: "piped",
      stderr: "piped",
      ...(within === undefined ? {} : { signal: within }),
    }).spawn();
  }
}

function signal(child: Deno.ChildProcess, name: Deno.Signal): void {
  try {
    child.kill(name);
  } catch {
    // It is gone already, which is what was wanted.
  }
}
