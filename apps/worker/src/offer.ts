/** One delivery offered to a next hop over an open session, and what that came to. */
import {
  type EnvelopeRecipient,
  type MailParameters,
  type RcptParameters,
  replyOfCause,
  type Transaction,
} from "@postern/smtp";
import type { ClaimedDelivery } from "@postern/store";
import type { Delivering } from "./delivering.ts";
import type { NextHopSession } from "./next-hop-session.ts";
import { replyText, type Verdict } from "./verdict.ts";

/** Offers a delivery to a next hop. */
export async function offer(
  delivery: ClaimedDelivery,
  session: NextHopSession,
  { queue }: Delivering,
): Promise<Verdict[]> {
  const recipients = delivery.recipients.map((recipient): EnvelopeRecipient => ({
    forwardPath: recipient.forwardPath,
    parameters: recipient.parameters as RcptParameters,
  }));
  const transaction: Transaction = {
    envelope: {
      reversePath: delivery.reversePath,
      parameters: delivery.parameters as MailParameters,
      recipients,
    },
    contentSize: delivery.size,
  };
  const { content, messageId } = delivery;
  const outcome = await session.deliver(
    transaction,
    () => content === undefined ? queue.readContent(messageId) : [content],
  );
  return outcome.recipients.map(({ status, cause, command }, index): Verdict => {
    const { ordinal } = delivery.recipients[index]!;
    const text = replyText(replyOfCause(cause));
    switch (status) {
      case "accepted":
        return { ordinal, status: "delivered", reply: text };
      case "permanent":
        return { ordinal, status: "never", reply: text };
      case "tooMany":
        return { ordinal, status: "again", reply: text };
      case "notAttempted":
        return { ordinal, status: "again", reply: text, unheard: true };
      case "inDoubt":
        return { ordinal, status: "later", reply: `${text} (in doubt: it may have been accepted)` };
      case "transient": {
        const unheard = cause.kind === "failure" && command === "MAIL";
        return { ordinal, status: "later", reply: text, ...(unheard ? { unheard } : {}) };
      }
    }
  });
}
