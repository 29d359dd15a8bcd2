/**
 * Before a transaction begins: what this next hop can take of it. Either the message cannot go, with
 * the reason; or how it goes, which recipients are offered, and which duties stay with us.
 *
 * This file must not know states or replies.
 */
import type { Envelope } from "../envelope.ts";
import { type Reply, reply } from "../reply.ts";
import type { Transaction } from "./actions.ts";
import type { Capabilities } from "./capabilities.ts";
import { mailLine, rcptLine } from "./commands.ts";
import type { ClientTlsInformation } from "./options.ts";
import {
  type Cause,
  type LackingExtension,
  type RecipientOutcome,
  recipientOutcome,
} from "./outcome.ts";

/** What is known of the next hop and of the session with it. */
export interface NextHop {
  readonly capabilities: Capabilities;
  readonly tls: ClientTlsInformation | undefined;
  readonly authenticated: boolean;
  readonly preferChunking: boolean;
}

/** How a transaction goes. */
export interface Plan {
  /** The MAIL command with its CRLF. */
  readonly mail: string;
  /** The indices of the recipients to offer, in order, and the RCPT command of each. */
  readonly offered: readonly number[];
  readonly rcpt: readonly string[];
  /** What is decided already, by the recipient's index. */
  readonly decided: readonly (RecipientOutcome | undefined)[];
  readonly transfer: "DATA" | "BDAT";
  readonly form: "asIs" | "sevenBit";
  /** Whether a report falls to us if the recipient of this index is accepted. */
  takesOver(index: number): boolean;
}

/** Makes the plan; with no recipient `offered` nothing is to be sent at all. */
export function planTransaction(transaction: Transaction, hop: NextHop): Plan {
  const { envelope } = transaction;
  const { capabilities } = hop;
  const manner = mannerOf(transaction, hop);
  const objection = badPath("MAIL", envelope.reversePath) ?? lackingTls(envelope, hop) ??
    lackingSize(transaction, capabilities) ?? lackingUtf8(transaction, capabilities) ??
    lackingDeliverBy(envelope, capabilities) ?? manner.objection;
  const decided: (RecipientOutcome | undefined)[] = [];
  const offered: number[] = [];
  const rcpt: string[] = [];
  const limits = recipientLimits(capabilities);
  let utf8 = envelope.parameters.smtpUtf8 === true || !isAscii(envelope.reversePath);
  for (const [index, recipient] of envelope.recipients.entries()) {
    if (objection !== undefined) {
      decided[index] = recipientOutcome(recipient, "permanent", "MAIL", objection);
      continue;
    }
    const ascii = isAscii(recipient.forwardPath);
    const cause = badPath("RCPT", recipient.forwardPath) ??
      (ascii || capabilities.smtpUtf8 ? undefined : lacking("SMTPUTF8", 553));
    if (cause !== undefined) {
      decided[index] = recipientOutcome(recipient, "permanent", "RCPT", cause);
      continue;
    }
    const limit = limits(recipient.forwardPath);
    if (limit !== undefined) {
      decided[index] = recipientOutcome(recipient, "tooMany", "RCPT", { kind: "limit", limit });
      continue;
    }
    utf8 ||= !ascii;
    offered.push(index);
    rcpt.push(rcptLine(recipient, capabilities));
  }
  return {
    mail: mailLine(envelope, capabilities, {
      size: manner.form === "asIs" ? transaction.contentSize : undefined,
      body: manner.body,
      smtpUtf8: utf8 && capabilities.smtpUtf8,
      authenticated: hop.authenticated,
    }),
    offered,
    rcpt,
    decided,
    transfer: manner.transfer,
    form: manner.form,
    takesOver: (index) => takesOver(envelope, index, capabilities),
  };
}

interface Manner {
  readonly transfer: "DATA" | "BDAT";
  readonly form: "asIs" | "sevenBit";
  readonly body: "8BITMIME" | "BINARYMIME" | undefined;
  readonly objection?: Cause;
}

/** How the content travels: RFC 6152 §3 for 8-bit, RFC 3030 §3 for binary content. */
function mannerOf(transaction: Transaction, { capabilities, preferChunking }: NextHop): Manner {
  const { canConvert = false, envelope } = transaction;
  const transfer = preferChunking && capabilities.chunking ? "BDAT" : "DATA";
  const form = transaction.contentForm ??
    ({ "7BIT": "7bit", "8BITMIME": "8bit", BINARYMIME: "binary" } as const)[
      envelope.parameters.body ?? "7BIT"
    ];
  if (form === "7bit") return { transfer, form: "asIs", body: undefined };
  if (form === "8bit" && capabilities.eightBitMime) {
    return { transfer, form: "asIs", body: "8BITMIME" };
  }
  if (form === "binary" && capabilities.binaryMime && capabilities.chunking) {
    return { transfer: "BDAT", form: "asIs", body: "BINARYMIME" };
  }
  const converted: Manner = { transfer, form: "sevenBit", body: undefined };
  if (canConvert) return converted;
  return { ...converted, objection: lacking(form === "8bit" ? "8BITMIME" : "BINARYMIME") };
}

