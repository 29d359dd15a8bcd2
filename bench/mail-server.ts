/** What the benchmark must know of a mail server, whichever it is. */

/** A mail server that relays everything from 127.0.0.1 to the sink. */
export interface MailServer {
  readonly name: string;
  /** Where it takes mail, on 127.0.0.1. */
  readonly port: number;
  /** The processes that all others of it descend from. */
  readonly roots: () => readonly number[];
  /** Ends all its processes and removes its files. */
  stop(): Promise<void>;
}

/** How a program is run: what it said, or an error that quotes it. */
export async function run(
  program: string,
  args: readonly string[],
  seconds = 60,
): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    signal: AbortSignal.timeout(seconds * 1000),
  }).output();
  const said = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (code !== 0) throw new Error(`${program} ended with ${code}: ${said.trim().slice(0, 1000)}`);
  return said;
}

/** A port of 127.0.0.1 that nobody listens on. */
export function freePort(): number {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  return port;
}
