/**
 * How a copy's content goes to a next hop of these capabilities: as it is, or converted to 7-bit
 * where the next hop takes no more (RFC 6152 §3, RFC 3030 §3); or not at all.
 *
 * This file must not know sessions.
 */
import { isAscii } from "node:buffer";
import type { Capabilities, MailParameters, Transaction } from "@postern/smtp";
import { type Content, headerOf, inSevenBit, surveyOf } from "./content.ts";

/** The content as it is to be handed in, with what the core must know of it. */
export type Fitted =
  | {
    readonly status: "fits";
    readonly content: Content;
    readonly about: Pick<Transaction, "contentForm" | "contentSize" | "headerIsAscii">;
  }
  | { readonly status: "cannot"; readonly reply: string };

/** Why content is not converted, in words. */
const OBSTACLES = {
  eightBitHeader: "its header holds 8-bit characters",
  headerTooLarge: "its header is too large",
  nestedTooDeep: "its parts are nested too deep",
  tooManyParts: "it has too many parts",
  partMustNotBeEncoded: "it has a signed or other part that must not be changed",
} as const;

/** Fits content to a next hop. Large content is read for it only where that matters. */
export async function fit(
  content: Content,
  { body = "7BIT", smtpUtf8 }: MailParameters,
  capabilities: Capabilities,
): Promise<Fitted> {
  const { eightBitMime, binaryMime, chunking } = capabilities;
  const form = await formOf(content, body, eightBitMime);
  const headerIsAscii = smtpUtf8 === true && !capabilities.smtpUtf8 &&
    await hasAsciiHeader(content);
  const goes = form === "7bit" || (form === "8bit" && eightBitMime) ||
    (form === "binary" && binaryMime && chunking);
  // What needs SMTPUTF8 is refused for that, whatever else is lacking: not for its 8-bit header.
  const needsUtf8 = smtpUtf8 === true && !capabilities.smtpUtf8 && !headerIsAscii;
  if (goes || needsUtf8) {
    const about = { contentForm: form, contentSize: content.size, headerIsAscii };
    return { status: "fits", content, about };
  }
  const converted = await inSevenBit(content);
  if ("failure" in converted) {
    const lacking = form === "8bit" ? "8BITMIME" : "BINARYMIME";
    const obstacle = OBSTACLES[converted.failure];
    const reply = `554 5.6.3 The next hop does not offer ${lacking}, and the message cannot be ` +
      `converted: ${obstacle}`;
    return { status: "cannot", reply };
  }
  const about = {
    contentForm: "7bit" as const,
    contentSize: converted.content.size,
    headerIsAscii,
  };
  return { status: "fits", content: converted.content, about };
}

/**
 * What the content is. What was declared binary is believed; otherwise long lines and bare line
 * ends are what senders have sent as text for ever, and only 8-bit characters matter. Content that
 * is not at hand is looked at only for a next hop that takes no 8-bit characters.
 */
async function formOf(
  content: Content,
  body: NonNullable<MailParameters["body"]>,
  eightBitMime: boolean,
): Promise<"7bit" | "8bit" | "binary"> {
  if (body === "BINARYMIME") return "binary";
  if (body === "8BITMIME" && eightBitMime) return "8bit";
  if (content.whole !== undefined) return isAscii(content.whole) ? "7bit" : "8bit";
  if (eightBitMime) return "7bit";
  return (await surveyOf(content)).eightBit ? "8bit" : "7bit";
}

async function hasAsciiHeader(content: Content): Promise<boolean> {
  const { header } = await headerOf(content);
  return isAscii(header.octets);
}
