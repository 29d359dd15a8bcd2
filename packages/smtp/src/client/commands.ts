/**
 * Writes MAIL and RCPT from an envelope, with those parameters that the next hop understands.
 *
 * This file must not know whether the message may go without the others: that is `plan.ts`.
 */
import type { Envelope, EnvelopeRecipient } from "../envelope.ts";
import { encodeUtf8AddressXtext, encodeXtext } from "../xtext.ts";
import type { Capabilities } from "./capabilities.ts";

/** What of MAIL does not follow from envelope and capabilities alone. */
export interface MailExtras {
  /** SIZE=, if the size of what will be sent is known. */
  readonly size: number | undefined;
  readonly body: "8BITMIME" | "BINARYMIME" | undefined;
  readonly smtpUtf8: boolean;
  /** Whether AUTH= may be said: only after AUTH (RFC 4954 §5). */
  readonly authenticated: boolean;
}

/** The MAIL command with its CRLF. */
export function mailLine(
  { reversePath, parameters }: Envelope,
  capabilities: Capabilities,
  extras: MailExtras,
): string {
  let line = `MAIL FROM:<${reversePath}>`;
  if (capabilities.size !== undefined && extras.size !== undefined) line += ` SIZE=${extras.size}`;
  if (extras.body !== undefined) line += ` BODY=${extras.body}`;
  if (extras.smtpUtf8) line += " SMTPUTF8";
  if (parameters.requireTls) line += " REQUIRETLS";
  if (capabilities.dsn) {
    if (parameters.ret !== undefined) line += ` RET=${parameters.ret}`;
    if (parameters.envelopeId !== undefined) line += ` ENVID=${encodeXtext(parameters.envelopeId)}`;
  }
  if (capabilities.deliverBy !== undefined && parameters.deliverBy !== undefined) {
    const { seconds, mode, trace } = parameters.deliverBy;
    line += ` BY=${seconds};${mode === "return" ? "R" : "N"}${trace ? "T" : ""}`;
  }
  if (capabilities.mtPriority !== undefined && parameters.priority !== undefined) {
    line += ` MT-PRIORITY=${parameters.priority}`;
  }
  if (extras.authenticated && parameters.auth !== undefined) {
    line += ` AUTH=${parameters.auth === "<>" ? "<>" : encodeXtext(parameters.auth)}`;
  }
  return `${line}\r\n`;
}

/** The RCPT command with its CRLF. */
export function rcptLine(
  { forwardPath, parameters }: EnvelopeRecipient,
  capabilities: Capabilities,
): string {
  let line = `RCPT TO:<${forwardPath}>`;
  if (capabilities.dsn) {
    const { notify, originalRecipient } = parameters;
    if (notify !== undefined) line += ` NOTIFY=${notify === "NEVER" ? notify : notify.join(",")}`;
    if (originalRecipient !== undefined) {
      const { address, type } = originalRecipient;
      // RFC 6533 §3: an address in UTF-8 has an encoding of its own, which is ASCII.
      const encode = type.toLowerCase() === "utf-8" ? encodeUtf8AddressXtext : encodeXtext;
      line += ` ORCPT=${type};${encode(address)}`;
    }
  }
  return `${line}\r\n`;
}
