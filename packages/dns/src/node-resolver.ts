/**
 * A resolver in the shape of node:dns/promises `resolve`, for libraries that take one, such as
 * mailauth: results in Node's shapes, failures thrown with Node's codes. What DNS could not tell
 * is ESERVFAIL or ETIMEOUT here, never "not found".
 *
 * This file must not know servers or packets.
 */

import { Buffer } from "node:buffer";
import type { RecordData, RecordType, Resolver } from "./records.ts";

/** A failed lookup as node:dns throws it. */
export interface NodeDnsError extends Error {
  readonly code: "ENOTFOUND" | "ENODATA" | "ESERVFAIL" | "ETIMEOUT" | "ENOTIMP";
  readonly syscall: string;
  readonly hostname: string;
}

/** Each type's data in Node's shape. */
const SHAPES: { readonly [T in RecordType]: (data: RecordData[T]) => unknown } = {
  A: (address) => address,
  AAAA: (address) => address,
  CNAME: (name) => name,
  // Node writes the root, and so a null MX, as the empty name.
  MX: ({ preference, exchange }) => ({
    exchange: exchange === "." ? "" : exchange,
    priority: preference,
  }),
  NS: (name) => name,
  PTR: (name) => name,
  SRV: ({ target, port, priority, weight }) => ({ name: target, port, priority, weight }),
  TLSA: ({ usage, selector, matchingType, certificate }) => ({
    certUsage: usage,
    selector,
    match: matchingType,
    data: Uint8Array.from(certificate).buffer,
  }),
  TXT: (strings) => strings.map((octets) => Buffer.from(octets).toString("latin1")),
};

/** Makes the function `(name, rrtype = "A") => Promise<records>` of node:dns/promises. */
export function asNodeResolver(
  resolver: Resolver,
): (name: string, rrtype?: string) => Promise<unknown[]> {
  return async (name, rrtype = "A") => {
    const type = rrtype.toUpperCase();
    if (!isRecordType(type)) throw nodeError("ENOTIMP", name, type);
    return await resolveAs(resolver, name, type);
  };
}

async function resolveAs<T extends RecordType>(
  resolver: Resolver,
  name: string,
  type: T,
): Promise<unknown[]> {
  const result = await resolver.query(name, type);
  switch (result.status) {
    case "answer":
      return result.records.map(SHAPES[type]);
    case "noData":
      throw nodeError("ENODATA", name, type);
    case "noName":
      throw nodeError("ENOTFOUND", name, type);
    case "failure":
      throw nodeError(result.reason === "timeout" ? "ETIMEOUT" : "ESERVFAIL", name, type);
  }
}

function isRecordType(type: string): type is RecordType {
  return Object.hasOwn(SHAPES, type);
}

function nodeError(code: NodeDnsError["code"], hostname: string, type: string): NodeDnsError {
  const syscall = `query${type[0] ?? ""}${type.slice(1).toLowerCase()}`;
  return Object.assign(new Error(`${syscall} ${code} ${hostname}`), { code, syscall, hostname });
}
