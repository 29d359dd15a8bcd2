/**
 * What the session offers at this moment: which extensions are usable in its present state, and how
 * they are announced in the reply to EHLO (RFC 5321 §4.1.1.1).
 *
 * This file must not know commands' handling.
 */
import type { AuthMechanism } from "./actions.ts";
import type { ResolvedOptions } from "./resolved-options.ts";

/** Everything that can be announced, as it is usable now. */
export interface Offer {
  readonly size: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly chunking: boolean;
  readonly binaryMime: boolean;
  readonly dsn: boolean;
  readonly requireTls: boolean;
  readonly deliverBy: false | { readonly minimumSeconds: number };
  readonly futureRelease: false | { readonly maximumSeconds: number; readonly latest: string };
  readonly mtPriority: false | { readonly profile: string; readonly highest?: number };
  readonly startTls: boolean;
  /** The mechanisms that may be used now; empty when there are none or AUTH is done. */
  readonly mechanisms: readonly AuthMechanism[];
  /** Whether the AUTH parameter of MAIL is known (RFC 4954 §5). */
  readonly authParameter: boolean;
  readonly etrn: boolean;
  readonly xclient: boolean;
  readonly xforward: boolean;
}

/** After HELO there are no extensions. */
export const nothingOffered: Offer = {
  size: false,
  eightBitMime: false,
  smtpUtf8: false,
  chunking: false,
  binaryMime: false,
  dsn: false,
  requireTls: false,
  deliverBy: false,
  futureRelease: false,
  mtPriority: false,
  startTls: false,
  mechanisms: [],
  authParameter: false,
  etrn: false,
  xclient: false,
  xforward: false,
};

/** Mechanisms that show the secret itself to whoever listens. */
export function showsSecret(mechanism: AuthMechanism): boolean {
  return !mechanism.startsWith("SCRAM-");
}

/** Works out what is usable now. */
export function offerOf(options: ResolvedOptions, authenticated: boolean): Offer {
  const { extensions, trust, auth } = options;
  const tlsActive = options.tls === "active";
  const bindings = options.tlsInformation.channelBindings ?? [];
  const configured = auth === undefined || (options.tlsRequired && !tlsActive)
    ? []
    : auth.mechanisms.filter((mechanism) =>
      (tlsActive || auth.inClear === true || !showsSecret(mechanism)) &&
      (mechanism !== "SCRAM-SHA-256-PLUS" || (tlsActive && bindings.length > 0))
    );
  return {
    size: extensions.size,
    eightBitMime: extensions.eightBitMime,
    smtpUtf8: extensions.smtpUtf8 && extensions.eightBitMime,
    chunking: extensions.chunking,
    binaryMime: extensions.binaryMime && extensions.chunking && extensions.eightBitMime,
    dsn: extensions.dsn,
    requireTls: extensions.requireTls && tlsActive,
    deliverBy: extensions.deliverBy,
    futureRelease: extensions.futureRelease,
    mtPriority: extensions.mtPriority,
    startTls: options.tls === "available",
    mechanisms: authenticated ? [] : configured,
    authParameter: authenticated || configured.length > 0 || trust.authParameter,
    etrn: trust.etrn,
    xclient: trust.xclient,
    xforward: trust.xforward,
  };
}

/** The lines of the reply to EHLO or LHLO, the hostname's line first. */
export function announce(options: ResolvedOptions, offer: Offer): string[] {
  const { limits } = options;
  const { deliverBy, futureRelease, mtPriority } = offer;
  const values = ([
    ["MAILMAX", limits.transactions],
    ["RCPTMAX", limits.recipients],
    ["RCPTDOMAINMAX", limits.recipientDomains],
  ] as const).filter(([, value]) => Number.isFinite(value)).map(([name, value]) =>
    `${name}=${value}`
  );
  const keywords: readonly (readonly [boolean, string])[] = [
    [options.extensions.pipelining, "PIPELINING"],
    [offer.size, `SIZE ${Number.isFinite(limits.messageSize) ? limits.messageSize : 0}`],
    [offer.eightBitMime, "8BITMIME"],
    [offer.smtpUtf8, "SMTPUTF8"],
    [true, "ENHANCEDSTATUSCODES"],
    [offer.chunking, "CHUNKING"],
    [offer.binaryMime, "BINARYMIME"],
    [offer.startTls, "STARTTLS"],
    [offer.mechanisms.length > 0, `AUTH ${offer.mechanisms.join(" ")}`],
    [offer.dsn, "DSN"],
    [offer.requireTls, "REQUIRETLS"],
    [deliverBy !== false, deliverBy ? withValue("DELIVERBY", deliverBy.minimumSeconds || "") : ""],
    [
      futureRelease !== false,
      futureRelease ? `FUTURERELEASE ${futureRelease.maximumSeconds} ${futureRelease.latest}` : "",
    ],
    [mtPriority !== false, mtPriority ? withValue("MT-PRIORITY", mtPriority.profile) : ""],
    [options.extensions.limits && values.length > 0, `LIMITS ${values.join(" ")}`],
    [offer.etrn, "ETRN"],
    [offer.xclient, "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"],
    [offer.xforward, "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE"],
    [true, "HELP"],
  ];
  return [
    options.hostname,
    ...keywords.filter(([offered]) => offered).map(([, keyword]) => keyword),
  ];
}

function withValue(keyword: string, value: string | number): string {
  return value === "" ? keyword : `${keyword} ${value}`;
}
