/**
 * The replies that the session gives by itself: one table, so that every text is written once.
 *
 * This file must not know states or commands' handling.
 */
import { type EnhancedCode, type Reply, reply } from "../reply.ts";

const constants = new Map<Reply, Uint8Array>();

function constant(code: number, enhanced: EnhancedCode | undefined, ...lines: string[]): Reply {
  const made = reply(code, enhanced, ...lines);
  constants.set(made, encodeReply(made));
  return made;
}

/** The wire form of a reply: each line with its code and enhanced code (RFC 2034 §3). */
export function encodeReply(reply: Reply): Uint8Array {
  const known = constants.get(reply);
  if (known !== undefined) return known;
  let text = "";
  const last = reply.lines.length - 1;
  const enhanced = reply.enhanced === undefined ? "" : `${reply.enhanced} `;
  for (const [index, line] of reply.lines.entries()) {
    text += `${reply.code}${index === last ? " " : "-"}${enhanced}${printable(line)}\r\n`;
  }
  if (last === -1) text = `${reply.code} ${enhanced}\r\n`;
  const bytes = new Uint8Array(text.length);
  for (let index = 0; index < text.length; index++) bytes[index] = text.charCodeAt(index);
  return bytes;
}

/** A reply's line is ASCII without controls, and with its codes within 512 octets (§4.5.3.1.5). */
function printable(line: string): string {
  if (/^[ -~]{0,496}$/.test(line)) return line;
  return line.replace(/[^ -~]/g, (character) => (character > "~" ? "?" : " ")).slice(0, 496);
}

