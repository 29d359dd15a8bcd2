/**
 * The forms in which the address that somebody asks for may lie in the store. There it is as it was
 * said in the envelope: its domain in lower case, in U-labels or in A-labels, its local part in any
 * case. What compares it knows case in ASCII only, where the database's locale is C.
 */
import { canonicalDomain } from "@postern/config";
import { domainToUnicode } from "node:url";

/** The forms to ask for, each once; one for an address in ASCII whose domain has no A-labels. */
export function addressForms(address: string): string[] {
  const at = address.lastIndexOf("@");
  const locals = caseForms(at < 0 ? address : address.slice(0, at));
  if (at < 0) return locals;
  const domain = address.slice(at + 1).toLowerCase();
  const name = canonicalDomain(domain);
  const domains = new Set([domain, ...(name === undefined ? [] : [name, domainToUnicode(name)])]);
  return locals.flatMap((local) => [...domains].map((domain) => `${local}@${domain}`));
}

/** The cases in which people write: as given, lower, upper, words begun in upper. */
function caseForms(local: string): string[] {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(local)) return [local];
  const lower = local.toLowerCase();
  const begun = lower.replace(/\p{L}+/gu, (word) => {
    const [first = "", ...rest] = word;
    return first.toUpperCase() + rest.join("");
  });
  const ascii = (text: string) => text.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
  return [...new Set([local, lower, local.toUpperCase(), begun].map(ascii))];
}
