/** Accepted messages as rows of JSON, the form in which one statement inserts many of them. */
import type { DestinationIds } from "./destination-ids.ts";
import type { LineKey } from "./due-lines.ts";
import type { AcceptedMessage } from "./records.ts";
import { storableMessageId } from "./storable.ts";

/** The rows that a batch of messages becomes. */
export interface MessageRows {
  readonly messages: object[];
  readonly recipients: object[];
  readonly deliveries: (LineKey & {
    readonly message: string;
    readonly due: string;
    /** Whether it is due at that time because its sender asked for it. */
    readonly asked: boolean;
    readonly by: string | null;
  })[];
  readonly events: object[];
}

/** Makes the rows; every destination must have been learnt. */
export function messageRows(
  accepted: Iterable<AcceptedMessage>,
  destinations: DestinationIds,
): MessageRows {
  const rows: MessageRows = { messages: [], recipients: [], deliveries: [], events: [] };
  for (const message of accepted) {
    const at = message.receivedAt.toISOString();
    const due = (message.dueAt ?? message.receivedAt).toISOString();
    const { priority = 0, deliverBy } = message.parameters as {
      readonly priority?: number;
      readonly deliverBy?: { readonly seconds: number };
    };
    const by = deliverBy === undefined
      ? null
      : new Date(message.receivedAt.getTime() + deliverBy.seconds * 1000).toISOString();
    rows.messages.push({
      id: message.id,
      at,
      released: message.dueAt?.toISOString() ?? null,
      reverse_path: message.reversePath,
      parameters: message.parameters,
      session: message.session,
      size: message.size,
      message_id: message.messageId === undefined ? null : storableMessageId(message.messageId),
      version: message.configurationVersion,
    });
    const seen = new Set<number>();
    message.recipients.forEach((recipient, ordinal) => {
      const { forwardPath, parameters, treatment = {}, destination, decision, hold } = recipient;
      const id = destinations.idOf(destination);
      rows.recipients.push({
        message: message.id,
        n: ordinal,
        path: forwardPath,
        parameters,
        treatment,
        decision,
        destination: id,
        state: hold === undefined ? "queued" : "held",
        at,
      });
      if (hold !== undefined) {
        const detail = { recipient: forwardPath, reason: hold };
        rows.events.push({ message: message.id, at, detail });
        return;
      }
      if (seen.has(id)) return;
      seen.add(id);
      const asked = message.dueAt !== undefined;
      rows.deliveries.push({ message: message.id, destination: id, due, asked, by, priority });
    });
  }
  return rows;
}