/** A reply's line that names something from the command, cut to a sensible length. */
export function quoteInReply(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

/** What the session says by itself. */
export const replies = {
  sender: constant(250, "2.1.0", "Sender ok"),
  recipient: constant(250, "2.1.5", "Recipient ok"),
  sendData: constant(354, undefined, "End data with <CR><LF>.<CR><LF>"),
  accepted: constant(250, "2.0.0", "Message accepted"),
  done: constant(250, "2.0.0", "Ok"),
  bye: constant(221, "2.0.0", "Bye"),
  startTls: constant(220, "2.0.0", "Ready to start TLS"),
  authenticated: constant(235, "2.7.0", "Authentication successful"),
  cannotVerify: constant(252, "2.0.0", "Cannot verify, but will accept mail and attempt delivery"),
  help: constant(
    214,
    "2.0.0",
    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT",
    "See RFC 5321",
  ),
  helpLmtp: constant(
    214,
    "2.0.0",
    "LHLO MAIL RCPT DATA BDAT RSET NOOP VRFY EXPN HELP QUIT",
    "See RFC 2033",
  ),

  unknown: constant(500, "5.5.1", "Command not recognized"),
  lineTooLong: constant(500, "5.5.2", "Line too long"),
  lineEnd: constant(500, "5.5.2", "Lines end with CRLF; bare CR, bare LF and NUL are not accepted"),
  notUtf8: constant(500, "5.5.2", "Not valid UTF-8"),
  notImplemented: constant(502, "5.5.1", "Command not implemented"),
  notOffered: constant(502, "5.5.1", "Not offered here"),
  ehloOnly: constant(500, "5.5.1", "This is SMTP: send EHLO or HELO"),
  lhloOnly: constant(500, "5.5.1", "This is LMTP: send LHLO"),
  noArgument: constant(501, "5.5.4", "No parameters allowed"),
  argumentMissing: constant(501, "5.5.4", "Parameter missing"),
  helloName: constant(501, "5.5.4", "Give one domain name or address literal"),
  noSession: constant(503, "5.5.1", "No service here: send QUIT"),
  helloFirst: constant(503, "5.5.1", "Send EHLO first"),
  lhloFirst: constant(503, "5.5.1", "Send LHLO first"),
  nestedMail: constant(503, "5.5.1", "Sender already given"),
  mailFirst: constant(503, "5.5.1", "Send MAIL first"),
  inTransaction: constant(503, "5.5.1", "Not during a mail transaction"),
  chunking: constant(503, "5.5.1", "BDAT is under way: send BDAT or RSET"),
  transactionFailed: constant(503, "5.5.1", "The transaction failed: send RSET"),
  noRecipients: constant(554, "5.5.1", "No valid recipients"),
  noRecipientsLmtp: constant(503, "5.5.1", "No valid recipients"),
  binaryNeedsBdat: constant(503, "5.5.1", "BINARYMIME is sent with BDAT"),
  alreadyTls: constant(503, "5.5.1", "TLS is already active"),
  alreadyAuthenticated: constant(503, "5.5.1", "Already authenticated"),
  tlsRequired: constant(530, "5.7.0", "Send STARTTLS first"),
  authRequired: constant(530, "5.7.0", "Authentication required"),

  mailSyntax: constant(501, "5.5.2", "Syntax: MAIL FROM:<address>"),
  rcptSyntax: constant(501, "5.5.2", "Syntax: RCPT TO:<address>"),
  bdatSyntax: constant(501, "5.5.4", "Syntax: BDAT size [LAST]"),
  authSyntax: constant(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]"),
  etrnSyntax: constant(501, "5.5.4", "Syntax: ETRN domain"),
  attributeSyntax: constant(501, "5.5.4", "Syntax: NAME=value with xtext values"),
  smtpUtf8Needed: constant(553, "5.6.7", "Address is not ASCII and SMTPUTF8 was not given"),

  tooManyRecipients: constant(452, "4.5.3", "Too many recipients"),
  tooManyDomains: constant(452, "4.5.3", "Too many recipient domains"),
  tooBig: constant(552, "5.3.4", "Message is bigger than the limit"),
  headerTooBig: constant(552, "5.3.4", "Header is bigger than the limit"),
  loop: constant(554, "5.4.6", "Too many Received fields: mail loop"),
  contentLineTooLong: constant(554, "5.6.0", "A line of the content is longer than the limit"),
  contentLineEnd: constant(
    550,
    "5.5.2",
    "Content holds a bare CR, a bare LF or a NUL; lines end with CRLF",
  ),

  mechanismUnknown: constant(504, "5.5.4", "Mechanism not offered"),
  mechanismNeedsTls: constant(538, "5.7.11", "This mechanism needs TLS"),
  credentialsBad: constant(535, "5.7.8", "Authentication credentials invalid"),
  base64Bad: constant(501, "5.5.2", "Not base64"),
  saslSyntax: constant(501, "5.5.2", "Malformed response of the mechanism"),
  authCancelled: constant(501, "5.7.0", "Authentication cancelled"),
  authLineTooLong: constant(500, "5.5.6", "Authentication exchange line too long"),
  bindingMismatch: constant(535, "5.7.8", "Channel binding does not match"),

  notTrusted: constant(550, "5.7.0", "Not allowed for this client"),
  noReverseRoute: constant(553, "5.1.7", "Source routes are not accepted"),
  noForwardRoute: constant(553, "5.1.3", "Source routes are not accepted"),
  etrnDenied: constant(459, "4.7.1", "Not allowed for this client"),
  pipelinedBehindTls: constant(554, "5.5.1", "Nothing may follow STARTTLS before the handshake"),
  outOfTurn: constant(554, "5.5.0", "Input before the reply to a command that ends its group"),
  connectRefused: constant(554, "5.7.1", "No service for you here"),
  foreign: constant(421, "4.7.0", "This is SMTP, not HTTP"),
  tooManyErrors: constant(421, "4.7.0", "Too many errors"),
  tooManyCommands: constant(421, "4.7.0", "Too many commands in one session"),
  tooManyTransactions: constant(421, "4.7.0", "Too many messages in one session"),
  tooMuchInput: constant(421, "4.7.0", "Too much input ahead of the replies"),
  timedOut: constant(421, "4.4.2", "Timed out waiting for the client"),
  shutDown: constant(421, "4.3.2", "Server shutting down, try again later"),
} as const;
