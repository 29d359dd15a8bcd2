/**
 * `POST /v1/config/replay`: a candidate configuration over the envelopes of real messages. Read and
 * decided in batches, so that a hundred thousand messages cost no more memory than a hundred.
 */
import { replayDescriptions } from "@postern/api";
import {
  type Change,
  changed,
  changesBetween,
  type Condition,
  type Configuration,
  definitionsOf,
  type Resource,
  resourceKinds,
} from "@postern/config";
import { decodeEncodedWords, HeaderReader } from "@postern/message";
import { compile, type ExplainedRecipient, type ExplainRequest, replay } from "@postern/routing";
import type { AuditLog, ConfigurationStore, StoredEnvelope } from "@postern/store";
import type { z } from "zod";
import { requireScope } from "./authentication.ts";
import { type Decider, listAnswers } from "./explain.ts";
import { readDocument } from "./input.ts";
import type { Operation } from "./operation.ts";
import { actorOf } from "./principal.ts";
import { type FieldError, fieldErrors, Problem, wording } from "./problem.ts";
import { inDocument, refusal } from "./refusals.ts";
import type { QueueStore } from "./stores.ts";

type ReplayRequest = z.output<typeof replayDescriptions.replay.body>;

/** The operation. */
export function replayOperations(
  { configuration, queue, audit, ...decider }: Decider & {
    readonly configuration: ConfigurationStore;
    readonly queue: Pick<QueueStore, "envelopes">;
    readonly audit: Pick<AuditLog, "record">;
  },
): Operation[] {
  /** The configuration in force and the candidate; a problem where it may not come into force. */
  const candidateOf = async (request: ReplayRequest, author: string) => {
    let inForce: Configuration | undefined;
    let changes: readonly Change[] = [];
    const outcome = await configuration.apply(
      (current) => {
        inForce = current;
        changes = request.configuration === undefined
          ? definitionsIn(request.changes ?? [])
          : changesBetween(current, definitionsOf(request.configuration));
        return changes;
      },
      { author, note: "replay" },
      { dryRun: true },
    );
    if (outcome.status !== "applied") {
      throw refusal(outcome, (kind, name, pointer) => {
        if (request.configuration) return `/configuration${inDocument(kind, name, pointer)}`;
        const index = changes.findIndex((change) => change.kind === kind && change.name === name);
        return index < 0 ? undefined : `/changes/${index}/body${pointer}`;
      });
    }
    return { inForce: inForce!, candidate: changed(inForce!, changes) };
  };

  return [{
    ...replayDescriptions.replay,
    audited: "config.replay",
    serve: async (context) => {
      const parsed = replayDescriptions.replay.body
        .safeParse(await readDocument(context), { error: wording });
      if (!parsed.success) throw invalid(fieldErrors(parsed.error));
      const request = parsed.data;
      const both = await candidateOf(request, actorOf(context).actor);
      const withContent = [both.inForce, both.candidate].some(looksAtHeaders);
      // What matches tells what is in the field.
      if (withContent) await requireScope(context, "content:read", audit, HEADERS_NEED_IT);
      const inForce = compile(both.inForce);
      const candidate = compile(both.candidate);
      const counts = { messages: 0, recipients: 0, differing: 0 };
      const differences: object[] = [];
      for await (const batch of queue.envelopes({ count: request.messages, withContent })) {
        for (const envelope of batch) {
          const mail = mailOf(envelope);
          if (mail === undefined) continue;
          counts.messages += 1;
          counts.recipients += mail.recipients.length;
          const time = envelope.receivedAt;
          const known = new Map([
            ...await listAnswers(inForce, mail, time, decider),
            ...await listAnswers(candidate, mail, time, decider),
          ]);
          const { hostname } = decider;
          for (const found of replay(inForce, candidate, mail, { time, hostname, known })) {
            counts.differing += 1;
            if (differences.length >= request.differences) continue;
            differences.push({
              id: envelope.id,
              receivedAt: time.toISOString(),
              recipient: found.recipient,
              before: shown(found.before),
              after: shown(found.after),
            });
          }
        }
      }
      return context.json({ version: inForce.version, ...counts, differences });
    },
  }];
}

