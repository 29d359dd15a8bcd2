/** Accepted messages as rows of JSON, the form in which one statement inserts many of them. */
import type { DestinationIds } from "./destinations.ts";
import type { AcceptedMessage } from "./records.ts";

/** The rows that a batch of messages becomes. */
export interface MessageRows {
  readonly messages: object[];
  readonly recipients: object[];
  readonly deliveries: object[];
}

/** Makes the rows; every destination must have been learnt. */
export function messageRows(
  accepted: Iterable<AcceptedMessage>,
  destinations: DestinationIds,
): MessageRows {
  const rows: MessageRows = { messages: [], recipients: [], deliveries: [] };
  for (const message of accepted) {
    const at = message.receivedAt.toISOString();
    rows.messages.push({
      id: message.id,
      at,
      reverse_path: message.reversePath,
      parameters: message.parameters,
      session: message.session,
      size: message.size,
      message_id: message.messageId ?? null,
      version: message.configurationVersion,
    });
    const seen = new Set<number>();
    message.recipients.forEach((recipient, ordinal) => {
      const { forwardPath, parameters, treatment = {}, destination, decision } = recipient;
      const id = destinations.idOf(destination);
      rows.recipients.push({
        message: message.id,
        n: ordinal,
        path: forwardPath,
        parameters,
        treatment,
        decision,
        destination: id,
        at,
      });
      if (seen.has(id)) return;
      seen.add(id);
      rows.deliveries.push({ message: message.id, destination: id, at });
    });
  }
  return rows;
}
