/** `POST /v1/explain`: what would happen to a mail, and why, without sending it. */
import { explainDescriptions } from "@postern/api";
import type { Relay } from "@postern/config";
import {
  explain,
  type ExplainedRecipient,
  type ExplainRequest,
  type Snapshot,
} from "@postern/routing";
import { readBodyAs } from "./input.ts";
import type { Operation } from "./operation.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Stores } from "./stores.ts";

/** What deciding needs to look up. */
export interface Decider {
  readonly knownRecipients: Stores["knownRecipients"];
  /** The gateway's own name. */
  readonly hostname: string;
}

/** The operation. */
export function explainOperations(
  { snapshots, ...decider }: Decider & { readonly snapshots: Snapshots },
): Operation[] {
  return [{
    ...explainDescriptions.explain,
    serve: async (context) => {
      const { time, ...request } = await readBodyAs(
        context,
        explainDescriptions.explain.body,
      );
      const snapshot = await snapshots.current();
      const at = time === undefined ? new Date() : new Date(time);
      const known = await listAnswers(snapshot, request, at, decider);
      const surroundings = { time: at, hostname: decider.hostname, known };
      const explained = explain(snapshot, request, surroundings);
      const asked = explained.flatMap((one) => one.action === "ask" ? [one.question.address] : []);
      const supposed = new Map([...known, ...asked.map((address) => [address, true] as const)]);
      const ifKnown = asked.length === 0
        ? []
        : explain(snapshot, request, { ...surroundings, known: supposed });
      const recipients = explained.map((one, index) => ({
        ...shown(snapshot, one),
        ...(one.action === "ask" && { ifKnown: shown(snapshot, ifKnown[index]!) }),
      }));
      return context.json({ version: snapshot.version, recipients });
    },
  }];
}

/** The answers of recipient lists to all that deciding about this mail asks them. */
export async function listAnswers(
  snapshot: Snapshot,
  request: ExplainRequest,
  time: Date,
  { knownRecipients, hostname }: Decider,
): Promise<Map<string, boolean>> {
  const known = new Map<string, boolean>();
  // Each turn answers what the one before asked; nothing is asked twice.
  for (;;) {
    const questions = explain(snapshot, request, { time, hostname, known }).flatMap((one) =>
      one.action === "ask" && one.question.kind === "list" && !known.has(one.question.address)
        ? [one.question]
        : []
    );
    if (questions.length === 0) return known;
    await Promise.all(questions.map(async ({ domain, address }) => {
      known.set(address, await knownRecipients.known(snapshot.version, domain, address));
    }));
  }
}

/** A decision with what its relays are. */
function shown(snapshot: Snapshot, explained: ExplainedRecipient) {
  if (explained.action !== "deliver") return explained;
  const copies = explained.copies.map((copy) => {
    const relay = snapshot.relays.get(copy.relay);
    return { ...copy, kind: relay?.kind ?? null, limits: limitsOf(relay) };
  });
  return { ...explained, copies };
}

function limitsOf(relay: Relay | undefined) {
  return relay !== undefined && "limits" in relay ? relay.limits ?? null : null;
}
