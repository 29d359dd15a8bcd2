/**
 * SPF, DKIM, DMARC and ARC of a message, checked while its content goes by: done only where a rule
 * asks for it. mailauth does the work; here is what goes in, in bounded memory, and what comes out:
 * results for rules, and an Authentication-Results field (RFC 8601).
 */
import { PassThrough } from "node:stream";
import { type AuthenticationResult, authenticationResult } from "@postern/config";
import { asNodeResolver, type Resolver } from "@postern/dns";
import { concat, Header } from "@postern/message";
import type { AuthenticationMethod } from "@postern/routing";

/** What was found out. */
export interface AuthenticationFindings {
  readonly results: { readonly [method in AuthenticationMethod]: AuthenticationResult };
  /** The field that says so to those behind us. */
  readonly field: { readonly add: "Authentication-Results"; readonly value: string };
}

/** Whose message it is, as SPF asks. */
export interface AuthenticationSubject {
  readonly address: string;
  readonly helo: string;
  /** `""` for the null reverse-path. */
  readonly reversePath: string;
  /** Our name, the authserv-id. */
  readonly hostname: string;
  readonly resolver: Resolver;
}

/** Checks one message: hand its content in as it comes, unchanged, then ask for the end. */
export class AuthenticationCheck {
  readonly #hostname: string;
  readonly #stream = new PassThrough();
  readonly #findings: Promise<AuthenticationFindings>;
  readonly #abandoned = Promise.withResolvers<void>();
  #over = false;

  constructor({ address, helo, reversePath, hostname, resolver }: AuthenticationSubject) {
    this.#hostname = hostname;
    // Loaded when first needed: most gateways have no rule that asks.
    const found = import("mailauth").then(({ authenticate }) =>
      authenticate(this.#stream, {
        ip: address,
        helo,
        sender: reversePath,
        mta: hostname,
        resolver: asNodeResolver(resolver) as never,
        disableBimi: true,
        trustReceived: false,
      })
    ).then((one) => findings(one as unknown as Found));
    // mailauth waits for ever for a stream that was destroyed.
    const abandoned = this.#abandoned.promise.then(() => this.#undone());
    this.#findings = Promise.race([found, abandoned]).catch(() => this.#undone()).finally(() => {
      // Whether it read to the end or gave up: nobody waits for it to read on.
      this.#over = true;
      this.#stream.destroy();
    });
    this.#stream.on("error", () => {});
  }

  /** Takes content; a promise: wait before more comes, so that it does not pile up. */
  add(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#over || this.#stream.write(bytes.slice())) return undefined;
    return new Promise((resolve) => {
      const done = () => resolve();
      this.#stream.once("drain", done);
      this.#stream.once("close", done);
    });
  }

  /** The content is complete: what was found. What could not be checked is a temporary error. */
  end(): Promise<AuthenticationFindings> {
    if (!this.#over) this.#stream.end();
    return this.#findings;
  }

  /** Nobody wants to know any more. */
  abandon(): void {
    this.#over = true;
    this.#abandoned.resolve();
    this.#stream.destroy();
  }

  #undone(): AuthenticationFindings {
    const methods = ["spf", "dkim", "dmarc", "arc"] as const;
    return {
      results: { spf: "temperror", dkim: "temperror", dmarc: "temperror", arc: "temperror" },
      field: field(`${this.#hostname}; ${methods.map((one) => `${one}=temperror`).join("; ")}`),
    };
  }
}

/** What of mailauth's answer is used. */
interface Found {
  readonly spf?: Status | false;
  readonly dkim?: { readonly results?: readonly Status[] };
  readonly dmarc?: Status | false;
  readonly arc?: Status | false;
  readonly headers: string;
}

interface Status {
  readonly status?: { readonly result?: string };
}

function findings({ spf, dkim, dmarc, arc, headers }: Found): AuthenticationFindings {
  const signatures = (dkim?.results ?? []).map(resultOf);
  const value = /^Authentication-Results:((?:.*(?:\r?\n[ \t]+)?)*)/im.exec(headers)?.[1] ?? "";
  return {
    results: {
      spf: resultOf(spf),
      // One good signature is enough (RFC 6376 §6.1).
      dkim: signatures.find((result) => result === "pass") ?? signatures[0] ?? "none",
      dmarc: resultOf(dmarc),
      arc: resultOf(arc),
    },
    field: field(value.replace(/\s+/g, " ").trim()),
  };
}

function field(value: string): AuthenticationFindings["field"] {
  return { add: "Authentication-Results", value };
}

const RESULTS: ReadonlySet<string> = new Set(authenticationResult.options);

function resultOf(found: Status | false | undefined): AuthenticationResult {
  const result = (found || undefined)?.status?.result ?? "none";
  if (RESULTS.has(result)) return result as AuthenticationResult;
  return result === "temperr" ? "temperror" : "none";
}

/**
 * The front of a message, its whole header in it, without Authentication-Results fields that claim
 * to be ours: whoever reads behind us must be able to believe those (RFC 8601 §5).
 */
export function withoutOurResults(front: readonly Uint8Array[], hostname: string): Uint8Array {
  const bytes = concat(front);
  const header = new Header(bytes);
  const isForged = (name: string, value: string) =>
    name.toLowerCase() === "authentication-results" && claims(value, hostname);
  if (!header.fields.some(({ name, value }) => isForged(name, value))) return bytes;
  const kept = header.fields.flatMap(({ name, value, raw }) => isForged(name, value) ? [] : [raw]);
  return concat([...kept, bytes.subarray(header.octets.length)]);
}

/** Whether the field's authserv-id, behind comments, in quotes or not, is this name. */
function claims(value: string, hostname: string): boolean {
  const id = /^"((?:[^"\\]|\\.)*)"|^[^\s;(]+/.exec(withoutComments(value).trim());
  const name = id === null ? "" : (id[1]?.replace(/\\(.)/g, "$1") ?? id[0]);
  return name.toLowerCase() === hostname.toLowerCase();
}

/** Comments nest (RFC 5322 §3.2.2). One that never ends hides all that is behind it. */
function withoutComments(value: string): string {
  let depth = 0;
  let kept = "";
  for (let at = 0; at < value.length; at += 1) {
    const character = value[at]!;
    if (character === "\\") {
      if (depth === 0) kept += value.slice(at, at + 2);
      at += 1;
    } else if (character === "(") depth += 1;
    else if (character === ")" && depth > 0) depth -= 1;
    else if (depth === 0) kept += character;
  }
  return kept;
}
