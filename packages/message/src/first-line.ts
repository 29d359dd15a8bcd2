/**
 * Content that does not begin with a field: put behind fields of our own as it is, its first line would
 * go on with our last field, or be taken for one of the header.
 *
 * This file must not know whose fields stand before.
 */
import { latin1 } from "./octets.ts";

/** A line of content has 998 octets at most (RFC 5322 §2.1.1). */
const LONGEST_NAME = 1000;

const FIELD_OR_EMPTY_LINE = /^(?:[!-9;-~]+[ \t]*:|\r?\n)/;
const MAYBE_FIELD = /^(?:[!-9;-~]+[ \t]*|\r)$/;
/** What programs that write mailbox files put before a message. */
const MAILBOX_LINE = /^>*From /i;

/**
 * What goes between fields and content that begins with these octets. Nothing before a field or the empty
 * line that ends a header; a name before the first line of a mailbox file (as Postfix does), since
 * a header follows it; an empty line before anything else: it is body (RFC 5322 §2.1). `undefined`:
 * that cannot be told before more octets are there.
 */
export function beforeContent(start: Uint8Array): string | undefined {
  const text = latin1(start.subarray(0, LONGEST_NAME));
  if (FIELD_OR_EMPTY_LINE.test(text)) return "";
  if (text === "" || (text.length < LONGEST_NAME && MAYBE_FIELD.test(text))) return undefined;
  return MAILBOX_LINE.test(text) ? "X-Mailbox-Line: " : "\r\n";
}
