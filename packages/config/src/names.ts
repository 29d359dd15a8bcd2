/**
 * The small schemas that resources are made of: text, names, domain names, hosts, ports, networks,
 * durations. Each normalises what it takes to one spelling, so that equal things compare equal.
 */
import { z } from "zod";

/** Text that Postgres can keep: it has no place for NUL, nor for half a character (a surrogate). */
export const plainText = z.string().refine((text) => text.isWellFormed() && !text.includes("\0"), {
  error: "expected text without NUL and lone surrogates",
  abort: true,
});

/** A SHA-256 in hex, with or without colons between its bytes. */
export function sha256InHex(error = "expected a SHA-256 in hex") {
  return plainText
    .transform((text) => text.replaceAll(":", "").toLowerCase())
    .pipe(z.string().regex(/^[0-9a-f]{64}$/, { error }));
}

/** The name an administrator gives to a relay, a client or a user. */
export const resourceName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, {
    error:
      "expected 1 to 63 of a-z, 0-9, '.', '_' and '-', starting and ending with a letter or digit",
  })
  .meta({
    examples: ["internal"],
    description: "A name: lower-case letters, digits, '.', '_', '-'",
  });

const label = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A domain name in the form it has in the DNS: lower case, A-labels for what is written with
 * U-labels (RFC 5890), no dot at its end. Answers undefined for what is no domain name.
 */
export function canonicalDomain(text: string): string | undefined {
  const ascii = toAscii(text);
  if (ascii === undefined) return undefined;
  const name = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
  if (name.length === 0 || name.length > 253) return undefined;
  return name.split(".").every((part) => label.test(part)) ? name : undefined;
}

/** Lower case with A-labels; the URL parser of the runtime does the IDNA mapping (UTS #46). */
function toAscii(text: string): string | undefined {
  // deno-lint-ignore no-control-regex
  if (/^[\x00-\x7f]*$/.test(text)) return text.toLowerCase();
  if (/[\s/?#@:\\%[\]]/.test(text)) return undefined;
  try {
    return new URL(`http://${text}/`).hostname;
  } catch {
    return undefined;
  }
}

/** A domain name; U-labels are taken and kept as A-labels. */
export const domainName = plainText
  .transform((text, context) => {
    const name = canonicalDomain(text);
    if (name !== undefined) return name;
    context.issues.push({ code: "custom", input: text, message: "expected a domain name" });
    return z.NEVER;
  })
  .meta({ type: "string", examples: ["example.com"], description: "A domain name" });

/** A domain name, or `*.` and a domain for all that is below it. */
export const domainPattern = plainText
  .transform((text, context) => {
    const below = text.startsWith("*.");
    const name = canonicalDomain(below ? text.slice(2) : text);
    if (name !== undefined) return below ? `*.${name}` : name;
    context.issues.push({
      code: "custom",
      input: text,
      message: "expected a domain name, or *. and a domain name",
    });
    return z.NEVER;
  })
  .meta({
    type: "string",
    examples: ["example.com", "*.example.com"],
    description: "A domain name; *.example.com is every domain below example.com",
  });

/** What a user authenticates as. */
export const userName = plainText
  .transform((text) => text.toLowerCase())
  .pipe(
    z.string().regex(/^[a-z0-9]([a-z0-9._+@-]{0,252}[a-z0-9])?$/, {
      error: "expected 1 to 254 of a-z, 0-9, '.', '_', '+', '-', '@'",
    }),
  )
  .meta({ type: "string", examples: ["alice@example.com"], description: "A user's name" });

/** A mailbox, `local-part@domain`, its domain in the DNS's form. */
export const mailbox = plainText
  .max(320)
  .transform((text, context) => {
    const at = text.lastIndexOf("@");
    const domain = canonicalDomain(text.slice(at + 1));
    const local = text.slice(0, at);
    if (at > 0 && at <= 64 && domain !== undefined && isLocalPart(local)) {
      return `${local}@${domain}`;
    }
    context.issues.push({ code: "custom", input: text, message: "expected a mail address" });
    return z.NEVER;
  })
  .meta({ type: "string", examples: ["someone@example.com"], description: "A mail address" });

/** A dot-string or a quoted string (RFC 5321 §4.1.2), non-ASCII letters allowed (RFC 6531). */
function isLocalPart(text: string): boolean {
  return /^[^\s"(),:;<>@[\]\\.]+(\.[^\s"(),:;<>@[\]\\.]+)*$/.test(text) ||
    /^"([^"\\\r\n]|\\[ -~])*"$/.test(text);
}

/** The address of a web server. */
export const webAddress = z.url({ protocol: /^https?$/ })
  .refine((text) => plainText.safeParse(text).success, {
    error: "expected a web address without NUL and lone surrogates",
  });

/** A host that can be connected to: a domain name, or an IPv4 or IPv6 address without brackets. */
export const host = z
  .union([z.ipv4(), z.ipv6(), domainName], { error: "expected a host name or an IP address" })
  .meta({ type: "string", examples: ["10.0.0.5"], description: "A host name or an IP address" });

/** A TCP port. */
export const port = z.int().min(1).max(65535);

/** A network in CIDR notation; a bare address means that one address. */
export const network = z
  .union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], {
    error: "expected a network like 10.0.0.0/8 or 2001:db8::/32",
  })
  .transform((text) => (text.includes("/") ? text : `${text}/${text.includes(":") ? 128 : 32}`))
  .meta({ type: "string", examples: ["10.0.0.0/8"], description: "A network in CIDR notation" });

/** A duration in whole seconds. */
export const seconds = z.int().min(1).max(366 * 24 * 3600);
