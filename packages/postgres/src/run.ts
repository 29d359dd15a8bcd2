/** Running Postgres's programs: as whom, from where, with which environment. */
import type { Owner } from "./owner.ts";

/** How a program ended and what it said. */
export interface Ended {
  readonly code: number;
  readonly output: string;
}

/**
 * For the C library (mallopt(3)): a backend keeps up to 8 MiB of what it freed. By default it gives
 * everything above 128 KiB back to the system, and a piece of content is then fresh memory each time,
 * which cost a fifth of the processor time of large messages.
 */
const MEMORY = {
  MALLOC_TRIM_THRESHOLD_: "8388608",
  MALLOC_MMAP_THRESHOLD_: "8388608",
  MALLOC_TOP_PAD_: "524288",
};

/**
 * Runs a program to its end. Its working directory is one that every user can enter, and of our
 * environment, which may hold secrets, it gets nothing. `leavesServer`: what it starts stays and
 * would keep a pipe open, so its output is not read.
 */
export async function run(
  program: string,
  args: readonly string[],
  { owner, input, leavesServer = false }: {
    readonly owner: Owner | undefined;
    readonly input?: string;
    readonly leavesServer?: boolean;
  },
): Promise<Ended> {
  const out = leavesServer ? "null" : "piped";
  const child = new Deno.Command(program, {
    args: [...args],
    cwd: "/",
    ...(owner ?? {}),
    clearEnv: true,
    env: { PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC", ...MEMORY },
    stdin: input === undefined ? "null" : "piped",
    stdout: out,
    stderr: out,
  }).spawn();
  if (input !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(input));
    await writer.close();
  }
  if (leavesServer) return { code: (await child.status).code, output: "" };
  const { code, stdout, stderr } = await child.output();
  const decoder = new TextDecoder();
  return { code, output: decoder.decode(stdout) + decoder.decode(stderr) };
}

/** The line of a log that says what went wrong, else its last one. */
export function reasonIn(output: string): string {
  const lines = output.trim().split("\n");
  const reason = lines.findLast((line) => /\b(FATAL|PANIC|error):/.test(line)) ?? lines.at(-1);
  return (reason ?? "").replace(/^.*?(FATAL|PANIC|error):\s*/, "").trim();
}
