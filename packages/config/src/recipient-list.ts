/** Recipient lists: how the address of a recipient is spelt in the list of its domain. */
import { mailbox } from "./names.ts";

/** The most addresses that the list of one domain may have. */
export const MAX_LISTED_RECIPIENTS = 1_000_000;

/**
 * The one spelling of an address in the list of a domain: its local part, lower-cased. Below
 * `*.example.com` a whole address stands for one domain's mailbox only, and stays whole.
 *
 * @param domain the name of the relay domain: `example.com` or `*.example.com`
 * @param text a local part, or a whole address of the domain
 * @returns undefined for what is no local part and no address of the domain
 */
export function listedAddress(domain: string, text: string): string | undefined {
  const bare = !text.includes("@") || text.endsWith('"');
  const below = domain.startsWith("*.") ? domain.slice(2) : undefined;
  const parsed = mailbox.safeParse(bare ? `${text}@${below ?? domain}` : text);
  if (!parsed.success) return undefined;
  const at = parsed.data.lastIndexOf("@");
  const local = localPart(parsed.data.slice(0, at));
  if (bare) return local;
  const host = parsed.data.slice(at + 1);
  if (below === undefined) return host === domain ? local : undefined;
  return host.endsWith(`.${below}`) ? `${local}@${host}` : undefined;
}

/**
 * What a list may hold for a recipient to be known, given its whole address.
 *
 * @returns the local part, and the whole address for a domain with a wildcard
 */
export function listedSpellings(domain: string, address: string): string[] {
  const at = address.lastIndexOf("@");
  const local = localPart(address.slice(0, at));
  return domain.startsWith("*.")
    ? [local, `${local}@${address.slice(at + 1).toLowerCase()}`]
    : [local];
}

/** Lower case, composed, and without quotes that change nothing (RFC 5321 §4.1.2). */
function localPart(text: string): string {
  const quoted = /^"((?:[^"\\]|\\.)*)"$/s.exec(text)?.[1]?.replace(/\\(.)/gs, "$1");
  const plain =
    quoted !== undefined && /^[^\s"(),:;<>@[\]\\.]+(\.[^\s"(),:;<>@[\]\\.]+)*$/.test(quoted)
      ? quoted
      : text;
  return plain.normalize("NFC").toLowerCase();
}
