/**
 * A cache of answers, positive and negative (RFC 2308), bounded in number: the answer used
 * longest ago goes first.
 *
 * This file must not know how answers are had.
 */

import type { QueryResult, RecordType } from "./records.ts";

/** A result that may be kept: failures are not. */
type Kept = Exclude<QueryResult<RecordType>, { readonly status: "failure" }>;

interface Entry {
  readonly result: Kept;
  /** In milliseconds of the clock handed in. */
  readonly expires: number;
}

/** Keeps results for their TTL. */
export class AnswerCache {
  readonly #entries = new Map<string, Entry>();
  readonly #maxEntries: number;
  readonly #now: () => number;

  /** `now` gives milliseconds. */
  constructor(maxEntries: number, now: () => number) {
    this.#maxEntries = maxEntries;
    this.#now = now;
  }

  /** The result with what is left of its TTL, unless it has expired. */
  get(key: string): Kept | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    const left = entry.expires - this.#now();
    this.#entries.delete(key);
    if (left <= 0) return undefined;
    // Inserted again it is the youngest: a Map keeps the order of insertion.
    this.#entries.set(key, entry);
    return { ...entry.result, ttl: Math.ceil(left / 1000) };
  }

  set(key: string, result: Kept): void {
    this.#entries.delete(key);
    if (result.ttl <= 0 || this.#maxEntries <= 0) return;
    this.#entries.set(key, { result, expires: this.#now() + result.ttl * 1000 });
    if (this.#entries.size <= this.#maxEntries) return;
    const oldest = this.#entries.keys().next();
    if (!oldest.done) this.#entries.delete(oldest.value);
  }
}
