/**
 * What would happen to a mail, without sending it: plain JSON in, plain JSON out. The decisions are
 * those of real mail, made by the same function; what only a look-up can tell (a recipient list, a
 * callout) is answered by whoever asks, or shown as the open question that it is.
 */
import type { AuthenticationResult } from "@postern/config";
import { decide } from "./decide.ts";
import type { Decision } from "./decision.ts";
import type { AuthenticationMethod, ContentFacts, HeaderFact, RecipientFacts } from "./facts.ts";
import { parseAddress } from "./addresses.ts";
import { identifyClient, type Snapshot } from "./snapshot.ts";

/** The mail to be explained. */
export interface ExplainRequest {
  readonly client: {
    readonly address: string;
    readonly helo?: string | undefined;
    readonly tls?: boolean | undefined;
    /** SHA-256 of its certificate in hex. */
    readonly certificate?: string | undefined;
  };
  readonly user?: string | undefined;
  /** `""` for the null reverse-path. */
  readonly reversePath: string;
  /** Forward-paths without brackets; a source route may stand in front: `@a,@b:user@d`. */
  readonly recipients: readonly string[];
  /** Bytes of content. */
  readonly size?: number | undefined;
  readonly header?: readonly HeaderFact[] | undefined;
  readonly authentication?:
    | { readonly [method in AuthenticationMethod]?: AuthenticationResult | undefined }
    | undefined;
  /** At RCPT: the content is not known yet. Else a content without these fields is assumed. */
  readonly phase?: "recipient" | "content" | undefined;
}

/** What explaining needs besides: all that is no part of the mail. */
export interface ExplainSurroundings {
  readonly time: Date;
  readonly hostname: string;
  readonly known?: ReadonlyMap<string, boolean> | undefined;
  readonly reverseOf?: RecipientFacts["reverseOf"];
}

/** The decision for one recipient of an explained mail. */
export type ExplainedRecipient = Decision & { readonly recipient: string };

/** Explains a mail, recipient by recipient in their order. */
export function explain(
  snapshot: Snapshot,
  request: ExplainRequest,
  { time, hostname, known, reverseOf }: ExplainSurroundings,
): ExplainedRecipient[] {
  const { address, helo = "", tls = false, certificate } = request.client;
  const client = identifyClient(snapshot, { address, certificate });
  const session = { address, helo, tls, certificate, client, user: request.user };
  const byDomain = new Map<string, number>();
  let total = 0;
  return request.recipients.map((recipient) => {
    const { forwardPath, sourceRoute } = takeRoute(recipient);
    const domain = parseAddress(forwardPath)?.domain ?? "";
    const facts: RecipientFacts = {
      session,
      reversePath: request.reversePath,
      declaredSize: request.size,
      forwardPath,
      sourceRoute,
      content: request.phase === "recipient" ? undefined : contentOf(request),
      time,
      hostname,
      accepted: { total, ofDomain: byDomain.get(domain) ?? 0 },
      known,
      reverseOf,
    };
    // What is refused at RCPT never comes to be decided with its content.
    const early = decide(snapshot, { ...facts, content: undefined }, { explain: true });
    const isRefused = early.action === "reject" || early.action === "defer";
    const decision = isRefused || facts.content === undefined
      ? early
      : decide(snapshot, facts, { explain: true });
    if (decision.action === "deliver") {
      total += 1;
      byDomain.set(domain, (byDomain.get(domain) ?? 0) + 1);
    }
    return { recipient, ...decision };
  });
}

/** One recipient that two configurations decide differently about. */
export interface Difference {
  readonly recipient: string;
  readonly before: ExplainedRecipient;
  readonly after: ExplainedRecipient;
}

/**
 * What a candidate configuration would do otherwise with the same mail. Reasons and versions differ
 * always; compared is what becomes of the recipient.
 */
export function replay(
  inForce: Snapshot,
  candidate: Snapshot,
  request: ExplainRequest,
  surroundings: ExplainSurroundings,
): Difference[] {
  const after = explain(candidate, request, surroundings);
  return explain(inForce, request, surroundings).flatMap((before, index) => {
    const other = after[index]!;
    return outcomeOf(before) === outcomeOf(other)
      ? []
      : [{ recipient: before.recipient, before, after: other }];
  });
}

function outcomeOf(decision: ExplainedRecipient): string {
  const { reasons: _reasons, version: _version, rule: _rule, ...outcome } = decision;
  return JSON.stringify(outcome);
}

function takeRoute(path: string): { readonly forwardPath: string; readonly sourceRoute: string[] } {
  const route = /^(@[^:]*(?:\[[^\]]*\][^:]*)*):(.+)$/s.exec(path);
  if (route === null) return { forwardPath: path, sourceRoute: [] };
  const hosts = route[1]!.split(",").map((host) => host.trim().replace(/^@/, "").toLowerCase());
  return { forwardPath: route[2]!, sourceRoute: hosts };
}

function contentOf({ size = 0, header = [], authentication }: ExplainRequest): ContentFacts {
  const results: { [method in AuthenticationMethod]?: AuthenticationResult } = {};
  for (const method of ["spf", "dkim", "dmarc", "arc"] as const) {
    const result = authentication?.[method];
    if (result !== undefined) results[method] = result;
  }
  return { size, header, authentication: results };
}
