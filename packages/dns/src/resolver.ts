/**
 * A stub resolver (RFC 1034 §5.3.1): asks the configured recursive servers, remembers what they
 * said for as long as it holds, and keeps "there is none" and "nobody knows" apart, which the
 * runtime's own resolvers do not.
 *
 * This file must not know mail.
 */

import { isIP } from "node:net";
import { AnswerCache } from "./cache.ts";
import { exchange } from "./exchange.ts";
import type { Exchanged } from "./exchange.ts";
import { localAddresses, readHosts } from "./hosts-file.ts";
import type { Hosts } from "./hosts-file.ts";
import { canonicalName } from "./names.ts";
import type { FailureReason, QueryResult, RecordType, Resolver } from "./records.ts";
import { readResolvConf } from "./resolv-conf.ts";
import type { DnsServer } from "./resolv-conf.ts";
import type { Question, Response } from "./wire.ts";

/** How a resolver is made; everything has a default. */
export interface ResolverOptions {
  /** Recursive servers in order of preference (default: those of /etc/resolv.conf). */
  readonly servers?: readonly {
    readonly address: string;
    readonly port?: number;
    /** Whether its AD bit is believed (default: yes, since someone chose it). */
    readonly trusted?: boolean;
  }[];
  /** How long one try at one server may take, in milliseconds (default: as resolv.conf, 5000). */
  readonly timeoutMs?: number;
  /** How often all servers are tried when none answers (default: as resolv.conf, 2). */
  readonly attempts?: number;
  /** The most answers remembered (default 10,000); 0 turns the cache off. */
  readonly maxCached?: number;
  /** The most queries under way at once (default 256); others wait for their turn. */
  readonly maxConcurrent?: number;
  /** The hosts file (default: /etc/hosts, read once). */
  readonly hosts?: Hosts;
  /** Milliseconds since any fixed moment (default: the time). */
  readonly now?: () => number;
  /** A query id, 0 to 65535, that outsiders cannot predict (default: of the system's randomness). */
  readonly randomId?: () => number;
}

/** A server that did not answer is tried after the others for this long. */
const SHUN_MS = 30_000;
const MAX_ALIAS_QUERIES = 8;

type Settled = Extract<Response, { kind: "answer" | "noData" | "noName" | "alias" }>;
type Failure = Extract<QueryResult<RecordType>, { status: "failure" }>;

/** Makes a resolver. It holds no socket open between queries, so there is nothing to close. */
export function createResolver(options: ResolverOptions = {}): Resolver {
  return new StubResolver(options);
}

class StubResolver implements Resolver {
  readonly #servers: readonly DnsServer[];
  readonly #timeoutMs: number;
  readonly #attempts: number;
  readonly #hosts: Hosts;
  readonly #now: () => number;
  readonly #randomId: () => number;
  readonly #cache: AnswerCache;
  readonly #underWay = new Map<string, Promise<QueryResult<RecordType>>>();
  readonly #shunned = new Map<DnsServer, number>();
  readonly #waiting: (() => void)[] = [];
  #free: number;