/** Whether a rule looks at what is in the content. */
function looksAtHeaders({ rules }: Configuration): boolean {
  return [...rules.values()].some(({ enabled, match }) => enabled && mentionsHeader(match));
}

function mentionsHeader(condition: Condition): boolean {
  if ("header" in condition) return true;
  if ("not" in condition) return mentionsHeader(condition.not);
  const parts = "all" in condition ? condition.all : "any" in condition ? condition.any : [];
  return parts.some(mentionsHeader);
}

const HEADERS_NEED_IT = ", which a replay needs where a rule looks at headers";

/** The changes with their definitions as the schemas give them out. */
function definitionsIn(
  given: readonly { readonly kind: keyof typeof resourceKinds; name: string; body?: unknown }[],
): Change[] {
  const errors: FieldError[] = [];
  const changes = given.flatMap(({ kind, name, body }, index): Change[] => {
    const named = resourceKinds[kind].name.safeParse(name, { error: wording });
    const parsed = resourceKinds[kind].schema.safeParse(body, { error: wording });
    if (!named.success) {
      const detail = named.error.issues.map(({ message }) => message).join("; ");
      errors.push({ pointer: `/changes/${index}/name`, detail });
    }
    if (body !== null && !parsed.success) {
      for (const error of fieldErrors(parsed.error)) {
        const pointer = "pointer" in error ? error.pointer : "";
        errors.push({ pointer: `/changes/${index}/body${pointer}`, detail: error.detail });
      }
    }
    if (!named.success || body !== null && !parsed.success) return [];
    return [{ kind, name: named.data, body: body === null ? null : parsed.data as Resource }];
  });
  if (errors.length > 0) throw invalid(errors);
  return changes;
}

/** A stored message as a mail to decide about; undefined for the gateway's own. */
function mailOf(envelope: StoredEnvelope): ExplainRequest | undefined {
  const { client, helo, tls, user } = envelope.session as {
    readonly client?: { readonly address?: string };
    readonly helo?: string;
    readonly tls?: { readonly peerFingerprint?: string };
    readonly user?: string;
  };
  if (client?.address === undefined || envelope.recipients.length === 0) return undefined;
  return {
    client: {
      address: client.address,
      helo,
      tls: tls !== undefined,
      certificate: tls?.peerFingerprint,
    },
    user,
    reversePath: envelope.reversePath,
    recipients: envelope.recipients,
    size: envelope.size,
    header: headerOf(envelope.front),
    authentication: resultsIn(envelope.edits),
  };
}

function headerOf(front: Uint8Array | undefined): { name: string; value: string }[] {
  if (front === undefined) return [];
  const reader = new HeaderReader();
  reader.push(front);
  reader.end();
  return reader.header.fields.map(({ name, value }) => ({
    name,
    value: decodeEncodedWords(value),
  }));
}

/** The results that the ingress found, from the field that it added (RFC 8601). */
function resultsIn(edits: StoredEnvelope["edits"]): ExplainRequest["authentication"] {
  const field = edits.find(({ add }) => add?.toLowerCase() === "authentication-results")?.value;
  const results: Record<string, string> = {};
  for (const [, method, result] of (field ?? "").matchAll(/\b(spf|dkim|dmarc|arc)=([a-z]+)/g)) {
    // Of several signatures one that passes is enough.
    if (results[method!] !== "pass") results[method!] = result!;
  }
  return results as ExplainRequest["authentication"];
}

/** What becomes of a recipient, without the way to it: explain tells that. */
function shown(
  { reasons: _reasons, recipient: _recipient, version: _version, ...outcome }: ExplainedRecipient,
): object {
  return outcome;
}

function invalid(errors: readonly FieldError[]): Problem {
  return new Problem(422, "Invalid", "The candidate is not valid", { errors });
}
