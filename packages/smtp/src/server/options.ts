/**
 * What a server session can be told: its name, what it offers, whom it trusts, and its limits.
 *
 * This file must not know the session's states.
 */
import type { AuthMechanism } from "./actions.ts";

/** The limits of a session. Sizes are bytes. `Infinity` lifts a limit. */
export interface ServerLimits {
  /** A command line with its line end. RFC 5321 §4.5.3.1.4 asks for 512, the extensions add to it. */
  readonly commandLine: number;
  /** A line of an AUTH exchange (RFC 4954 §4.2 asks for 12,288). */
  readonly authLine: number;
  /** A local part (RFC 5321 §4.5.3.1.1 asks for 64). */
  readonly localPart: number;
  /** A path with its brackets (RFC 5321 §4.5.3.1.3 asks for 256). */
  readonly path: number;
  /** A line of content without its CRLF (RFC 5321 §4.5.3.1.6 asks for 998). */
  readonly contentLine: number;
  /** Content of one message; announced with SIZE. */
  readonly messageSize: number;
  /** Accepted recipients of one transaction (RFC 5321 §4.5.3.1.8 asks for at least 100). */
  readonly recipients: number;
  /** Different domains among the recipients of one transaction (RFC 9422 RCPTDOMAINMAX). */
  readonly recipientDomains: number;
  /** MAIL commands of one session (RFC 9422 MAILMAX). */
  readonly transactions: number;
  /** Commands of one session. */
  readonly commands: number;
  /** 5yz answers of one session; the next command then gets 421. */
  readonly errors: number;
  /** The message's header, all fields together. */
  readonly headerSize: number;
  /** Fields of the header. */
  readonly headerFields: number;
  /** Received fields: more means a mail loop (RFC 5321 §6.3 asks for at least 100). */
  readonly receivedFields: number;
  /** Input that waits behind an open question before `wantsInput` turns false. */
  readonly pendingInput: number;
}

/** The limits used where the options name none. */
export const defaultServerLimits: ServerLimits = {
  commandLine: 2048,
  authLine: 12_290,
  localPart: 64,
  path: 256,
  contentLine: 998,
  messageSize: 52_428_800,
  recipients: 1000,
  recipientDomains: Infinity,
  transactions: 10_000,
  commands: 1_000_000,
  errors: 20,
  headerSize: 1_048_576,
  headerFields: 2000,
  receivedFields: 100,
  pendingInput: 65_536,
};

/** Extensions the session may announce. Those that need more (TLS, trust) wait until it is there. */
export interface ServerExtensions {
  readonly pipelining: boolean;
  readonly size: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  /** Announced only together with `chunking` (RFC 3030). */
  readonly binaryMime: boolean;
  readonly dsn: boolean;
  /** Announced only under TLS (RFC 8689). */
  readonly requireTls: boolean;
  /** RFC 2852; `minimumSeconds` of 0 announces no minimum. `false`: not offered. */
  readonly deliverBy: false | { readonly minimumSeconds: number };
  /**
   * RFC 4865: the longest hold in seconds and the latest time, RFC 3339 in UTC; the session has no
   * clock, so the adapter works the second out. `false`: not offered.
   */
  readonly futureRelease: false | { readonly maximumSeconds: number; readonly latest: string };
  /**
   * RFC 6710; `profile` of `""` announces none. What is above `highest` (default 9) is lowered to it.
   * `false`: not offered.
   */
  readonly mtPriority: false | { readonly profile: string; readonly highest?: number };
  /** RFC 9422, announced with what of the limits is finite. */
  readonly limits: boolean;
}

/** The extensions used where the options name none. */
export const defaultServerExtensions: ServerExtensions = {
  pipelining: true,
  size: true,
  eightBitMime: true,
  smtpUtf8: true,
  chunking: true,
  binaryMime: true,
  dsn: true,
  requireTls: true,
  deliverBy: { minimumSeconds: 0 },
  futureRelease: false,
  mtPriority: { profile: "" },
  limits: true,
};

