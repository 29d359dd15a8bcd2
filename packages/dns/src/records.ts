/**
 * What one may ask of a resolver and what it answers. Where a name has no records, has no such
 * name, or nobody could say, are three different facts: the first two end a delivery or choose
 * its host, the last only delays it.
 *
 * This file must not know packets, sockets or caches.
 */

/** The data of a record of each type that can be asked for. */
export interface RecordData {
  /** An IPv4 address. */
  readonly A: string;
  /** An IPv6 address. */
  readonly AAAA: string;
  readonly CNAME: string;
  /** `exchange` is `.` in a null MX (RFC 7505). */
  readonly MX: { readonly preference: number; readonly exchange: string };
  readonly NS: string;
  readonly PTR: string;
  readonly SRV: {
    readonly priority: number;
    readonly weight: number;
    readonly port: number;
    readonly target: string;
  };
  /** RFC 6698 §2.1. */
  readonly TLSA: {
    readonly usage: number;
    readonly selector: number;
    readonly matchingType: number;
    readonly certificate: Uint8Array;
  };
  /** The character strings of one record, as octets. */
  readonly TXT: readonly Uint8Array[];
}

/** A type that can be asked for. */
export type RecordType = keyof RecordData;

/** Why no server gave an answer. All of these may pass. */
export type FailureReason =
  /** No server answered in time. */
  | "timeout"
  /** The servers could not find out: SERVFAIL; DNSSEC failures are this too. */
  | "serverFailure"
  /** The servers will not answer us (REFUSED, NOTIMP and other codes). */
  | "refused"
  /** No server could be reached: its host or network said so. */
  | "unreachable"
  /** What came was no proper response. */
  | "malformed"
  /** Aliases that lead round in a circle or through too many names. */
  | "aliasLoop";

/** The outcome of a query. */
export type QueryResult<T extends RecordType> =
  | {
    readonly status: "answer";
    /** At least one. */
    readonly records: readonly RecordData[T][];
    /** For how many seconds more it holds, aliases included. */
    readonly ttl: number;
    /** A validating server that is trusted says that DNSSEC proves it (the AD bit, RFC 4035). */
    readonly authenticated: boolean;
    /** The name at the end of the aliases, if there were any: where the records are. */
    readonly canonicalName: string;
  }
  /** The name exists (or its alias does) but has no record of this type. */
  | { readonly status: "noData"; readonly ttl: number; readonly authenticated: boolean }
  /** There is no such name, or the text is no name that could be. */
  | { readonly status: "noName"; readonly ttl: number; readonly authenticated: boolean }
  /** Nobody could say; `detail` names the server and what it did. */
  | { readonly status: "failure"; readonly reason: FailureReason; readonly detail: string };

/** Asks the domain name system. It never throws for what DNS does or says. */
export interface Resolver {
  query<T extends RecordType>(name: string, type: T): Promise<QueryResult<T>>;
}
