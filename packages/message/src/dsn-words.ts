/**
 * The part of a notification that a person reads: what happened, to whom, why, in whose words,
 * and what to do now; and the Subject that says it in a line.
 *
 * This file must not know MIME.
 */

import { rfc5322Date } from "./dates.ts";
import type { Dsn, DsnAction, DsnRecipient } from "./dsn.ts";
import { hardPieces } from "./header.ts";
import { statusWords } from "./status-words.ts";

const COLUMNS = 72;

/** In the order a reader wants them: the worst first. */
const ACTIONS: readonly DsnAction[] = ["failed", "delayed", "delivered", "relayed", "expanded"];

const SUBJECTS: Readonly<Record<DsnAction, string>> = {
  failed: "Undelivered",
  delayed: "Delayed",
  delivered: "Delivered",
  relayed: "Relayed",
  expanded: "Sent on",
};

const UNRETURNABLE = "Undelivered and not returned";

const HEADINGS: Readonly<Record<DsnAction, string>> = {
  failed: "Your message could NOT be delivered to the recipients below. It will not be tried " +
    "again.",
  delayed: "Your message could not be delivered to the recipients below so far. It is still " +
    "being tried: you need not send it again.",
  delivered: "Your message was delivered to the recipients below.",
  relayed: "Your message was passed on for the recipients below, to a mail system that may not " +
    "report when it is delivered.",
  expanded: "Your message was delivered to the addresses below, which sent it on to others.",
};

/** What of the message goes back; `headersOnlyPossible`: the whole should. */
export type Returned = keyof typeof RETURNED;

/** The Subject: what happened to whom. */
export function dsnSubject({ recipients, notReturnedTo }: Dsn): string {
  const action = ACTIONS.find((one) => recipients.some((r) => r.action === one)) ?? "failed";
  const concerned = recipients.filter((recipient) => recipient.action === action);
  const whom = concerned.length === 1 ? addressee(concerned[0]!) : `${concerned.length} recipients`;
  const what = notReturnedTo === undefined ? `${SUBJECTS[action]} mail` : UNRETURNABLE;
  return `${what}: ${printable(whom)}`;
}

/** The text, lines ended with CRLF. `returned` says what of the message follows. */
export function dsnText(dsn: Dsn, returned: Returned): string {
  const { notReturnedTo } = dsn;
  const blocks: string[] = [wrap(`This is the mail system at ${printable(dsn.reportingHost)}.`)];
  for (const action of ACTIONS) {
    const concerned = dsn.recipients.filter((recipient) => recipient.action === action);
    if (concerned.length === 0) continue;
    const heading = notReturnedTo === undefined
      ? HEADINGS[action]
      : unreturnableHeading(notReturnedTo);
    blocks.push(wrap(
      concerned.length > 1 ? heading : heading.replace(
        /(the recipients|the addresses) below/,
        action === "expanded" ? "the address below" : "the recipient below",
      ).replace("addresses below, which", "address below, which"),
    ));
    for (const recipient of concerned) {
      blocks.push(aboutRecipient(recipient, notReturnedTo === undefined));
    }
  }
  if (notReturnedTo !== undefined) blocks.push(wrap(POSTMASTER_ADVICE));
  const facts = [`The message came here on ${rfc5322Date(dsn.arrivalDate)}`];
  if (dsn.queueId !== undefined) facts.push(`and has the id ${printable(dsn.queueId)} here`);
  blocks.push(wrap(`${facts.join(" ")}. ${RETURNED[returned]}`));
  return blocks.join("\r\n");
}

const RETURNED = {
  full: "What follows is a report for mail programs, and the message.",
  headers: "What follows is a report for mail programs, and the header of the message.",
  headersOnlyPossible: "What follows is a report for mail programs, and the header of the " +
    "message; the whole is not returned because not every mail system could carry it.",
  nothing:
    "What follows is a report for mail programs. Nothing of the message is returned, because " +
    "it must not travel without TLS and the way back may have none.",
} as const;

/** For the postmaster, who did not write the message. */
function unreturnableHeading(sender: string): string {
  const [whose, why] = sender === ""
    ? ["without a return address, such as a report,", "There is no sender to tell"]
    : [`from <${printable(sender)}>`, "Nothing can be returned to that address"];
  return `A message ${whose} could NOT be delivered to the recipients below. It will not be tried ` +
    `again. ${why}, so this comes to you as the postmaster.`;
}

const POSTMASTER_ADVICE = "What to do: Nothing, if the message came of spam. Otherwise look into " +
  "the reason above: nobody else has been told.";

function aboutRecipient(recipient: DsnRecipient, withAdvice: boolean): string {
  const { action, status, remoteHost, diagnostic, detail, willRetryUntil } = recipient;
  const named = addressee(recipient);
  const isSentOn = named.toLowerCase() !== recipient.forwardPath.toLowerCase();
  let text = wrap(`<${printable(named)}>`, "  ");
  if (isSentOn) {
    text += wrap(`(sent on to <${printable(recipient.forwardPath)}>)`, "    ");
  }
  const troubled = action === "failed" || action === "delayed";
  const isQuoted = diagnostic !== undefined && diagnostic.text.trim() !== "";
  const words = statusWords(status, { saysMore: isQuoted || detail !== undefined, isSentOn });
  if (troubled) text += wrap(`${words.why} (${printable(status)})`, "    ");
  if (troubled && detail) text += wrap(`In detail: ${printable(detail)}`, "    ");
  if (isQuoted) {
    const who = remoteHost === undefined ? "The reason as it was given:" : `${remoteHost} said:`;
    text += wrap(printable(who), "    ");
    for (const line of diagnostic.text.split(/\r\n|\r|\n/)) text += wrap(printable(line), "      ");
  } else if (troubled && remoteHost !== undefined) {
    text += wrap(`The mail system concerned is ${printable(remoteHost)}.`, "    ");
  }
  if (action === "delayed" && willRetryUntil !== undefined) {
    text += wrap(`It will be tried until ${rfc5322Date(willRetryUntil)}.`, "    ");
  }
  if (action === "failed" && withAdvice) text += wrap(`What to do: ${words.advice}`, "    ");
  return text;
}

/** The address that the sender wrote to, as far as it is known. */
function addressee({ originalRecipient, acceptedAs, forwardPath }: DsnRecipient): string {
  return originalRecipient?.address ?? acceptedAs ?? forwardPath;
}

/** What peers and senders wrote, without the controls that could steer a terminal. */
function printable(text: string): string {
  return text.replace(/\t/g, " ").replace(/\p{Cc}|[\u2028\u2029]/gu, "?");
}

/**
 * Lines of at most 72 columns, broken at blanks, each with the indent and CRLF. Longer words stay
 * whole as far as lines may go.
 */
function wrap(text: string, indent = ""): string {
  let lines = "";
  let line = indent;
  for (const word of text.split(" ").flatMap(hardPieces)) {
    if (word === "") continue;
    if (line.length > indent.length && line.length + 1 + word.length > COLUMNS) {
      lines += `${line}\r\n`;
      line = indent;
    }
    line += line.length > indent.length ? ` ${word}` : word;
  }
  return `${lines}${line}\r\n`;
}