/** What this client may do beyond sending mail. All false by default. */
export interface ServerTrust {
  /** VRFY is asked of the adapter; others get 252. */
  readonly vrfy: boolean;
  /** EXPN is asked of the adapter; others get 502. */
  readonly expn: boolean;
  readonly etrn: boolean;
  readonly xclient: boolean;
  readonly xforward: boolean;
  /** The AUTH parameter of MAIL is believed (RFC 4954 §5); else it is kept as `<>`. */
  readonly authParameter: boolean;
}

/** How AUTH is offered. */
export interface ServerAuth {
  /** In the order in which they are announced. PLUS is announced only when a binding can be had. */
  readonly mechanisms: readonly AuthMechanism[];
  /** Offer mechanisms that show the password or token without TLS, too. Default false. */
  readonly inClear?: boolean;
}

/** What the session must know of TLS: the channel bindings of RFC 5929 and RFC 9266. */
export interface TlsInformation {
  readonly channelBindings?: readonly {
    readonly type: "tls-exporter" | "tls-server-end-point";
    readonly data: Uint8Array;
  }[];
}

/** How a {@link ServerSession} is made. Only `hostname` must be given. */
export interface ServerSessionOptions {
  /** Our name in the greeting and in the reply to EHLO. */
  readonly hostname: string;
  /** All names that mean this host at the front of a source route. Default: `[hostname]`. */
  readonly localNames?: readonly string[];
  /** The greeting's text after the hostname and `ESMTP` or `LMTP`. Default: nothing. */
  readonly banner?: string;
  /** `submission` requires AUTH (RFC 6409 §4.3), `lmtp` takes LHLO (RFC 2033). Default: `smtp`. */
  readonly flavour?: "smtp" | "submission" | "lmtp";
  /** Whether STARTTLS can be offered, or TLS runs from the first byte. Default: `unavailable`. */
  readonly tls?: "unavailable" | "available" | "active";
  /** With `tls: "active"`, what is known of the TLS session. */
  readonly tlsInformation?: TlsInformation;
  /** Answer 530 5.7.0 to MAIL and AUTH before TLS. Default false. */
  readonly tlsRequired?: boolean;
  /** Answer 530 5.7.0 to MAIL before AUTH. Default: true for `submission`, else false. */
  readonly authRequired?: boolean;
  /** Default: AUTH is not offered. */
  readonly auth?: ServerAuth;
  readonly extensions?: Partial<ServerExtensions>;
  readonly trust?: Partial<ServerTrust>;
  readonly limits?: Partial<ServerLimits>;
  /**
   * What becomes of bare CR, bare LF and NUL, in commands and in content: refused with 5.5.2
   * (default), or made into CRLF (NUL removed). They never end the data either way.
   */
  readonly lineEnds?: "refuse" | "normalise";
  /**
   * Source routes: deliver to the final mailbox (`strip`, default, RFC 5321 appendix C); go by the
   * route (`honour`, RFC 821 §3.6); or `refuse`.
   */
  readonly sourceRoutes?: "strip" | "honour" | "refuse";
  /**
   * What becomes of input behind a command that must end its group (RFC 2920 §3.1: EHLO, DATA, NOOP
   * and so on, and every command where PIPELINING was not offered): read in its turn (`lenient`,
   * default, as RFC 2920 §3.2 asks), or answered 554 5.5.0 and closed (`strict`). Nothing may follow
   * STARTTLS either way.
   */
  readonly pipelining?: "lenient" | "strict";
  /** Ask for a PROXY protocol preamble, version 1 or 2, before anything else. Default false. */
  readonly proxy?: boolean;
  /** From so many errors on, each error's reply waits so many seconds. Default: after 10, 1 s. */
  readonly tarpit?: { readonly afterErrors: number; readonly seconds: number };
}
