/** Domain names as text. This file must not know what they are looked up for. */

import { domainToASCII } from "node:url";

/**
 * A name in the one form in which names are compared, cached and sent: lower case, A-labels, no
 * final dot. Nothing if it cannot be a domain name (RFC 1035 §2.3.4).
 */
export function canonicalName(name: string): string | undefined {
  let plain = name;
  // deno-lint-ignore no-control-regex
  if (/[^\x00-\x7f]/.test(plain)) plain = domainToASCII(plain);
  plain = (plain.endsWith(".") ? plain.slice(0, -1) : plain).toLowerCase();
  if (plain.length === 0 || plain.length > 253 || !/^[\x21-\x7e]+$/.test(plain)) return undefined;
  const labels = plain.split(".");
  return labels.every((label) => label.length > 0 && label.length <= 63) ? plain : undefined;
}
