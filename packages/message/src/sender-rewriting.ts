/**
 * The Sender Rewriting Scheme (SRS, M. Wong 2004): mail that is forwarded goes out with a
 * reverse-path of a domain of ours, so that SPF at the next hop sees us and not a stranger, and
 * reports come back here and are sent on.
 *
 *     SRS0=HASH=TT=example.org=user@ours         user@example.org sent it
 *     SRS1=HASH=first==HASH=TT=…@ours            it was rewritten before, by the host `first`
 *
 * The hash keeps strangers from having us send mail for them; TT is the day, so that an address is
 * good for three weeks. Both are read without regard to case, because mail hosts change it.
 *
 * This file must not know keys, clocks or which domains are ours.
 */

/** What rewriting needs. */
export interface SenderRewriting {
  /** The domain of rewritten addresses. */
  readonly domain: string;
  /** A keyed hash (HMAC-SHA-256, say) of this text: at least 5 bytes. */
  readonly sign: (text: string) => Uint8Array;
  /** The day, in whole days since 1970-01-01. */
  readonly day: number;
}

/** Where a report to a rewritten address belongs. */
export type ReversedSender =
  /** The address that was rewritten, `local-part@domain`. */
  | { readonly status: "reversed"; readonly address: string }
  /** Not a rewritten address of this domain. */
  | { readonly status: "notRewritten" }
  /** It looks like one but we never made it. */
  | { readonly status: "forged" }
  /** We made it, too long ago. */
  | { readonly status: "expired" };

const DAY_MILLISECONDS = 86_400_000;

/** The day that a rewritten address bears, in days since 1970. */
export function dayOf(time: Date): number {
  return Math.floor(time.getTime() / DAY_MILLISECONDS);
}

/** Days that a rewritten address is good for. */
const DAYS_GOOD = 21;

/** The day goes out as two digits of this alphabet (RFC 4648 §6), so it is known modulo 1024. */
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const DAY_CYCLE = DIGITS.length ** 2;

/** Characters of the hash: 40 bits. */
const HASH_LENGTH = 8;

/**
 * The reverse-path to send with in place of `address`. The null reverse-path, an address without a
 * domain and one of the rewriting domain itself stay as they are.
 */
export function rewriteSender(address: string, rewriting: SenderRewriting): string {
  const [quotedLocal, domain] = split(address);
  if (domain === "" || domain.toLowerCase() === rewriting.domain.toLowerCase()) return address;
  const local = unquoted(quotedLocal);
  const [, scheme, rest = ""] = /^SRS([01])[=+-](.*)$/is.exec(local) ?? [];
  if (scheme === "0" && /^[^=]+=[^=]+=[^=]+=./.test(rest)) {
    return srs1(domain, rest, rewriting);
  }
  const [, first, inner] = /^[^=]+=([^=]+)==(.*)$/s.exec(rest) ?? [];
  if (scheme === "1" && first !== undefined && inner !== undefined) {
    // As every implementation has it: the way back goes to the first rewriter directly, not hop by hop.
    return srs1(first, inner, rewriting);
  }
  const stamp = dayDigits(rewriting.day);
  const hash = hashOf(["0", stamp, domain, local], rewriting);
  return join(`SRS0=${hash}=${stamp}=${domain}=`, local, rewriting.domain);
}

/**
 * The address that `address` was rewritten from. A report to it is to be sent on to that address;
 * for one that is `forged` or `expired` the recipient is unknown (5.1.1).
 */