  constructor(options: ResolverOptions) {
    const needsConf = options.servers === undefined || options.timeoutMs === undefined ||
      options.attempts === undefined;
    const conf = needsConf ? readResolvConf() : undefined;
    this.#servers = options.servers?.map((server) => ({
      address: server.address,
      port: server.port ?? 53,
      trusted: server.trusted ?? true,
    })) ?? conf!.servers;
    this.#timeoutMs = options.timeoutMs ?? conf!.timeoutMs;
    this.#attempts = options.attempts ?? conf!.attempts;
    this.#hosts = options.hosts ?? readHosts();
    this.#now = options.now ?? (() => performance.now());
    this.#randomId = options.randomId ?? systemRandomId;
    this.#cache = new AnswerCache(options.maxCached ?? 10_000, this.#now);
    this.#free = options.maxConcurrent ?? 256;
  }

  async query<T extends RecordType>(name: string, type: T): Promise<QueryResult<T>> {
    const canonical = canonicalName(name);
    if (canonical === undefined) return { status: "noName", ttl: 0, authenticated: false };
    const local = localAddresses(this.#hosts, canonical);
    if (local !== undefined) return fromHosts(local, type, canonical) as QueryResult<T>;
    const key = `${type} ${canonical}`;
    const cached = this.#cache.get(key);
    if (cached !== undefined) return cached as QueryResult<T>;
    let result = this.#underWay.get(key);
    if (result === undefined) {
      result = this.#resolve({ name: canonical, type }).finally(() => this.#underWay.delete(key));
      this.#underWay.set(key, result);
    }
    return await result as QueryResult<T>;
  }

  async #resolve(question: Question): Promise<QueryResult<RecordType>> {
    await this.#takeTurn();
    try {
      const result = await this.#followAliases(question);
      if (result.status !== "failure") this.#cache.set(`${question.type} ${question.name}`, result);
      return result;
    } finally {
      this.#giveTurn();
    }
  }

  /** Servers follow aliases themselves; what they leave open is asked for here. */
  async #followAliases(question: Question): Promise<QueryResult<RecordType>> {
    let name = question.name;
    let ttl = Infinity;
    let authenticated = true;
    for (let queries = 0; queries < MAX_ALIAS_QUERIES; queries++) {
      const response = await this.#ask({ name, type: question.type });
      if ("status" in response) return response;
      ttl = Math.min(ttl, response.ttl);
      authenticated &&= response.authenticated;
      if (response.kind === "answer") {
        const { records, name: canonicalName } = response;
        return { status: "answer", records, ttl, authenticated, canonicalName };
      }
      if (response.kind !== "alias") return { status: response.kind, ttl, authenticated };
      name = response.target;
    }
    return {
      status: "failure",
      reason: "aliasLoop",
      detail: `too many aliases from ${question.name}`,
    };
  }

  /** Asks one server after the other until one settles the question. */
  async #ask(question: Question): Promise<Settled | Failure> {
    let failure: Failure = { status: "failure", reason: "unreachable", detail: "no servers" };
    for (let attempt = 0; attempt < this.#attempts; attempt++) {
      let silent = false;
      for (const server of this.#inOrder()) {
        const result = await exchange(server, question, this.#timeoutMs, this.#randomId);
        if (result.kind === "timeout" || result.kind === "unreachable") {
          this.#shunned.set(server, this.#now() + SHUN_MS);
          silent = true;
        } else this.#shunned.delete(server);
        if (isSettled(result)) {
          return { ...result, authenticated: result.authenticated && server.trusted };
        }
        failure = failureOf(result, server);
      }
      // Servers that answered, if only to say that they cannot, need not be asked again at once.
      if (!silent) break;
    }
    return failure;
  }

  #inOrder(): DnsServer[] {
    const now = this.#now();
    const shunned = (server: DnsServer) => (this.#shunned.get(server) ?? -Infinity) > now;
    return [
      ...this.#servers.filter((server) => !shunned(server)),
      ...this.#servers.filter(shunned),
    ];
  }

  async #takeTurn(): Promise<void> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  #giveTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function isSettled(result: Exchanged): result is Settled {
  return result.kind === "answer" || result.kind === "noData" || result.kind === "noName" ||
    result.kind === "alias";
}

function failureOf(result: Exclude<Exchanged, Settled>, server: DnsServer): Failure {
  const where = `${server.address}#${server.port}`;
  const failure = (reason: FailureReason, what: string): Failure => ({
    status: "failure",
    reason,
    detail: `${where}: ${what}`,
  });
  switch (result.kind) {
    case "timeout":
      return failure("timeout", "no answer in time");
    case "unreachable":
      return failure("unreachable", result.detail);
    case "error":
      return failure(result.rcode === "SERVFAIL" ? "serverFailure" : "refused", result.rcode);
    case "lame":
      return failure("refused", "no recursion");
    case "aliasLoop":
      return failure("aliasLoop", "aliases in a circle");
    case "truncated":
    case "malformed":
      return failure("malformed", "no proper response");
  }
}

/** What the hosts file says of a name: addresses, and that it has nothing else. */
function fromHosts(
  addresses: readonly string[],
  type: RecordType,
  canonicalName: string,
): QueryResult<"A" | "AAAA"> {
  const version = type === "A" ? 4 : type === "AAAA" ? 6 : NaN;
  const records = addresses.filter((address) => isIP(address) === version);
  const fixed = { ttl: 3600, authenticated: false };
  if (records.length === 0) return { status: "noData", ...fixed };
  return { status: "answer", records, canonicalName, ...fixed };
}

function systemRandomId(): number {
  return crypto.getRandomValues(new Uint16Array(1))[0]!;
}
