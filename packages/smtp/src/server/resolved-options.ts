/**
 * The options of a session with every default filled in.
 *
 * This file must not know the session's states.
 */
import {
  defaultServerExtensions,
  defaultServerLimits,
  type ServerAuth,
  type ServerExtensions,
  type ServerLimits,
  type ServerSessionOptions,
  type ServerTrust,
  type TlsInformation,
} from "./options.ts";

/** {@link ServerSessionOptions} without gaps. */
export interface ResolvedOptions {
  readonly hostname: string;
  readonly localNames: readonly string[];
  readonly banner: string;
  readonly flavour: "smtp" | "submission" | "lmtp";
  readonly tls: "unavailable" | "available" | "active";
  readonly tlsInformation: TlsInformation;
  readonly tlsRequired: boolean;
  readonly authRequired: boolean;
  readonly auth: ServerAuth | undefined;
  readonly extensions: ServerExtensions;
  readonly trust: ServerTrust;
  readonly limits: ServerLimits;
  readonly lineEnds: "refuse" | "normalise";
  readonly sourceRoutes: "strip" | "honour" | "refuse";
  readonly pipelining: "lenient" | "strict";
  readonly proxy: boolean;
  readonly tarpit: { readonly afterErrors: number; readonly seconds: number };
}

const noTrust: ServerTrust = {
  vrfy: false,
  expn: false,
  etrn: false,
  xclient: false,
  xforward: false,
  authParameter: false,
};

/** What was resolved already: sessions that are given the same options share what comes of them. */
const resolved = new WeakMap<ServerSessionOptions, ResolvedOptions>();
const changed = new WeakMap<ResolvedOptions, WeakMap<object, ResolvedOptions>>();

/** Fills in the defaults. The options must not be changed any more. */
export function resolveOptions(options: ServerSessionOptions): ResolvedOptions {
  let known = resolved.get(options);
  if (known === undefined) resolved.set(options, known = resolve(options));
  return known;
}

function resolve(options: ServerSessionOptions): ResolvedOptions {
  const flavour = options.flavour ?? "smtp";
  return {
    hostname: options.hostname,
    localNames: (options.localNames ?? [options.hostname]).map((name) => name.toLowerCase()),
    banner: options.banner ?? "",
    flavour,
    tls: options.tls ?? "unavailable",
    tlsInformation: options.tlsInformation ?? {},
    tlsRequired: options.tlsRequired ?? false,
    authRequired: options.authRequired ?? flavour === "submission",
    auth: options.auth,
    extensions: over(defaultServerExtensions, options.extensions),
    trust: over(noTrust, options.trust),
    limits: over(defaultServerLimits, options.limits),
    lineEnds: options.lineEnds ?? "refuse",
    sourceRoutes: options.sourceRoutes ?? "strip",
    pipelining: options.pipelining ?? "lenient",
    proxy: options.proxy ?? false,
    tarpit: options.tarpit ?? { afterErrors: 10, seconds: 1 },
  };
}

/** The defaults themselves where nothing is laid over them: sessions share them. */
function over<T extends object>(defaults: T, given: Partial<T> | undefined): T {
  return given === undefined ? defaults : { ...defaults, ...given };
}

/**
 * Lays changes over resolved options; what is in a group (trust, limits…) changes one by one. Neither
 * may be changed any more.
 */
export function changeOptions(
  options: ResolvedOptions,
  changes: Partial<ServerSessionOptions>,
): ResolvedOptions {
  let outcomes = changed.get(options);
  if (outcomes === undefined) changed.set(options, outcomes = new WeakMap());
  let known = outcomes.get(changes);
  if (known === undefined) {
    known = change(options, changes);
    outcomes.set(changes, known);
    // The same laid over once more changes nothing.
    changed.set(known, new WeakMap([[changes, known]]));
  }
  return known;
}

function change(options: ResolvedOptions, changes: Partial<ServerSessionOptions>): ResolvedOptions {
  const { extensions, trust, limits, localNames, ...rest } = changes;
  const given = Object.fromEntries(
    Object.entries(rest).filter(([, value]) => value !== undefined),
  ) as Partial<ResolvedOptions>;
  return {
    ...options,
    ...given,
    localNames: localNames?.map((name) => name.toLowerCase()) ?? options.localNames,
    extensions: { ...options.extensions, ...extensions },
    trust: { ...options.trust, ...trust },
    limits: { ...options.limits, ...limits },
  };
}
