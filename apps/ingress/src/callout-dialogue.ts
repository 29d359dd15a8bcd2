/**
 * The dialogue of a callout with one host: as far as RCPT and no further, with the null reverse-path
 * as reports have it. Knows what replies say of a recipient, and nothing of who asks or how often.
 */
import { connect } from "node:net";
import { type Reply, ReplyParser } from "@postern/smtp";

/** Where a host is. */
export interface Place {
  readonly host: string;
  readonly port: number;
}

/**
 * What a host says of a recipient: it exists, it does not, nothing of this one, as the host is busy, say;
 * or nothing at all, because the host is away, hangs, or takes no session or no report from us.
 */
export type Said = "known" | "unknown" | "nothing" | "silent";

/** Asks one host. */
export function askHost(
  { host, port }: Place,
  { hostname, address, lmtp, signal }: {
    readonly hostname: string;
    readonly address: string;
    readonly lmtp: boolean;
    /** No longer than this. */
    readonly signal: AbortSignal;
  },
): Promise<Said> {
  return new Promise((resolve) => {
    const parser = new ReplyParser();
    const socket = connect({ host, port });
    let step: "greeting" | "hello" | "mail" | "rcpt" = "greeting";
    let hello = lmtp ? "LHLO" : "EHLO";
    const finish = (said: Said) => {
      signal.removeEventListener("abort", giveUp);
      socket.end("QUIT\r\n");
      // The host's farewell is not waited for.
      socket.destroySoon();
      resolve(said);
    };
    const giveUp = () => {
      socket.destroy();
      resolve("silent");
    };
    const say = (next: typeof step, command: string) => {
      step = next;
      socket.write(`${command}\r\n`);
    };
    const take = (reply: Reply) => {
      if (step === "rcpt") return finish(wordOn(reply));
      // An old host knows no EHLO.
      if (step === "hello" && hello === "EHLO" && reply.code >= 500) {
        hello = "HELO";
        return say("hello", `HELO ${hostname}`);
      }
      // A host that is only busy (4yz) has answered at once, and may take the next session.
      if (reply.code >= 400 && reply.code < 500) return finish("nothing");
      if (reply.code >= 300) return finish("silent");
      if (step === "greeting") return say("hello", `${hello} ${hostname}`);
      if (step === "mail") return say("rcpt", `RCPT TO:<${address}>`);
      if (isAscii(address)) return say("mail", "MAIL FROM:<>");
      // A host without the extension cannot be asked: it could not be given the mail as it is, either.
      if (hello === "HELO" || !announces(reply, "SMTPUTF8")) return finish("nothing");
      say("mail", "MAIL FROM:<> SMTPUTF8");
    };
    socket.on("data", (bytes: Uint8Array) => {
      parser.push(bytes);
      for (let parsed = parser.next(); parsed !== undefined; parsed = parser.next()) {
        if (parsed.kind === "problem") return finish("silent");
        take(parsed.reply);
      }
    });
    const gone = () => finish(step === "rcpt" ? "nothing" : "silent");
    socket.on("error", gone);
    socket.on("close", gone);
    signal.addEventListener("abort", giveUp);
    if (signal.aborted) giveUp();
  });
}

function isAscii(text: string): boolean {
  // deno-lint-ignore no-control-regex
  return /^[\x00-\x7f]*$/.test(text);
}

function announces({ lines }: Reply, keyword: string): boolean {
  return lines.slice(1).some((line) => line.split(" ", 1)[0]!.toUpperCase() === keyword);
}

/**
 * Subjects and details of enhanced codes (RFC 3463) that say there is no such mailbox. Not among them:
 * what is said of the sender (1.7, 1.8), of a mailbox that is there (2.2, 2.3), of the system, the
 * network, the protocol, the content, and all policy (7.z).
 */
const noSuchMailbox = new Set([
  "1.0",
  "1.1",
  "1.2",
  "1.3",
  "1.4",
  "1.6",
  "1.9",
  "1.10",
  "2.0",
  "2.1",
])
  // Exchange says so of recipients that its directory does not have.
  .add("4.1");

/** Codes that say nothing more than the reply's own. */
const unspecific = new Set(["0.0", "5.0"]);

/** Replies that mean the mailbox by themselves (RFC 5321 §4.2.3). */
const mailboxCodes = new Set([550, 551, 553]);

/** What a reply to RCPT says of the recipient. */
function wordOn({ code, enhanced }: Reply): Said {
  if (code < 300) return "known";
  if (code < 500) return "nothing";
  const detail = enhanced?.slice(2);
  const refused = detail === undefined || unspecific.has(detail)
    ? mailboxCodes.has(code)
    : noSuchMailbox.has(detail);
  return refused ? "unknown" : "nothing";
}
