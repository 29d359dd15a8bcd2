/**
 * SPF, DKIM, DMARC and ARC of a message, checked while its content goes by: done only where a rule
 * asks for it. mailauth does the work; here is what goes in, in bounded memory, and what comes out:
 * results for rules, and an Authentication-Results field (RFC 8601).
 */
import { PassThrough } from "node:stream";
import { type AuthenticationResult, authenticationResult } from "@postern/config";
import { asNodeResolver, type Resolver } from "@postern/dns";
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