/** RFC 8689 §4.2.1: offered, over TLS, and the certificate was checked. */
function lackingTls(envelope: Envelope, { capabilities, tls }: NextHop): Cause | undefined {
  if (!envelope.parameters.requireTls) return undefined;
  return capabilities.requireTls && tls?.verified === true ? undefined : lacking("REQUIRETLS");
}

/** RFC 1870 §6.1: what the next hop would refuse is not sent. */
function lackingSize(
  { contentSize }: Transaction,
  { size }: Capabilities,
): Cause | undefined {
  const maximum = size?.maximum;
  if (contentSize === undefined || maximum === undefined) return undefined;
  return contentSize > maximum ? lacking("SIZE") : undefined;
}

/** RFC 6531 §3.5–3.6: without SMTPUTF8 only what is ASCII throughout may go. */
function lackingUtf8(
  { envelope, headerIsAscii = false }: Transaction,
  capabilities: Capabilities,
): Cause | undefined {
  if (capabilities.smtpUtf8) return undefined;
  const needed = !isAscii(envelope.reversePath) ||
    (envelope.parameters.smtpUtf8 === true && !headerIsAscii);
  return needed ? lacking("SMTPUTF8") : undefined;
}

/** RFC 2852 §4.2: mode R must not go where the time is not understood, or too short. */
function lackingDeliverBy(envelope: Envelope, { deliverBy }: Capabilities): Cause | undefined {
  const wanted = envelope.parameters.deliverBy;
  if (wanted === undefined || wanted.mode === "notify") return undefined;
  if (deliverBy === undefined) return lacking("DELIVERBY");
  const least = deliverBy.minimumSeconds;
  if (wanted.seconds >= least) return undefined;
  const said = `A time to deliver by, of which the next hop takes no less than ${least} seconds`;
  return { kind: "lacking", extension: "DELIVERBY", reply: reply(550, "5.3.3", said) };
}

/** RFC 3461 §5.2.2, RFC 2852 §4.2: a "relayed" report for what the next hop will not report. */
function takesOver(envelope: Envelope, index: number, capabilities: Capabilities): boolean {
  const notify = envelope.recipients[index]?.parameters.notify;
  if (notify === "NEVER") return false;
  if (!capabilities.dsn && notify !== undefined && notify.includes("SUCCESS")) return true;
  return envelope.parameters.deliverBy?.mode === "notify" && capabilities.deliverBy === undefined;
}

/** Counts recipients and their domains against RFC 9422; says which limit the next one breaks. */
function recipientLimits(
  { limits: { rcptMax = Infinity, rcptDomainMax = Infinity } }: Capabilities,
): (forwardPath: string) => "RCPTMAX" | "RCPTDOMAINMAX" | undefined {
  let count = 0;
  const domains = new Set<string>();
  return (forwardPath) => {
    if (count === rcptMax) return "RCPTMAX";
    if (rcptDomainMax !== Infinity) {
      const domain = forwardPath.slice(forwardPath.lastIndexOf("@") + 1).toLowerCase();
      if (!domains.has(domain) && domains.size === rcptDomainMax) return "RCPTDOMAINMAX";
      domains.add(domain);
    }
    count++;
    return undefined;
  };
}

const explanations: { readonly [extension in LackingExtension]: Reply } = {
  "8BITMIME": reply(554, "5.6.3", "8-bit content, and the next hop does not offer 8BITMIME"),
  BINARYMIME: reply(554, "5.6.3", "Binary content, and the next hop does not offer BINARYMIME"),
  SMTPUTF8: reply(550, "5.6.7", "The next hop does not offer SMTPUTF8"),
  SIZE: reply(552, "5.3.4", "The message is larger than the next hop takes"),
  REQUIRETLS: reply(550, "5.7.30", "REQUIRETLS, and the next hop does not offer it over good TLS"),
  DELIVERBY: reply(550, "5.3.3", "A time to deliver by, and the next hop does not offer DELIVERBY"),
};

function lacking(extension: LackingExtension, code?: number): Cause {
  const explanation = explanations[extension];
  const said = code === undefined ? explanation : { ...explanation, code };
  return { kind: "lacking", extension, reply: said };
}

/** A path with a control character would end the command line and begin another. */
function badPath(command: "MAIL" | "RCPT", path: string): Cause | undefined {
  for (let at = 0; at < path.length; at++) {
    const code = path.charCodeAt(at);
    if (code < 32 || code === 127) {
      const enhanced = command === "MAIL" ? "5.1.7" : "5.1.3";
      return { kind: "badPath", reply: reply(553, enhanced, "Control character in the path") };
    }
  }
  return undefined;
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 127) return false;
  return true;
}
