/**
 * What the conversion to 7bit does with an entity, decided from its header alone (RFC 6152 §3,
 * RFC 2045 §6.4, RFC 2046), and the header that the entity has then.
 *
 * This file must not know how content is cut into lines and parts.
 */

import { parseContentType, transferEncoding } from "./content-type.ts";
import { Header } from "./header.ts";
import { concat, octetsOf } from "./octets.ts";

/** An encoding that makes any octets 7bit. */
export type SafeEncoding = "quoted-printable" | "base64";

/** What to do with an entity's body. */
export type EntityPlan =
  /** Parts between boundaries follow. */
  | { readonly kind: "multipart"; readonly boundary: string; readonly partDefault: DefaultType }
  /** A message follows: its header, its body. */
  | { readonly kind: "message" }
  /** The body is declared 8bit or binary: encode it. */
  | { readonly kind: "encode"; readonly encoding: SafeEncoding }
  /** The body is declared 7bit, which may be untrue: encode it if it is. */
  | { readonly kind: "doubt"; readonly encoding: SafeEncoding }
  /** The body is already encoded; stray 8-bit octets in it are repaired. */
  | { readonly kind: "encoded"; readonly encoding: SafeEncoding }
  /** No encoding is allowed for it: it is 7bit or the conversion fails. */
  | { readonly kind: "fixed" };

/** The type of an entity that declares none (RFC 2046 §5.1.5). */
export type DefaultType = "text/plain" | "message/rfc822";

/** Decides what to do with the entity of this header. */
export function planEntity(header: Header, defaultType: DefaultType): EntityPlan {
  const type = parseContentType(header.get("content-type") ?? defaultType) ??
    { type: "text", subtype: "plain", parameters: new Map<string, string>() };
  const declared = transferEncoding(header.get("content-transfer-encoding"));
  if (declared === "quoted-printable" || declared === "base64") {
    return { kind: "encoded", encoding: declared };
  }
  if (declared !== "7bit" && declared !== "8bit" && declared !== "binary") return { kind: "fixed" };
  if (type.type === "multipart") {
    // RFC 1847 §2.1, §2.2: what is signed or encrypted may not be changed on its way.
    if (type.subtype === "signed" || type.subtype === "encrypted") return { kind: "fixed" };
    const boundary = type.parameters.get("boundary")?.trimEnd() ?? "";
    if (boundary === "" || boundary.length > 200) return { kind: "fixed" };
    const partDefault = type.subtype === "digest" ? "message/rfc822" : "text/plain";
    return { kind: "multipart", boundary, partDefault };
  }
  if (type.type === "message") {
    if (type.subtype === "rfc822") return { kind: "message" };
    // RFC 2046 §5.2.2, §5.2.3: these two are 7bit and nothing else.
    if (type.subtype === "partial" || type.subtype === "external-body") return { kind: "fixed" };
  }
  const textual = type.type === "text" || type.type === "message";
  const encoding = textual ? "quoted-printable" : "base64";
  return { kind: declared === "7bit" ? "doubt" : "encode", encoding };
}

/**
 * The header with its transfer encoding replaced. A part that is encoded now and declared
 * nothing before becomes MIME, in the charset of RFC 1428 for text of which nobody knows more.
 */
export function declareEncoding(
  header: Header,
  encoding: SafeEncoding | "7bit",
  wholeMessage: boolean,
): Uint8Array {
  const field = octetsOf(`Content-Transfer-Encoding: ${encoding}\r\n`);
  const pieces: Uint8Array[] = [];
  let declared = false;
  for (const { name, raw } of header.fields) {
    if (name.toLowerCase() !== "content-transfer-encoding") pieces.push(raw);
    else if (!declared) {
      pieces.push(field);
      declared = true;
    }
  }
  if (wholeMessage && header.get("mime-version") === undefined) {
    pieces.push(octetsOf("MIME-Version: 1.0\r\n"));
  }
  if (!declared) {
    if (header.get("content-type") === undefined) {
      pieces.push(octetsOf("Content-Type: text/plain; charset=unknown-8bit\r\n"));
    }
    pieces.push(field);
  }
  return concat(pieces);
}

/** Whether the header declares an encoding that is not 7bit, such as 8bit on a multipart. */
export function declaresMore(header: Header): boolean {
  return transferEncoding(header.get("content-transfer-encoding")) !== "7bit";
}
