/** The load: Postfix's smtp-source, the same for every mail server that is measured. */
import { run } from "./mail-server.ts";

const PROGRAM = "/usr/sbin/smtp-source";

/** Messages to send. */
export interface Load {
  readonly messages: number;
  /** Bytes of content. */
  readonly size: number;
  readonly recipients: number;
  /** The recipients' domain; that of the default relay when absent. */
  readonly domain?: string;
  /** Sessions at once. */
  readonly sessions: number;
  /** All messages of a session go over one connection, rather than each over its own. */
  readonly kept: boolean;
}

/** Why there can be no load; undefined when there can. */
export async function loadProblem(): Promise<string | undefined> {
  try {
    await Deno.stat(PROGRAM);
    return undefined;
  } catch {
    return "smtp-source is not installed: apt-get install --no-install-recommends postfix";
  }
}

/** Sends all of it; answers when it began and ended, in milliseconds of `performance.now()`. */
export async function send(
  port: number,
  { messages, size, recipients, domain = "destination.test", sessions, kept }: Load,
  seconds: number,
): Promise<{ readonly began: number; readonly ended: number }> {
  const began = performance.now();
  const said = await run(PROGRAM, [
    ...["-s", String(sessions), "-m", String(messages), "-l", String(size)],
    ...["-f", "a@source.test", "-t", `u@${domain}`],
    ...(recipients > 1 ? ["-r", String(recipients)] : []),
    ...(kept ? ["-d"] : []),
    `127.0.0.1:${port}`,
  ], seconds);
  const ended = performance.now();
  // It goes on after a refusal and says so: the figures would then count what was never sent.
  if (said.trim() !== "") throw new Error(`smtp-source: ${said.trim().slice(0, 500)}`);
  return { began, ended };
}
