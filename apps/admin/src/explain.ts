/** `POST /v1/explain`: what would happen to a mail, and why, without sending it. */
import { explainDescriptions } from "@postern/api";
import type { Relay } from "@postern/config";
import {
  explain,
  type ExplainedRecipient,
  type ExplainRequest,
  type Snapshot,
} from "@postern/routing";
import { parseForwardPath, parseReversePath, type PathFault } from "@postern/smtp";
import { readBodyAs } from "./input.ts";
import type { Operation } from "./operation.ts";
import type { FieldError } from "./problem.ts";
import { invalid } from "./refusals.ts";
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
      const errors = impossible(snapshot, request);
      if (errors.length > 0) throw invalid(errors, "mail");
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

/** What of a mail no session could have said. */
function impossible(
  { users }: Snapshot,
  { user, reversePath, recipients }: ExplainRequest,
): FieldError[] {
  const errors: FieldError[] = [];
  if (user !== undefined && !users.has(user)) {
    errors.push({ pointer: "/user", detail: `there is no user ${user}` });
  }
  const check = (
    parse: typeof parseForwardPath | typeof parseReversePath,
    text: string,
    pointer: string,
  ) => {
    const parsed = parse(`<${text}>`);
    if ("path" in parsed && parsed.end === text.length + 2) return;
    const fault = "fault" in parsed ? parsed.fault : "brackets";
    errors.push({ pointer, detail: `expected a mail address: ${FAULTS[fault]}` });
  };
  check(parseReversePath, reversePath, "/reversePath");
  recipients.forEach((path, index) => check(parseForwardPath, path, `/recipients/${index}`));
  return errors;
}

const FAULTS: Readonly<Record<PathFault, string>> = {
  brackets: "a bracket is missing",
  "source route": "its source route is malformed",
  "local part": "its local part is malformed",
  "no domain": "it has no domain",
  domain: "its domain is malformed",
  "local part too long": "its local part is too long",
  "domain too long": "its domain is too long",
  "path too long": "it is too long",
  "null path": "it is empty",
};

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
