/**
 * The copies of a message that a delivery makes: recipients whose treatment is the same share one,
 * and each copy goes out in transactions of its own.
 *
 * This file must not know sessions or content.
 */
import type { ClaimedDelivery, ClaimedRecipient, HeaderEdit } from "@postern/store";

/** One copy: an envelope's worth of recipients. */
export interface Copy {
  readonly reversePath: string;
  readonly edits: readonly HeaderEdit[];
  readonly recipients: readonly ClaimedRecipient[];
}

/** The copies of a delivery, in the order of their first recipients. */
export function copiesOf({ reversePath, recipients }: ClaimedDelivery): Copy[] {
  const copies = new Map<string, { copy: Copy; recipients: ClaimedRecipient[] }>();
  for (const recipient of recipients) {
    const { treatment } = recipient;
    const edits = treatment.edits ?? [];
    const key = JSON.stringify([
      treatment.reversePath ?? reversePath,
      treatment.sourceRoute ?? [],
      edits.map((edit) => "remove" in edit ? [edit.remove] : [edit.add, edit.value]),
    ]);
    const found = copies.get(key);
    if (found !== undefined) {
      found.recipients.push(recipient);
      continue;
    }
    const members = [recipient];
    const copy = {
      reversePath: treatment.reversePath ?? reversePath,
      edits,
      recipients: members,
    };
    copies.set(key, { copy, recipients: members });
  }
  return [...copies.values()].map(({ copy }) => copy);
}

/** The forward-path for RCPT: with what is left of its source route (RFC 5321 §4.1.2, appendix C). */
export function routedPath({ forwardPath, treatment }: ClaimedRecipient): string {
  const route = treatment.sourceRoute ?? [];
  if (route.length === 0) return forwardPath;
  return `${route.map((host) => `@${host}`).join(",")}:${forwardPath}`;
}
