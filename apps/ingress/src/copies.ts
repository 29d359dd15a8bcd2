/**
 * The copies of a message that go out: those that are alike are one, with what is asked of any.
 *
 * This file must not know how copies are decided about.
 */
import type { Notify, RcptParameters } from "@postern/smtp";
import type { AcceptedRecipient } from "@postern/store";

/** A copy before the others are known. */
export interface Copy {
  readonly recipient: AcceptedRecipient & { readonly parameters: RcptParameters };
  /** Whether a rule added it: the sender knows nothing of it. */
  readonly added: boolean;
}

/** Copies that are alike in all that matters become one: nobody gets a message twice. */
export function distinct(copies: readonly Copy[]): readonly AcceptedRecipient[] {
  if (copies.length < 2) return copies.map(({ recipient }) => recipient);
  const found = new Map<string, Copy>();
  for (const copy of copies) {
    const { forwardPath, destination: { relay, nextHop }, treatment, hold } = copy.recipient;
    const key = JSON.stringify([forwardPath, relay, nextHop, treatment, hold]);
    const other = found.get(key);
    found.set(key, other === undefined ? copy : merged(other, copy));
  }
  return [...found.values()].map(({ recipient }) => recipient);
}

/** One for two that are alike. One that a rule added gives way to the sender's own. */
function merged(first: Copy, second: Copy): Copy {
  if (second.added) return first;
  if (first.added) return second;
  const parameters = mergedParameters(first.recipient.parameters, second.recipient.parameters);
  return { ...first, recipient: { ...first.recipient, parameters } };
}

/** The parameters of a recipient that was given twice. */
export function mergedParameters(first: RcptParameters, second: RcptParameters): RcptParameters {
  const notify = mergedNotify(first.notify, second.notify);
  const originalRecipient = first.originalRecipient ?? second.originalRecipient;
  return {
    ...(notify === undefined ? {} : { notify }),
    ...(originalRecipient === undefined ? {} : { originalRecipient }),
  };
}

/** What a sender is told who does not say: the choice of RFC 3461 §4.1 that is made here. */
const UNASKED = ["FAILURE", "DELAY"] as const;

function mergedNotify(first: Notify | undefined, second: Notify | undefined): Notify | undefined {
  if (first === "NEVER" || first === second) return second;
  if (second === "NEVER") return first;
  return [...new Set([...first ?? UNASKED, ...second ?? UNASKED])];
}