export function reverseOf(address: string, rewriting: SenderRewriting): ReversedSender {
  const [quotedLocal, domain] = split(address);
  if (domain.toLowerCase() !== rewriting.domain.toLowerCase()) return { status: "notRewritten" };
  const local = unquoted(quotedLocal);
  const [, hash0, stamp, from, user] = /^SRS0[=+-]([^=]+)=([^=]+)=([^=]+)=(.+)$/is.exec(local) ??
    [];
  if (user !== undefined) {
    if (!sameHash(hash0!, hashOf(["0", stamp!, from!, user], rewriting))) {
      return { status: "forged" };
    }
    if (!isFresh(stamp!, rewriting.day)) return { status: "expired" };
    return { status: "reversed", address: join("", user, from!) };
  }
  const [, hash1, first, inner] = /^SRS1[=+-]([^=]+)=([^=]+)==(.+)$/is.exec(local) ?? [];
  if (inner !== undefined) {
    if (!sameHash(hash1!, hashOf(["1", first!, inner], rewriting))) return { status: "forged" };
    return { status: "reversed", address: join("SRS0=", inner, first!) };
  }
  return /^SRS[01][=+-]/i.test(local) ? { status: "forged" } : { status: "notRewritten" };
}

/** Asks {@link reverseOf} for any domain of ours, at the time that it is then. */
export function senderReversal(
  sign: SenderRewriting["sign"],
  now: () => Date,
): (address: string, domain: string) => ReversedSender {
  return (address, domain) => reverseOf(address, { domain, sign, day: dayOf(now()) });
}

function srs1(first: string, inner: string, rewriting: SenderRewriting): string {
  const hash = hashOf(["1", first, inner], rewriting);
  return join(`SRS1=${hash}=${first}==`, inner, rewriting.domain);
}

function split(address: string): [local: string, domain: string] {
  const at = address.lastIndexOf("@");
  return at < 0 ? [address, ""] : [address.slice(0, at), address.slice(at + 1)];
}

/** An address whose local part is both of these, quoted where it must be (RFC 5321 §4.1.2). */
function join(prefix: string, local: string, domain: string): string {
  const whole = `${prefix}${local}`;
  // deno-lint-ignore no-control-regex
  const isDotString = /^[^\x00-\x20"(),:;<>@[\\\].\x7f]+(\.[^\x00-\x20"(),:;<>@[\\\].\x7f]+)*$/;
  if (isDotString.test(whole)) return `${whole}@${domain}`;
  return `"${whole.replace(/["\\]/g, "\\$&")}"@${domain}`;
}

function unquoted(local: string): string {
  if (!/^".*"$/s.test(local)) return local;
  return local.slice(1, -1).replace(/\\(.)/gs, "$1");
}

function hashOf(parts: readonly string[], { sign }: SenderRewriting): string {
  const bytes = sign(parts.map((part) => part.toLowerCase()).join("\0"));
  let hash = "";
  let bits = 0;
  let held = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5 && hash.length < HASH_LENGTH; bits -= 5) hash += digit(held >> (bits - 5));
    if (hash.length === HASH_LENGTH) return hash;
    held &= 0xff;
  }
  throw new RangeError("sign gave less than 5 bytes");
}

function digit(value: number): string {
  return DIGITS[value & 31]!;
}

/** Compares all characters whatever the first difference, so that time tells nothing. */
function sameHash(given: string, right: string): boolean {
  let difference = given.length ^ right.length;
  for (let at = 0; at < right.length; at++) {
    difference |= (given.toUpperCase().charCodeAt(at) || 0) ^ right.charCodeAt(at);
  }
  return difference === 0;
}

function dayDigits(day: number): string {
  const within = day % DAY_CYCLE;
  return digit(within >> 5) + digit(within);
}

function isFresh(stamp: string, today: number): boolean {
  if (!/^[A-Z2-7]{2}$/i.test(stamp)) return false;
  const [high, low] = [...stamp.toUpperCase()].map((one) => DIGITS.indexOf(one));
  const age = ((today % DAY_CYCLE) - (high! * 32 + low!) + DAY_CYCLE) % DAY_CYCLE;
  // A clock of another host of ours may be a little ahead: yesterday's tomorrow is good, too.
  return age <= DAYS_GOOD || age === DAY_CYCLE - 1;
}
