/**
 * Authentication-Results fields that others wrote in our name: whoever reads behind us must be able to
 * believe those that carry it, so they are taken out of all that comes in (RFC 8601 §5).
 */
import { domainToASCII } from "node:url";
import { concat, type Header } from "@postern/message";

const NAME = "authentication-results";

/** The fields of a header without those, or `undefined` where there are none. */
export function withoutOurResults(header: Header, hostname: string): Uint8Array | undefined {
  if (header.count(NAME) === 0) return undefined;
  const kept = header.fields.filter(({ name, value }) =>
    name.toLowerCase() !== NAME || !claims(value, hostname)
  );
  return kept.length === header.length ? undefined : concat(kept.map(({ raw }) => raw));
}

/**
 * Whether the field's authserv-id, behind comments, in quotes or not, is this name. A version may stand
 * behind it, apart or as readers of old took it, after a slash.
 */
function claims(value: string, hostname: string): boolean {
  const id = /^"((?:[^"\\]|\\.)*)"|^[^\s;(/]+/.exec(withoutComments(value).trim());
  const name = id === null ? "" : (id[1]?.replace(/\\(.)/g, "$1") ?? id[0]);
  return canonical(name) === canonical(hostname);
}

/** In lower case, in A-labels, without the dot of the root. */
function canonical(name: string): string {
  const bare = name.trim().replace(/\.$/, "");
  return domainToASCII(bare) || bare.toLowerCase();
}

/** Comments nest (RFC 5322 §3.2.2). One that never ends hides all that is behind it. */
function withoutComments(value: string): string {
  let depth = 0;
  let kept = "";
  for (let at = 0; at < value.length; at += 1) {
    const character = value[at]!;
    if (character === "\\") {
      if (depth === 0) kept += value.slice(at, at + 2);
      at += 1;
    } else if (character === "(") depth += 1;
    else if (character === ")" && depth > 0) depth -= 1;
    else if (depth === 0) kept += character;
  }
  return kept;
}
