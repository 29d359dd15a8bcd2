/**
 * What an administrator may do to a recipient in each state: the table that the queue's actions
 * follow. Pure.
 */
import type { RecipientState } from "./records.ts";

/** What can be done to recipients of a message. */
export type RecipientAction = "hold" | "release" | "retry" | "cancel" | "reroute";

/** All of them, as the API names them. */
export const RECIPIENT_ACTIONS: readonly RecipientAction[] = [
  "hold",
  "release",
  "retry",
  "cancel",
  "reroute",
];

/** The state that an action leads to; what is not there cannot be done. */
const NEXT: Readonly<
  Record<RecipientAction, Readonly<Partial<Record<RecipientState, RecipientState>>>>
> = {
  hold: { queued: "held", deferred: "held" },
  release: { held: "queued" },
  // It is due now, and still one whose last attempt failed.
  retry: { deferred: "deferred" },
  cancel: { queued: "deleted", deferred: "deleted", held: "deleted" },
  // What is held stays held: it goes the new way once it is released.
  reroute: { queued: "queued", deferred: "queued", held: "held" },
};

/** The kind of the event that an action writes. */
export const ACTION_EVENTS: Readonly<Record<RecipientAction, string>> = {
  hold: "held",
  release: "released",
  retry: "retried",
  cancel: "deleted",
  reroute: "rerouted",
};

/** The state after the action; undefined where it cannot be done in this state. */
export function stateAfter(
  action: RecipientAction,
  state: RecipientState,
): RecipientState | undefined {
  return NEXT[action][state];
}
