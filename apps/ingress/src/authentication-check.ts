/**
 * SPF, DKIM, DMARC and ARC of a message, checked while its content goes by: done only where a rule
 * asks for it. mailauth does the work; here is what goes in, in bounded memory, and what comes out:
 * results for rules, and an Authentication-Results field (RFC 8601).
 */
import { PassThrough } from "node:stream";
import { type AuthenticationResult, authenticationResult } from "@postern/config";
import { asNodeResolver, type Resolver } from "@postern/dns";
import type { Header } from "@postern/message";
import type { AuthenticationMethod } from "@postern/routing";
import { type DmarcFinding, strictest } from "./author-domains.ts";
import { CheckedBody, checkedHeader, type LeftOut } from "./checked-part.ts";

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

/** Checks one message: hand in its header, then its body as it comes, then ask for the end. */
export class AuthenticationCheck {
  readonly #hostname: string;
  readonly #stream = new PassThrough();
  readonly #findings: Promise<AuthenticationFindings>;
  readonly #abandoned = Promise.withResolvers<void>();
  readonly #body = new CheckedBody();
  #leftOut: LeftOut = { signatures: 0, arc: false, authors: false };
  #over = false;

  constructor({ address, helo, reversePath, hostname, resolver }: AuthenticationSubject) {
    this.#hostname = hostname;
    // Loaded when first needed: most gateways have no rule that asks.
    const found = import("mailauth").then(async ({ authenticate, dmarc }) => {
      const dns = asNodeResolver(resolver) as never;
      const one = await authenticate(this.#stream, {
        ip: address,
        helo,
        sender: reversePath,
        mta: hostname,
        resolver: dns,
        disableBimi: true,
        trustReceived: false,
      }) as unknown as Found;
      const check = (options: DmarcOptions) => dmarc({ ...options, resolver: dns } as never);
      return findings(one, await dmarcOf(one, this.#leftOut, check as never), this.#leftOut);
    });
    // mailauth waits for ever for a stream that was destroyed.
    const abandoned = this.#abandoned.promise.then(() => this.#undone());
    this.#findings = Promise.race([found, abandoned]).catch(() => this.#undone()).finally(() => {
      // Whether it read to the end or gave up: nobody waits for it to read on.
      this.#over = true;
      this.#stream.destroy();
    });
    this.#stream.on("error", () => {});
  }

  /** Takes the header, before anything else. */
  begin(header: Header): Promise<void> | undefined {
    const { octets, leftOut } = checkedHeader(header);
    this.#leftOut = leftOut;
    return this.#write(octets);
  }

  /** Takes a piece of the body; a promise: wait before more comes, so that it does not pile up. */
  add(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#over) return undefined;
    const checked = this.#body.take(bytes);
    return checked.length === 0 ? undefined : this.#write(checked.slice());
  }

  #write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#over || this.#stream.write(bytes)) return undefined;
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
  readonly spf?: (Status & { readonly domain?: string }) | false;
  readonly dkim?: {
    readonly headerFrom?: readonly string[];
    readonly fromFields?: number;
    readonly results?: readonly Signature[];
  };
  readonly dmarc?: (Status & { readonly info?: string }) | false;
  readonly arc?: Status | false;
  readonly headers: string;
}

interface Status {
  readonly status?: { readonly result?: string };
}

interface Signature extends Status {
  readonly id?: string;
  readonly signingDomain?: string;
}

/** What mailauth is asked about one author domain. */
interface DmarcOptions {
  readonly headerFrom: string;
  readonly spfDomains: readonly string[];
  readonly dkimDomains: readonly { readonly id?: string; readonly domain: string }[];
}

/** What DMARC says where mailauth says nothing: it does so unless there is one author domain. */
function dmarcOf(
  { spf, dkim, dmarc }: Found,
  leftOut: LeftOut,
  check: (options: DmarcOptions) => Promise<Found["dmarc"]>,
): Promise<DmarcFinding | undefined> {
  if (leftOut.authors) {
    return Promise.resolve({ result: "fail", info: "dmarc=fail (too many authors)" });
  }
  if (dmarc) return Promise.resolve(undefined);
  const spfDomains = spf && resultOf(spf) === "pass" && spf.domain ? [spf.domain] : [];
  const dkimDomains = (dkim?.results ?? []).flatMap((one) =>
    resultOf(one) === "pass" && one.signingDomain ? [{ ...one, domain: one.signingDomain }] : []
  );
  const authors = { fields: dkim?.fromFields ?? 0, addresses: dkim?.headerFrom ?? [] };
  return strictest(authors, async (headerFrom, vouchable) => {
    const one = await check({
      headerFrom,
      spfDomains: vouchable ? spfDomains : [],
      dkimDomains: vouchable ? dkimDomains : [],
    });
    return one ? { result: resultOf(one), info: one.info ?? "" } : undefined;
  });
}

function findings(
  { spf, dkim, dmarc, arc, headers }: Found,
  authors: DmarcFinding | undefined,
  leftOut: LeftOut,
): AuthenticationFindings {
  const signatures = (dkim?.results ?? []).map(resultOf);
  // One good signature is enough (RFC 6376 §6.1).
  const signed = signatures.find((result) => result === "pass") ?? signatures[0] ?? "none";
  const said = /^Authentication-Results:((?:.*(?:\r?\n[ \t]+)?)*)/im.exec(headers)?.[1] ?? "";
  // Of signatures that were not looked at it may not be said that there are none.
  const value = leftOut.signatures > 0
    ? said.replace(/dkim=none \(message not signed\);\s*/, "")
    : said;
  const more = [
    ...(leftOut.signatures > 0 ? [`dkim=policy (not looked at: ${leftOut.signatures})`] : []),
    ...(leftOut.arc ? ["arc=fail (too large)"] : []),
    ...(authors === undefined ? [] : [authors.info]),
  ];
  return {
    results: {
      spf: resultOf(spf),
      dkim: signed === "none" && leftOut.signatures > 0 ? "policy" : signed,
      dmarc: authors?.result ?? resultOf(dmarc),
      arc: leftOut.arc ? "fail" : resultOf(arc),
    },
    field: field([value, ...more].join("; ").replace(/\s+/g, " ").trim()),
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
