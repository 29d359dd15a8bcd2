/**
 * The parsed forms of reverse-paths and forward-paths (RFC 5321 §4.1.2, RFC 6531 §3.3). The parser
 * that makes them is in `path.ts`.
 *
 * This file must not know the wire form of commands.
 */

/** A domain of RFC 5321 §4.1.2, parsed: a name or an address literal. */
export type Domain =
  /**
   * A domain name. `name` is in lower case (and NFC) with U-labels as they were given; `ascii` is
   * the same name in A-labels, the form to look up in the DNS and to compare.
   */
  | { readonly kind: "name"; readonly name: string; readonly ascii: string }
  /** An IPv4 literal `[192.0.2.1]`; `name` and `ascii` are the literal with its brackets. */
  | {
    readonly kind: "ipv4";
    readonly name: string;
    readonly ascii: string;
    readonly address: string;
  }
  /** An IPv6 literal `[IPv6:2001:db8::1]`; `address` is in lower case as it was given. */
  | {
    readonly kind: "ipv6";
    readonly name: string;
    readonly ascii: string;
    readonly address: string;
  }
  /** A general literal `[tag:content]`. */
  | {
    readonly kind: "general";
    readonly name: string;
    readonly ascii: string;
    readonly tag: string;
    readonly content: string;
  };

/** The null reverse-path `<>` of reports (RFC 5321 §4.5.5). */
export interface NullPath {
  readonly kind: "null";
  readonly address: "";
  readonly sourceRoute: readonly string[];
}

/** `<postmaster>` without a domain, in any case of letters (RFC 5321 §4.5.1). */
export interface PostmasterPath {
  readonly kind: "postmaster";
  /** As it was given, for example `Postmaster`. */
  readonly localPart: string;
  /** Always `postmaster`. */
  readonly address: "postmaster";
  readonly sourceRoute: readonly string[];
}

/** A mailbox with its domain, perhaps with a source route in front. */
export interface MailboxPath {
  readonly kind: "mailbox";
  /** The local part as meant: without quotes and backslashes, case kept. */
  readonly localPart: string;
  readonly domain: Domain;
  /**
   * The canonical form `local-part@domain`: the local part quoted only where it must be, the domain
   * in lower case. No source route.
   */
  readonly address: string;
  /** The hosts of `<@a,@b:c@d>`, in order and in lower case, without `@`: `["a", "b"]`. */
  readonly sourceRoute: readonly string[];
  /** True when the local part or the domain holds non-ASCII characters (needs SMTPUTF8). */
  readonly internationalized: boolean;
}

/** What MAIL FROM takes. */
export type ReversePath = NullPath | MailboxPath;

/** What RCPT TO takes. */
export type ForwardPath = MailboxPath | PostmasterPath;
