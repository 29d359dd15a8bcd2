/**
 * The attributes of XCLIENT and XFORWARD: `NAME=value` with values in xtext.
 *
 * This file must not know who is trusted to send them.
 */
import type {
  ForwardedValue,
  XclientName,
  XclientQuestion,
  XforwardName,
  XforwardQuestion,
} from "./actions.ts";
import { isIpv4, isIpv6 } from "../domain.ts";
import { decodeXtext } from "../xtext.ts";

const xclientNames: readonly XclientName[] = [
  "NAME",
  "ADDR",
  "PORT",
  "PROTO",
  "HELO",
  "LOGIN",
  "DESTADDR",
  "DESTPORT",
];
const xforwardNames: readonly XforwardName[] = [
  "NAME",
  "ADDR",
  "PORT",
  "PROTO",
  "HELO",
  "IDENT",
  "SOURCE",
];

/** How a value must look, by attribute; others are free text without controls. */
const forms: { readonly [name in XclientName | XforwardName]?: (value: string) => boolean } = {
  ADDR: (value) => isIpv4(value) || isIpv6(value),
  DESTADDR: (value) => isIpv4(value) || isIpv6(value),
  PORT: isPort,
  DESTPORT: isPort,
  PROTO: (value) => /^E?SMTP$/i.test(value),
  SOURCE: (value) => /^(?:LOCAL|REMOTE)$/i.test(value),
};

function isPort(value: string): boolean {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65_535;
}

/** Reads the attributes; `undefined` where one is malformed, unknown or given twice. */
export function parseAttributes(
  verb: "XCLIENT",
  text: string,
): XclientQuestion["attributes"] | undefined;
export function parseAttributes(
  verb: "XFORWARD",
  text: string,
): XforwardQuestion["attributes"] | undefined;
export function parseAttributes(
  verb: "XCLIENT" | "XFORWARD",
  text: string,
): { readonly [name: string]: ForwardedValue } | undefined {
  const known: readonly string[] = verb === "XCLIENT" ? xclientNames : xforwardNames;
  const attributes: { [name: string]: ForwardedValue } = {};
  const words = text.split(" ").filter((word) => word !== "");
  if (words.length === 0) return undefined;
  for (const word of words) {
    const equals = word.indexOf("=");
    const name = word.slice(0, Math.max(equals, 0)).toUpperCase();
    if (!known.includes(name) || attributes[name] !== undefined) return undefined;
    const value = readValue(name as XclientName | XforwardName, word.slice(equals + 1));
    if (value === undefined) return undefined;
    attributes[name] = value;
  }
  return attributes;
}

function readValue(name: XclientName | XforwardName, wire: string): ForwardedValue | undefined {
  // Empty means unavailable, too: some senders write it so.
  if (wire === "" || wire.toUpperCase() === "[UNAVAILABLE]") return { missing: "for good" };
  if (wire.toUpperCase() === "[TEMPUNAVAIL]") return { missing: "for now" };
  const decoded = decodeXtext(wire);
  // deno-lint-ignore no-control-regex
  if (decoded === undefined || /[\x00-\x1f\x7f]/.test(decoded)) return undefined;
  const value = name === "ADDR" || name === "DESTADDR" ? decoded.replace(/^IPv6:/i, "") : decoded;
  return forms[name]?.(value) === false ? undefined : { value };
}
