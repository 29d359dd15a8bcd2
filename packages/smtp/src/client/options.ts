/**
 * What a client session can be told: its name, whether to use TLS, how to authenticate, its limits.
 *
 * This file must not know the session's states.
 */
import type { ReplyLimits } from "../reply-parser.ts";
import type { TimeoutName } from "./timeouts.ts";

/** How to authenticate (RFC 4954). The first mechanism of `mechanisms` that is offered is used. */
export type ClientCredentials =
  | {
    readonly kind: "password";
    readonly user: string;
    readonly password: string;
    /** Whom to act as, when it is not the user (RFC 4616). */
    readonly authorizationId?: string;
    /** A fresh random string for SCRAM: printable ASCII without comma, at least 18 characters. */
    readonly nonce: string;
    /** Default: all three, the strongest first. */
    readonly mechanisms?: readonly ("SCRAM-SHA-256" | "PLAIN" | "LOGIN")[];
  }
  | {
    readonly kind: "token";
    readonly user: string;
    /** The bearer token (RFC 6750), as it goes after `Bearer `. */
    readonly token: string;
    /** Default: OAUTHBEARER (RFC 7628), then XOAUTH2. */
    readonly mechanisms?: readonly ("OAUTHBEARER" | "XOAUTH2")[];
  };

/** What the session must know of TLS. */
export interface ClientTlsInformation {
  /** Whether the peer's certificate was checked and is good for its name; REQUIRETLS asks for it. */
  readonly verified?: boolean;
}

/** How a {@link ClientSession} is made. Only `ehloName` must be given. */
export interface ClientSessionOptions {
  /** Our name in EHLO, HELO or LHLO: a domain or an address literal. */
  readonly ehloName: string;
  /** `lmtp` says LHLO and reads a reply per recipient after the content (RFC 2033). Default `smtp`. */
  readonly flavour?: "smtp" | "lmtp";
  /**
   * STARTTLS: never (`none`, default), where offered (`may`; a refused STARTTLS goes on in clear, a
   * failed handshake ends the session with `tlsFailed`, so that the caller can retry with `none`),
   * where offered and then without a way back (`ifOffered`; a refused STARTTLS ends the session), or
   * `require`.
   */
  readonly tls?: "none" | "may" | "ifOffered" | "require";
  /** TLS runs from the first byte (implicit TLS); STARTTLS is then never said. */
  readonly tlsActive?: ClientTlsInformation;
  /** Authenticate before the first transaction. Default: no. */
  readonly credentials?: ClientCredentials;
  /** Use mechanisms that show the password or token without TLS, too. Default false. */
  readonly credentialsInClear?: boolean;
  /** Use PIPELINING where offered. Default true. */
  readonly pipelining?: boolean;
  /** Commands that may await their replies at once with PIPELINING. Default 100. */
  readonly pipelineDepth?: number;
  /** Use BDAT where offered even if the content does not need it. Default false. */
  readonly preferChunking?: boolean;
  /** Bytes gathered into one BDAT chunk before it is sent; a larger piece goes whole. Default 64 KiB. */
  readonly chunkSize?: number;
  /** Limits on the replies; beyond them the session fails with `malformedReply`. */
  readonly replyLimits?: Partial<ReplyLimits>;
  /** Seconds of each time-out, where not those of RFC 5321 §4.5.3.2. */
  readonly timeouts?: { readonly [name in TimeoutName]?: number };
}
